"""Which model is asked: the slot's, or what replaces one that is retired or that its provider says is gone."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from photochanger import providers
from photochanger.providers import Provider
from runner import models
from runner.models import Models


def model(name: str, *, replacement: str | None = None, retired: bool = False) -> tuple[str, dict[str, Any]]:
    facts: dict[str, Any] = {"usual_seconds": 10, "least_seconds": 1, "price": {"per_picture_usd": {"1K": 0.03}}}
    if retired:
        facts = {"retired": "2026-01-31"}
    if replacement is not None:
        facts["replacement"] = replacement
    return name, facts


def provider(*known: tuple[str, dict[str, Any]], name: str = "painter") -> Provider:
    """A provider with these models, the first of them its default, as providers.json has it."""
    entry = {
        "title": "Painter",
        "driver": "painter",
        "base_url": "http://127.0.0.1",
        "input": {"mime_types": ["image/jpeg"], "max_bytes": 1_000_000, "max_side_px": 4096},
        "retry": {"first_wait_seconds": 0.5, "most_repeats": {}},
        "default_model": known[0][0],
        "models": dict(known),
        "operations": {"paint": {"title": "Paint", "media_roles": [], "settings_schema": {"type": "object"}}},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({name: entry}, file)
        file.flush()
        return providers.load(Path(file.name)).by_name[name]


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


def test_the_slots_model_is_asked_else_the_default() -> None:
    painter = provider(model("a"), model("b"))
    assert Models().current(painter, {}).name == "a"
    assert Models().current(painter, {"model": "b"}).name == "b"


def test_a_retired_model_is_never_asked() -> None:
    painter = provider(
        model("old", retired=True, replacement="older"), model("older", retired=True, replacement="new"), model("new")
    )
    assert Models().current(painter, {"model": "old"}).name == "new"


def test_the_first_404_sends_the_next_photos_straight_to_the_replacement(lines: list[Any]) -> None:
    painter = provider(model("a", replacement="b"), model("b"))
    known = Models()
    assert known.current(painter, {}).name == "a"
    replacement = known.note_gone(painter, painter.models["a"])
    assert replacement is not None
    assert replacement.name == "b"
    assert known.current(painter, {}).name == "b"
    assert known.current(painter, {"model": "b"}).name == "b"
    assert [(line["event"], line["model"], line["replacement"]) for line in lines] == [("model_retired", "a", "b")]


def test_one_replacement_after_the_other_may_be_gone() -> None:
    painter = provider(model("a", replacement="b"), model("b", replacement="c"), model("c"))
    known = Models()
    for name in ("a", "b"):
        known.note_gone(painter, painter.models[name])
    assert known.current(painter, {}).name == "c"


def test_the_replacement_of_a_model_that_is_gone_is_never_a_retired_one() -> None:
    painter = provider(model("a", replacement="b"), model("b", retired=True, replacement="c"), model("c"))
    known = Models()
    replacement = known.note_gone(painter, painter.models["a"])
    assert replacement is not None
    assert replacement.name == "c"
    assert known.current(painter, {}).name == "c"


def test_the_replacement_of_a_model_that_is_gone_is_never_one_that_is_gone_too() -> None:
    painter = provider(model("a", replacement="b"), model("b", replacement="c"), model("c"))
    known = Models()
    known.note_gone(painter, painter.models["b"])
    replacement = known.note_gone(painter, painter.models["a"])
    assert replacement is not None
    assert replacement.name == "c"


def test_a_model_that_nothing_replaces_is_asked_although_it_is_gone() -> None:
    painter = provider(model("a"))
    known = Models()
    assert known.note_gone(painter, painter.models["a"]) is None
    assert known.current(painter, {}).name == "a"


def test_a_model_of_the_same_name_at_another_provider_is_another_model() -> None:
    painter = provider(model("a", replacement="b"), model("b"))
    other = provider(model("a", replacement="b"), model("b"), name="other")
    known = Models()
    known.note_gone(painter, painter.models["a"])
    assert known.current(other, {}).name == "a"


def test_a_model_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "REMEMBERED_SECONDS", 0.0)
    painter = provider(model("a", replacement="b"), model("b"))
    known = Models()
    known.note_gone(painter, painter.models["a"])
    assert known.current(painter, {}).name == "a"
