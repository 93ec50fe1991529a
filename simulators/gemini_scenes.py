"""All that Gemini can be seen to do with a well-formed request: one scene for each behaviour a scenario can name.

    a picture   ok · instant · slow · text_then_picture · thought_drafts
    no picture  thought_only · text_only · no_image · image_safety · … · prompt_blocked · candidate_without_content …
    an error    rate_limited · quota_per_day · internal · unavailable · key_leaked · model_gone · list_wrapped_error …
    worse       html_502 · truncated_json · picture_bomb · huge_body · silent · drip · reset_after … (gemini_faults.py)

Every one also takes `delay_seconds` and `mime`.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from simulators.gemini_answers import Part, candidate, of_parts, picture_part, text_part
from simulators.gemini_errors import FAILURES, ApiError, json_response, model_not_found
from simulators.gemini_faults import FAULTS
from simulators.gemini_turn import Scene, Turn, says, shows
from simulators.scenarios import Parameters, seconds, seconds_or_none, text, whole

PROSE = "Here is your picture, changed as you asked."
QUESTION = "I can't change people in photos like this one. Would you like me to describe it instead?"
NOTE = "The simulator was told to end like this."
RETRY_TRAP = {"retry_delay_seconds": seconds_or_none(30)}
"""Google adds a delay to quotas that no waiting brings back."""
FAILURE_PARAMETERS: Mapping[str, Parameters] = {
    "rate_limited": {"retry_delay_seconds": seconds_or_none(None)},
    "quota_per_day": RETRY_TRAP,
    "quota_zero": RETRY_TRAP,
}


def _final(turn: Turn) -> list[Part]:
    """The picture; prose alone for somebody who wanted only that."""
    return [picture_part(turn.picture, turn["mime"])] if turn.asked.wants_picture else [text_part(PROSE)]


def _canned(turn: Turn, *, thought: bool = False) -> Part:
    return picture_part(turn.canned, turn["mime"], thought=thought)


def _drafts(turn: Turn) -> list[Part]:
    plan = text_part("Planning the composition.", thought=True)
    return [plan, *(_canned(turn, thought=True) for _ in range(turn["drafts"])), *_final(turn)]


def _ends(finish_reason: str, *parts: Part, message: str | None = NOTE) -> Scene:
    """An end without a picture."""
    content = of_parts(parts) if parts else {"role": "model"}
    ending = candidate(content, finish_reason=finish_reason, finish_message=message)
    return says(lambda _turn: {"candidates": [ending]})


def _ends_as_told(content: Mapping[str, Any] | None, *, default: str) -> Scene:
    """An end with this content and the scenario's finishReason."""
    return says(lambda turn: {"candidates": [candidate(content, finish_reason=turn["reason"])]}, reason=text(default))


def _fails(name: str) -> Scene:
    async def play(turn: Turn) -> web.StreamResponse:
        raise FAILURES[name](turn.behaviour.parameters, turn.asked.model.name, turn.key)

    return Scene(play=play, parameters=FAILURE_PARAMETERS.get(name, {}))


async def _model_gone(turn: Turn) -> web.StreamResponse:
    raise model_not_found(turn.asked.model.name, version=turn.request.match_info["version"])


async def _list_wrapped(_turn: Turn) -> web.StreamResponse:
    error = ApiError(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
    return json_response([error.body()], status=error.code)


SCENES: Mapping[str, Scene] = {
    "ok": shows(_final),
    "instant": shows(lambda turn: [_canned(turn)], changes_photo=False),
    "slow": shows(_final, seconds=seconds(30)),
    "text_then_picture": shows(lambda turn: [text_part(PROSE), *_final(turn)]),
    "thought_drafts": shows(_drafts, drafts=whole(2, least=1, most=2)),
    "thought_only": says(
        lambda turn: {"candidates": [candidate(of_parts([_canned(turn, thought=True)]), finish_reason="STOP")]}
    ),
    "text_only": _ends("STOP", text_part(QUESTION), message=None),
    "no_image": _ends("NO_IMAGE"),
    "image_safety": _ends("IMAGE_SAFETY"),
    "image_other": _ends("IMAGE_OTHER"),
    "recitation": _ends("RECITATION"),
    "max_tokens": _ends("MAX_TOKENS", text_part("Planning the compo", thought=True), message=None),
    "finish_reason": _ends_as_told({"role": "model"}, default="A_REASON_OF_TOMORROW"),
    "candidate_without_content": _ends_as_told(None, default="IMAGE_SAFETY"),
    "content_without_parts": _ends_as_told({}, default="STOP"),
    "prompt_blocked": says(
        lambda turn: {"promptFeedback": {"blockReason": turn["reason"]}},
        billed=False,
        reason=text("PROHIBITED_CONTENT"),
    ),
    **{name: _fails(name) for name in FAILURES},
    "model_gone": Scene(play=_model_gone),
    "list_wrapped_error": Scene(play=_list_wrapped),
    **FAULTS,
}

CATALOGUE: Mapping[str, Parameters] = {name: scene.parameters for name, scene in SCENES.items()}
