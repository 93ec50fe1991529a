"""Scenarios: how a simulator is told from outside what to answer, so that drivers never need a header for tests.

    POST /__emu/gemini/scenario
    {"match": {"prompt_contains": "wedding"}, "times": 2,
     "behaviour": {"name": "rate_limited", "retry_delay_seconds": 2}}

A rule with `times` or `nth` is a counted one. Counted rules go first, in the order they came, each until it is used up;
then the newest lasting rule that fits; then the simulator's default. So "two failures, then success" is one rule with
`times: 2`, and a rule given later replaces an earlier one.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from photochanger.errors import PhotoChangerError

MATCH_FIELDS = ("key", "prompt_contains", "model", "nth")


class ScenarioMistake(PhotoChangerError):
    """A scenario that cannot be played. The text names the mistake."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a behaviour: its value when none is given, and what may be given."""

    default: Any
    accepts: Callable[[Any], bool]
    expects: str


Parameters = Mapping[str, Parameter]


def seconds(default: float) -> Parameter:
    """A number of seconds from 0 on."""
    return Parameter(default=default, accepts=_is_seconds, expects="a number of seconds from 0 on")


def seconds_or_none(default: float | None) -> Parameter:
    """A number of seconds from 0 on, or null."""
    return Parameter(
        default=default,
        accepts=lambda value: value is None or _is_seconds(value),
        expects="a number of seconds from 0 on, or null",
    )


def whole(default: int, *, least: int, most: int) -> Parameter:
    """A whole number within bounds."""
    return Parameter(
        default=default,
        accepts=lambda value: _is_whole(value) and least <= value <= most,
        expects=f"a whole number from {least} to {most}",
    )


def one_of(*choices: str) -> Parameter:
    """One of these texts; the first is the default."""
    return Parameter(
        default=choices[0],
        accepts=lambda value: isinstance(value, str) and value in choices,
        expects=f"one of {', '.join(choices)}",
    )


def flag(*, default: bool) -> Parameter:
    """true or false."""
    return Parameter(default=default, accepts=lambda value: isinstance(value, bool), expects="true or false")


def text(default: str) -> Parameter:
    """A text that is not empty."""
    return Parameter(
        default=default,
        accepts=lambda value: isinstance(value, str) and bool(value),
        expects="a text that is not empty",
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and math.isfinite(value)


COMMON: Parameters = {"delay_seconds": seconds(0), "mime": one_of("image/jpeg", "image/png")}
"""Every behaviour of every simulator takes these."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What to do with a request: a name from the simulator's catalogue, and all its parameters."""

    name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a rule can go by in a request."""

    key: str
    prompt: str
    model: str


@dataclass(kw_only=True)
class Rule:
    """A behaviour for the requests that fit; `seen` and `left` count down its life."""

    match: Mapping[str, Any]
    behaviour: Behaviour
    left: int | None
    seen: int = 0

    @property
    def counted(self) -> bool:
        """Whether it ends by itself."""
        return self.left is not None

    def takes(self, request: Seen) -> bool:
        """Count the request if it fits. True when the rule is also for this one of them."""
        match = self.match
        fits = (
            match.get("key", request.key) == request.key
            and match.get("model", request.model) == request.model
            and match.get("prompt_contains", "") in request.prompt
        )
        self.seen += fits
        return fits and match.get("nth", self.seen) == self.seen and self.left != 0


class Scenarios:
    """The rules of one simulator, and the choice between them."""

    def __init__(self, catalogue: Mapping[str, Parameters], *, default: Mapping[str, Any]) -> None:
        """`default` is written as in a scenario: {"name": "ok"}. Raises `ScenarioMistake`."""
        self._catalogue = catalogue
        self._default = read_behaviour(default, catalogue=catalogue)
        self._rules: list[Rule] = []

    def add(self, document: object) -> None:
        """Add the rule this JSON describes. Raises `ScenarioMistake`."""
        self._rules.append(read_rule(document, catalogue=self._catalogue))

    def reset(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def names_key(self, key: str) -> bool:
        """Whether a rule is for this key: such a key counts as a valid one."""
        return any(rule.match.get("key") == key for rule in self._rules)

    def choose(self, request: Seen) -> Behaviour:
        """What to do with this request. Uses the rule up by one."""
        fitting = [rule for rule in self._rules if rule.takes(request)]
        counted = [rule for rule in fitting if rule.counted]
        if counted:
            rule = counted[0]
            assert rule.left is not None
            rule.left -= 1
            return rule.behaviour
        return fitting[-1].behaviour if fitting else self._default


def read_rule(document: object, *, catalogue: Mapping[str, Parameters]) -> Rule:
    """The rule of {"match": {…}, "behaviour": {…}, "times": n or null}. Raises `ScenarioMistake`."""
    fields = _object(document, where="the scenario", allowed=("match", "behaviour", "times"))
    match = _object(fields.get("match", {}), where="match", allowed=MATCH_FIELDS)
    for name, value in match.items():
        if name == "nth":
            if not _is_whole(value) or value < 1:
                raise ScenarioMistake("match.nth must be a whole number from 1 on")
        elif not isinstance(value, str):
            raise ScenarioMistake(f"match.{name} must be a text")
    times = fields.get("times")
    if times is not None and (not _is_whole(times) or times < 1):
        raise ScenarioMistake("times must be a whole number from 1 on, or null")
    if "behaviour" not in fields:
        raise ScenarioMistake("behaviour is missing")
    behaviour = read_behaviour(fields["behaviour"], catalogue=catalogue)
    return Rule(match=match, behaviour=behaviour, left=1 if times is None and "nth" in match else times)


def read_behaviour(document: object, *, catalogue: Mapping[str, Parameters]) -> Behaviour:
    """The behaviour of {"name": …, parameters…}, defaults filled in. Raises `ScenarioMistake`."""
    given = dict(_object(document, where="behaviour", allowed=None))
    name = given.pop("name", None)
    if not isinstance(name, str) or name not in catalogue:
        raise ScenarioMistake(f"behaviour.name {name!r} is unknown: one of {', '.join(sorted(catalogue))}")
    parameters = {**COMMON, **catalogue[name]}
    for parameter, value in given.items():
        if parameter not in parameters:
            raise ScenarioMistake(f"{name} takes no {parameter!r}: only {', '.join(sorted(parameters))}")
        if not parameters[parameter].accepts(value):
            raise ScenarioMistake(f"behaviour.{parameter} must be {parameters[parameter].expects}")
    defaults = {parameter: known.default for parameter, known in parameters.items()}
    return Behaviour(name=name, parameters=defaults | given)


def _object(value: object, *, where: str, allowed: tuple[str, ...] | None) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ScenarioMistake(f"{where} must be a JSON object")
    for name in value:
        if allowed is not None and name not in allowed:
            raise ScenarioMistake(f"{where} has an unknown field {name!r}: only {', '.join(allowed)}")
    return value
