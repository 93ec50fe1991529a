"""Documents against schemas, stricter than the draft, with sentences that repeat nothing of what was given."""

import json
from typing import Any

import pytest

from photochanger import json_rules

SECONDS = {"type": "object", "properties": {"seconds": {"type": "integer", "minimum": 10, "maximum": 60}}}
SCALE = {"type": "object", "properties": {"scale": {"type": "number", "minimum": 0.1, "maximum": 20}}}


def said(schema: dict[str, Any], document: Any) -> dict[str, str]:
    return json_rules.mistakes(schema, document)


@pytest.mark.parametrize("value", ["9", "61", "48.5", "48.0", '"48"', "NaN", "1e9", "null", "true", "[48]", "1e999"])
def test_what_is_no_whole_number_in_its_range_is_refused(value: str) -> None:
    document = {"seconds": json.loads(value)}
    assert said(SECONDS, document) == {"seconds": "It must be a whole number from 10 to 60."}


@pytest.mark.parametrize("value", [10, 48, 60])
def test_a_whole_number_in_its_range_is_taken(value: int) -> None:
    assert said(SECONDS, {"seconds": value}) == {}


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "true", '"1"', "0.05", "21"])
def test_what_is_no_number_in_its_range_is_refused(value: str) -> None:
    assert said(SCALE, {"scale": json.loads(value)}) == {"scale": "It must be a number from 0.1 to 20."}


@pytest.mark.parametrize("value", [1, 0.1, 7.5])
def test_a_number_may_be_whole(value: float) -> None:
    assert said(SCALE, {"scale": value}) == {}


def test_a_number_may_have_to_be_above_another() -> None:
    schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 5}
    assert said(schema, 0.01) == {}
    for number in (0, 6, float("nan")):
        assert said(schema, number) == {"body": "It must be a number above 0 up to 5."}


def test_a_patterns_end_is_the_end_of_the_text() -> None:
    schema = {"type": "string", "pattern": "^[a-z]+$"}
    assert said(schema, "key") == {}
    assert said(schema, "key\n") == {"body": "It does not have the form that is asked for."}
    assert said({"type": "string", "pattern": r"\$"}, "5$\n") == {}


def test_every_place_has_its_sentence() -> None:
    schema = {
        "type": "object",
        "required": ["name", "inner"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "inner": {"type": "object", "required": ["a"], "additionalProperties": False, "properties": {"a": {}}},
            "colour": {"type": "string", "enum": ["red", "blue"]},
            "many": {"type": "array", "maxItems": 1, "items": {"type": "boolean"}},
            "either": {"type": ["integer", "null"], "minimum": 1},
            "size": {"type": "string", "pattern": "x", "examples": ["1x1"]},
        },
    }
    document = {"inner": {"b": 1}, "colour": "pink", "many": [True, 1], "either": 0, "size": "1", "?": 1}
    assert said(schema, document) == {
        "name": "It is missing.",
        "inner.a": "It is missing.",
        "inner.b": "There is no such field.",
        "colour": "It must be one of: red, blue.",
        "many": "It may have at most 1 entries.",
        "many.1": "It must be true or false.",
        "either": "It must be a whole number from 1 or null.",
        "size": "It must look like one of: 1x1.",
        "?": "There is no such field.",
    }


def test_a_document_of_another_kind_is_told_as_a_whole() -> None:
    assert said(SECONDS, []) == {"body": "It must be an object."}


def test_no_sentence_repeats_what_was_given() -> None:
    schema = {"properties": dict(enumerate_rules())}
    document = dict.fromkeys(schema["properties"], "canary" * 20)
    found = said(schema, document)
    assert len(found) == len(schema["properties"])
    assert "canary" not in json.dumps(found)


def enumerate_rules() -> list[tuple[str, dict[str, Any]]]:
    rules: list[dict[str, Any]] = [
        {"type": "integer"},
        {"enum": ["a"]},
        {"const": "a"},
        {"type": "string", "pattern": "^x"},
        {"type": "string", "maxLength": 3},
        {"type": "string", "minLength": 300},
        {"not": {}},
        {"anyOf": [{"type": "null"}]},
    ]
    return [(f"field_{number}", rule) for number, rule in enumerate(rules)]


@pytest.mark.parametrize("text", ["nul \0", "half a pair \ud83d"])
def test_what_the_database_cannot_keep_is_refused_wherever_it_stands(text: str) -> None:
    document = {"list": [{"deep": text}], "plain": "ж 🙂"}
    assert said({}, document) == {"list.0.deep": "It has characters that cannot be kept."}


def test_names_of_fields_can_be_answered_and_logged() -> None:
    found = said({"additionalProperties": False}, {"a\nb": 1, "\ud83d": 2, "x" * 500: 3})
    assert set(found) == {"a?b", "?", "x" * 100}
    json.dumps(found, ensure_ascii=False).encode()


def test_a_thousand_mistakes_are_told_in_part() -> None:
    document = {f"field_{number}": 1 for number in range(1000)}
    assert len(said({"additionalProperties": False}, document)) == json_rules.MOST_MISTAKES


@pytest.mark.parametrize("depth", [40, 950, 100_000])
def test_a_document_that_is_nested_too_deep_is_not_looked_at(depth: int) -> None:
    deep: Any = "x"
    for _ in range(depth):
        deep = [deep]
    assert list(said({"properties": {"prompt": {"type": "string"}}}, {"prompt": deep}).values()) == [
        "It is nested too deep."
    ]
