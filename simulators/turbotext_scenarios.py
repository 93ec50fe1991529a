"""Turbotext's rules go by the method where other simulators' go by the model.

    POST /__emu/turbotext/scenario
    {"match": {"method": "mix_images", "prompt_contains": "wedding"}, "behaviour": {"name": "error", "code": "LIMIT"}}

`prompt_contains` looks into `content`. A rule is chosen when a job is created, and stays with the job: `nth` and
`times` count jobs, not polls. Rules for `available_api` must name it, so that no health check uses up another's rule.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from simulators.scenarios import Behaviour, Parameters, ScenarioMistake, Scenarios, Seen
from simulators.turbotext_request import AVAILABLE_API

MATCH_FIELDS = ("key", "prompt_contains", "method", "nth")


class ScenariosByMethod(Scenarios):
    """The rules for the methods of these names, and those for `available_api`."""

    def __init__(
        self, catalogue: Mapping[str, Parameters], *, default: Mapping[str, Any], methods: Iterable[str]
    ) -> None:
        """Raises `ScenarioMistake`."""
        super().__init__(catalogue, default=default)
        self._methods = (AVAILABLE_API, *methods)
        self._of_available_api = Scenarios(catalogue, default={"name": "ok"})

    def add(self, document: object) -> None:
        """Add the rule this JSON describes. Raises `ScenarioMistake`."""
        match = document.get("match") if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(match, dict):
            super().add(document)
            return
        for name in match:
            if name not in MATCH_FIELDS:
                raise ScenarioMistake(f"match has an unknown field {name!r}: only {', '.join(MATCH_FIELDS)}")
        if "method" in match and match["method"] not in self._methods:
            raise ScenarioMistake(f"match.method must be one of {', '.join(self._methods)}")
        document = document | {"match": {"model" if name == "method" else name: match[name] for name in match}}
        if match.get("method") == AVAILABLE_API:
            self._of_available_api.add(document)
        else:
            super().add(document)

    def reset(self) -> None:
        """Forget all rules."""
        super().reset()
        self._of_available_api.reset()

    def names_key(self, key: str) -> bool:
        """Whether a rule is for this key: such a key counts as a valid one."""
        return super().names_key(key) or self._of_available_api.names_key(key)

    def choose(self, request: Seen) -> Behaviour:
        """What to do with this request, whose `model` is the method. Uses the rule up by one."""
        if request.model == AVAILABLE_API:
            return self._of_available_api.choose(request)
        return super().choose(request)


def own_default(default: Mapping[str, Any]) -> Mapping[str, Any]:
    """The default for all simulators as Turbotext's: a picture that takes time is asked for again, not waited for."""
    own = dict(default)
    delay_seconds = own.pop("delay_seconds", 0)
    return own | {"seconds": delay_seconds} if delay_seconds else own
