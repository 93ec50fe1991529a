"""Numbers as people write them into a slot's form."""

import pytest

from api.pages.fields import value_of


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("48", "integer", 48),
        (" -3 ", "integer", -3),
        ("0,5", "number", 0.5),
        ("2", "number", 2.0),
        ("7", "string", "7"),
    ],
)
def test_what_people_write_as_a_number_is_one(text: str, kind: str, value: object) -> None:
    found = value_of(text, {"type": kind})
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("4_8", "integer"),
        ("48.5", "integer"),
        ("1e3", "number"),
        ("nan", "number"),
        ("inf", "number"),
        ("٤٨", "integer"),
    ],
)
def test_anything_else_stays_a_text_which_its_schema_then_refuses(text: str, kind: str) -> None:
    assert value_of(text, {"type": kind}) == text
