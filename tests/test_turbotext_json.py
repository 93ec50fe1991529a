"""What is nearly JSON, as Turbotext writes it: what is read all the same, and what is not guessed at."""

from typing import Any

import pytest

from runner.drivers.turbotext_json import MOST_BYTES, parsed


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"a": [1]], "b": 2}', {"a": [1], "b": 2}),
        ('{"a": {"b": ["x]"]}]}', {"a": {"b": ["x]"]}}),
        ('{"a": 1}]', {"a": 1}),
        ('{"a": 1}}', {"a": 1}),
        ("{'a': True, 'b': None, 'c': ['d', \"e\"]}", {"a": True, "b": None, "c": ["d", "e"]}),
        ("{'a': true, \"b\": null, 'c': false}", {"a": True, "b": None, "c": False}),
        ("{'a': 'it\\'s', 'b': 'x]y'}", {"a": "it's", "b": "x]y"}),
        ("{'a': 'https:\\/\\/x\\/y', 'b': '\\u0416'}", {"a": "https://x/y", "b": "Ж"}),
        ("\ufeff {'a': -1.5}\n", {"a": -1.5}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": 1,}', {"a": 1}),
    ],
)
def test_what_is_nearly_json_is_read_as_it_is_meant(text: str, meant: Any) -> None:
    assert parsed(text.encode()) == meant


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "<html>",
            "<br />\n<b>Notice</b>: x\n{'a': 1}",
            "null",
            "OK",
            "{'a': 1",
            '{"a": [1}',
            "{'a': 'b}",
            "{",
        ),
        *(
            "{'a': open('x')}",
            "{'a': __import__('os')}",
            "{'a': x}",
            "{'a': [x for x in 'ab']}",
            "{'a': 1}; 2",
            "{*'a'}",
        ),
        *(
            "{'a': f'{1}'}",
            "{'a': lambda: 1}",
            "{'a': (b := 1)}",
            "{'a': 9**9**9}",
            "{[]: 1}",
            "{'a': '\\q'}",
            "{'a': '\\x41'}",
        ),
        *("{'a': " + "[" * 30 + "]" * 30 + "}", "{'a': " + "(" * 9000 + "}", "{'a': " + "-" * 30000 + "1}"),
        *("{'a': " + "1+" * 20000 + "1}", "{'a': " + "not " * 9000 + "1}", "{'a': '" + "x" * MOST_BYTES + "'}"),
        *("{'a': '\x00'}", "{'a': '\ud83d'}"[:-1], "{'a': " + "9" * 5000 + "}"),
    ],
)
def test_what_is_not_meant_for_sure_is_not_guessed(text: str) -> None:
    found = parsed(text.encode("utf-8", "surrogatepass"))
    assert found is None


def test_a_body_that_is_no_text_is_nothing() -> None:
    assert parsed(b"{'a': '\xff\xfe'}") is None
    assert parsed(b"\x89PNG\r\n") is None
    assert parsed(b"[" * 100_000) is None
