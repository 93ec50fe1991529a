"""Any junk in Turbotext's answers ends in a deliberate failure."""

import random
from contextlib import suppress
from typing import Any

import pytest

from runner.body import Answer
from runner.driver import Outcome, ProviderFailed
from runner.drivers import turbotext_answer
from tests.turbotext_answers import KEY, LINK, RECEIPT, answer, exchange, failed, finished, not_queued

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "x", "\x00\n\x1b[31m", "\ud800", "\u202e"),
    *("True", "False", "reconnect", "LIMIT", KEY, LINK, [], {}, [[]], [None], {"x": None}, [{}], {"success": True}),
)


def test_junk_anywhere_ends_in_a_deliberate_failure() -> None:
    """Values of the wrong kind, one or two at a time: nothing but the outcomes of the contract may come of them."""
    chance = random.Random(7)
    paths: list[tuple[str, ...]] = [
        *((name,) for name in ("success", "error", "data", "uploaded_image", "limits", "action", "queueid")),
        *(("data", name) for name in ("image", "uploaded_image", "forbidden_content")),
        ("limits", "foto_limit"),
    ]
    for _ in range(3_000):
        body = finished(data={"image": ["image/y.png"]}, queueid=5)
        for path in chance.sample(paths, chance.choice((1, 2, 3))):
            node: Any = body
            for name in path[:-1]:
                node = node.get(name) if isinstance(node, dict) else None
            if isinstance(node, dict):
                node[path[-1]] = chance.choice(JUNK)
        told = read_every_way(answer(body, status=chance.choice((200, 200, 200, 400, 500))))
        assert KEY not in told


def read_every_way(whole: Answer) -> str:
    """What is told of it where it fails."""
    with suppress(ProviderFailed):
        turbotext_answer.queueid(whole, key=KEY, receipt=RECEIPT)
    with suppress(ProviderFailed):
        turbotext_answer.methods(whole, key=KEY)
    try:
        turbotext_answer.result(whole, exchange(), receipt=RECEIPT)
    except ProviderFailed as error:
        return f"{error} {error.receipt}"
    return ""


@pytest.mark.parametrize("body", [junk for junk in JUNK if not isinstance(junk, dict)])
def test_an_answer_that_is_no_object_is_a_bad_response(body: Any) -> None:
    assert failed(body).outcome is Outcome.BAD_RESPONSE
    assert not_queued(body).outcome is Outcome.BAD_RESPONSE


def test_a_deeply_nested_value_does_no_harm() -> None:
    for depth in (50, 500, 900):
        nested = b"[" * depth + b"]" * depth
        for name in (b"error", b"success", b"data", b"uploaded_image", b"queueid", b"action"):
            body = b'{"%b": %b}' % (name, nested)
            assert failed(body).outcome in (Outcome.BAD_RESPONSE, Outcome.INVALID_REQUEST)
        body = b'{"success": true, "data": {"forbidden_content": %b}}' % nested
        assert failed(body).outcome is Outcome.CONTENT_BLOCKED
