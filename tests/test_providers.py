"""providers.json: what it promises to forms and drivers, and that a broken one is refused with all its mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest

from photochanger import providers
from photochanger.errors import ConfigurationError
from photochanger.providers import Providers
from photochanger.resources import folder


def model(**changes: Any) -> dict[str, Any]:
    return {"usual_seconds": 10, "least_seconds": 1, "price": {"per_picture_usd": {"1K": 0.03}}, **changes}


def retired(replacement: str | None = None) -> dict[str, Any]:
    return {"retired": "2026-01-31", **({"replacement": replacement} if replacement else {})}


def provider(**changes: Any) -> dict[str, Any]:
    operation = {"title": "Paint", "media_roles": ["style"], "settings_schema": {"type": "object"}}
    return {
        "title": "Painter",
        "driver": "painter",
        "base_url": "https://painter.example/",
        "input": {"mime_types": ["image/jpeg"], "max_bytes": 1_000_000, "max_side_px": 2048},
        "retry": {"first_wait_seconds": 0.5, "most_repeats": {"bad_response": 1}},
        "default_model": "a",
        "models": {"a": model()},
        "operations": {"paint": operation},
        **changes,
    }


def load(tmp_path: Path, **entries: Any) -> Providers:
    path = tmp_path / "providers.json"
    path.write_text(json.dumps(entries))
    return providers.load(path)


def mistakes(tmp_path: Path, **entries: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, **entries)
    assert all(mistake.startswith("providers.json: ") for mistake in raised.value.mistakes)
    return [mistake.removeprefix("providers.json: ") for mistake in raised.value.mistakes]


def test_the_file_that_travels_with_the_project_is_in_order(known_providers: Providers) -> None:
    document = json.loads((folder("configs") / "providers.json").read_text())
    assert set(known_providers.by_name) == set(document)
    for entry in known_providers.by_name.values():
        for name in entry.models:
            living = entry.model({"model": name})
            assert not living.retired
            assert 0 <= living.least_seconds < living.usual_seconds <= 60
        assert not entry.base_url.endswith("/")
        assert not entry.models[entry.default_model].retired


def test_a_slot_can_name_every_model_and_no_other(known_providers: Providers) -> None:
    for entry in known_providers.by_name.values():
        for operation in entry.operations.values():
            named = operation.settings_schema["properties"].get("model", {}).get("enum", [])
            assert set(named) <= set(entry.models)


def test_an_entry_is_told_whole(tmp_path: Path) -> None:
    found, operation = load(tmp_path, painter=provider()).get("painter", "paint")
    assert (found.name, found.title, found.driver) == ("painter", "Painter", "painter")
    assert found.base_url == "https://painter.example"
    assert (found.input.mime_types, found.input.max_bytes, found.input.max_side_px) == (
        ("image/jpeg",),
        1_000_000,
        2048,
    )
    assert (operation.name, operation.title, operation.media_roles) == ("paint", "Paint", ("style",))
    assert found.model({}).name == "a"
    assert (found.model({}).usual_seconds, found.model({}).least_seconds) == (10, 1)
    assert found.model({}).capabilities["price"] == {"per_picture_usd": {"1K": 0.03}}


def test_what_an_entry_does_not_say_is_unlimited_and_switched_on(tmp_path: Path) -> None:
    found, operation = load(tmp_path, painter=provider()).get("painter", "paint")
    limits = found.limits
    assert (limits.in_flight, limits.per_minute, limits.per_day, limits.day_zone) == (None, None, None, "UTC")
    assert operation.enabled


def test_limits_are_told(tmp_path: Path) -> None:
    said = {"in_flight": 4, "per_minute": 60, "per_day": 1000, "day_zone": "America/Los_Angeles"}
    limits = load(tmp_path, painter=provider(limits=said)).by_name["painter"].limits
    assert vars(limits) == said


@pytest.mark.parametrize("limits", [{"in_flight": 0}, {"per_day": 1.5}, {"per_hour": 1}, {"day_zone": "'; DROP"}])
def test_limits_that_are_none_are_a_mistake(tmp_path: Path, limits: dict[str, Any]) -> None:
    (mistake,) = mistakes(tmp_path, painter=provider(limits=limits))
    assert mistake.startswith("painter.limits")


def test_an_operation_that_is_switched_off_is_a_mistake_in_a_slot(tmp_path: Path) -> None:
    off = {"title": "Paint", "enabled": False, "media_roles": [], "settings_schema": {"type": "object"}}
    known = load(tmp_path, painter=provider(operations={"paint": off}))
    assert known.mistakes("painter", "paint", {}) == {"operation": "Painter has this operation switched off."}


def test_unknown_pairs_are_a_key_error(tmp_path: Path) -> None:
    known = load(tmp_path, painter=provider())
    for pair in (("nobody", "paint"), ("painter", "sing")):
        with pytest.raises(KeyError):
            known.get(*pair)


def test_a_chain_of_replacements_leads_to_the_living_one(tmp_path: Path) -> None:
    models = {"a": retired("b"), "b": retired("c"), "c": model(replacement="d"), "d": model()}
    found, _ = load(tmp_path, painter=provider(models=models)).get("painter", "paint")
    assert [found.model({"model": name}).name for name in "abcd"] == ["c", "c", "c", "d"]


def test_a_living_model_may_have_a_replacement_for_the_day_it_dies(tmp_path: Path) -> None:
    models = {"a": model(replacement="b"), "b": model()}
    found, _ = load(tmp_path, painter=provider(models=models)).get("painter", "paint")
    assert (found.model({}).name, found.model({}).replacement) == ("a", "b")


def test_all_mistakes_of_shape_are_told_at_once(tmp_path: Path) -> None:
    broken = provider(
        title="",
        base_url="ftp://painter.example",
        input={"mime_types": ["image/gif"], "max_bytes": 1, "max_side_px": 1},
        models={"a": {"usual_seconds": 0}, "b": {"retired": "last week"}},
        surprise=True,
    )
    del broken["driver"]
    found = mistakes(tmp_path, painter=broken, Bad_Name=provider())
    for place in (
        "painter.title: ",
        "painter.base_url: ",
        "painter.input.mime_types.0: ",
        "painter.input.max_bytes: ",
        "painter.input.max_side_px: ",
        "painter.models.a.usual_seconds: ",
        "painter.models.b.retired: ",
        "top: 'Bad_Name' ",
    ):
        assert any(mistake.startswith(place) for mistake in found), place
    told = "\n".join(found)
    assert "'driver' is a required property" in told
    assert "'surprise' was unexpected" in told
    assert "'price' is a required property" in told


def test_all_names_that_lead_nowhere_are_told_at_once(tmp_path: Path) -> None:
    painter = provider(
        default_model="missing",
        models={
            "a": model(replacement="nowhere"),
            "b": retired("c"),
            "c": retired("b"),
            "d": retired(),
            "e": retired("d"),
            "f": model(replacement="f"),
            "g": model(replacement="b"),
        },
        operations={"paint": {"title": "Paint", "media_roles": [], "settings_schema": {"type": "letter"}}},
    )
    found = mistakes(tmp_path, painter=painter, other=provider(default_model="z"))
    assert found[0] == "painter.default_model: there is no model 'missing'"
    assert found[1:8] == [
        "painter.models.a: its replacement 'nowhere' does not exist",
        "painter.models.b: its replacements go in a circle",
        "painter.models.c: its replacements go in a circle",
        "painter.models.d: is retired and nothing living replaces it",
        "painter.models.e: is retired and nothing living replaces it",
        "painter.models.f: its replacements go in a circle",
        "painter.models.g: its replacements go in a circle",
    ]
    assert found[8].startswith("painter.operations.paint.settings_schema: ")
    assert found[9] == "other.default_model: there is no model 'z'"
    assert len(found) == 10


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "\ufeff{}", "nul"])
def test_a_file_that_is_no_json_is_told_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "providers.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"providers\.json: "):
        providers.load(path)


@pytest.mark.parametrize("document", ["[]", "null", "{}", '"gemini"', '{"gemini": null}'])
def test_a_file_of_another_shape_is_told_so(tmp_path: Path, document: str) -> None:
    path = tmp_path / "providers.json"
    path.write_text(document)
    with pytest.raises(ConfigurationError, match=r"providers\.json: "):
        providers.load(path)


def test_a_missing_file_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"elsewhere\.json: "):
        providers.load(tmp_path / "elsewhere.json")


@pytest.mark.parametrize(
    ("settings", "place", "sentence"),
    [
        ({}, "prompt", "It is missing."),
        ({"prompt": ""}, "prompt", "It must have at least 1 character(s)."),
        ({"prompt": "x" * 8001}, "prompt", "It may have at most 8000 characters."),
        ({"prompt": 5}, "prompt", "It must be text."),
        ({"prompt": "nul\0"}, "prompt", "It has characters that cannot be kept."),
        ({"prompt": "half \ud83d"}, "prompt", "It has characters that cannot be kept."),
        ({"prompt": "x", "retries": 4}, "retries", "It must be a whole number from 0 to 3."),
        ({"prompt": "x", "retries": -1}, "retries", "It must be a whole number from 0 to 3."),
        ({"prompt": "x", "retries": True}, "retries", "It must be a whole number from 0 to 3."),
        ({"prompt": "x", "retries": 1.5}, "retries", "It must be a whole number from 0 to 3."),
        ({"prompt": "x", "retries": 1.0}, "retries", "It must be a whole number from 0 to 3."),
        ({"prompt": "x", "retries": "1"}, "retries", "It must be a whole number from 0 to 3."),
        ({"prompt": "x", "retries": None}, "retries", "It must be a whole number from 0 to 3."),
        ({"prompt": "x", "model": "gpt"}, "model", "It must be one of: gemini-nano-banana-2.1, "),
        ({"prompt": "x", "model": ["gpt"]}, "model", "It must be one of: gemini-nano-banana-2.1, "),
        ({"prompt": "x", "size": "8K"}, "size", "It must be one of: 1K, 2K, 4K."),
        ({"prompt": "x", "repeat_interrupted": "yes"}, "repeat_interrupted", "It must be true or false."),
        ({"prompt": "x", "surprise": 1}, "surprise", "There is no such field."),
    ],
)
def test_a_mistake_in_a_slots_settings_is_named(
    known_providers: Providers, settings: dict[str, Any], place: str, sentence: str
) -> None:
    ((named, said),) = known_providers.mistakes("gemini", "image_edit", settings).items()
    assert named == f"settings.{place}"
    assert said.startswith(sentence)


def test_all_mistakes_in_a_slots_settings_are_named_at_once(known_providers: Providers) -> None:
    found = known_providers.mistakes("gemini", "image_edit", {"retries": 9, "size": 4, "surprise": 1})
    assert set(found) == {"settings.prompt", "settings.retries", "settings.size", "settings.surprise"}


def test_good_settings_have_no_mistake(known_providers: Providers) -> None:
    good = {"prompt": "x" * 8000, "retries": 0, "size": "4K", "aspect_ratio": "3:2", "repeat_interrupted": False}
    assert known_providers.mistakes("gemini", "image_edit", good) == {}


def test_an_unknown_provider_or_operation_is_a_mistake_like_any_other(known_providers: Providers) -> None:
    assert known_providers.mistakes("nobody", "image_edit", {}) == {"provider": "There is no such provider."}
    assert known_providers.mistakes("gemini", "sing", {}) == {"operation": "Google Gemini has no such operation."}
