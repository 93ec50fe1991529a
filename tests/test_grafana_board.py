"""deploy/grafana/photochanger.json as Grafana's own models of a dashboard and its panels read it."""

import json
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.processes import ROOT

BOARD = ROOT / "deploy/grafana/photochanger.json"


def board() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(BOARD.read_text(encoding="utf-8"))
    return loaded


def as_grafana_reads_it(document: dict[str, Any]) -> Any:
    """What the models have understood, as JSON again."""
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(document)))


def not_understood(given: Any, read: Any, path: str = "") -> Iterator[str]:
    """The fields of `given` that `read` has otherwise, or not at all."""
    if isinstance(given, dict) and isinstance(read, dict):
        for name, value in given.items():
            yield from not_understood(value, read[name], f"{path}/{name}") if name in read else [f"{path}/{name}"]
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for number, (one, other) in enumerate(zip(given, read, strict=True)):
            yield from not_understood(one, other, f"{path}/{number}")
    elif given != read:
        yield path


def test_grafana_understands_every_field_of_the_board() -> None:
    document = board()
    assert len(document["panels"]) > 10
    assert list(not_understood(document, as_grafana_reads_it(document))) == []


def test_a_field_that_grafana_does_not_know_would_be_found() -> None:
    document = board()
    document["panels"][1]["titel"] = "misspelt"
    document["panels"][2]["options"] = {**document["panels"][2].get("options", {}), "legnd": {}}
    found = list(not_understood(document, as_grafana_reads_it(document)))
    assert found == ["/panels/1/titel", "/panels/2/options/legnd"]
