"""What Turbotext's answers come to: pure functions over bodies, the documented ones and any junk."""

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict

from photochanger import providers
from runner.body import Answer
from runner.driver import Exchange, Outcome, ProviderFailed, Receipt
from runner.drivers import turbotext_answer
from runner.drivers.turbotext_answer import Method

KEY = "vip-key-vip-key-vip-key"
BASE = "https://www.turbotext.ru"
LINK = f"{BASE}/download.php?f=abc.png"
RECEIPT = Receipt(model="turbotext", request_id="918273")
MODEL = providers.load().by_name["turbotext"].models["turbotext"]
JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), "", "x", "\x00\n\x1b[31m", "\ud800", "\u202e"),
    *("True", "False", "reconnect", "LIMIT", KEY, LINK, [], {}, [[]], [None], {"x": None}, [{}], {"success": True}),
)


def exchange(*, base_url: str = BASE, **prices: float) -> Exchange:
    return Exchange(
        job_id="0" * 32,
        operation="style_transfer",
        settings={},
        model=replace(MODEL, capabilities={"price": {"per_picture_usd": prices}}),
        base_url=base_url,
        key=KEY,
        deadline=0.0,
    )


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=CIMultiDict(headers or {}), body=data)


def finished(*without: str, data: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    whole = {
        "success": True,
        "error": "",
        "data": {"width": 1024, "height": 768, "seed": 42, "forbidden_content": False, **(data or {})},
        "uploaded_image": LINK,
        "limits": {"foto_limit": 120, "text_limit": 300},
        **more,
    }
    return {name: value for name, value in whole.items() if name not in without}


def place(body: Any, *, base_url: str = BASE) -> str | None:
    """Where the answer to a poll says that the picture is; None when it is not finished."""
    found = turbotext_answer.result(answer(body), exchange(base_url=base_url), receipt=RECEIPT)
    return found.url if found else None


def failed(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> ProviderFailed:
    """How such an answer to a poll fails."""
    with pytest.raises(ProviderFailed) as caught:
        turbotext_answer.result(answer(body, status=status, headers=headers), exchange(), receipt=RECEIPT)
    error = caught.value
    assert (error.receipt.model, error.receipt.http_status) == ("turbotext", status)
    assert KEY not in f"{error} {error.receipt}"
    assert error.reason.isprintable()
    return error


def queueid(body: Any, *, status: int = 200) -> str:
    return turbotext_answer.queueid(answer(body, status=status), key=KEY, receipt=Receipt(model="turbotext"))


def not_queued(body: Any, *, status: int = 200) -> ProviderFailed:
    with pytest.raises(ProviderFailed) as caught:
        queueid(body, status=status)
    return caught.value


# The queue's reference


@pytest.mark.parametrize(
    ("given", "found"), [(918273, "918273"), ("918273", "918273"), (" 7 ", "7"), (1, "1"), ("a1-b_2", "a1-b_2")]
)
def test_a_queueid_is_a_number_or_a_text(given: Any, found: str) -> None:
    assert queueid({"success": True, "queueid": given}) == found
    assert queueid({"success": "True", "queueid": given}) == found


@pytest.mark.parametrize(
    "given",
    [
        *(None, "", " ", 0, "0", "000", -1, "-1", True, False, "true", "None", "null", 1.5, float("nan"), [], [1], {}),
        *("x" * 101, "1 2", "1\n2", "../1", "1&do=x", "é"),
    ],
)
def test_anything_else_is_no_queueid(given: Any) -> None:
    error = not_queued({"success": True, "queueid": given})
    assert error.outcome is Outcome.BAD_RESPONSE
    assert error.receipt.http_status == 200


def test_a_queueid_counts_even_if_nothing_is_said_about_success() -> None:
    """It may be paid for."""
    assert queueid({"queueid": 5}) == "5"


def test_a_refusal_counts_even_beside_a_queueid() -> None:
    assert not_queued({"success": False, "queueid": 5, "error": "LIMIT"}).outcome is Outcome.QUOTA_EXHAUSTED
    assert not_queued({"error": "url_error"}).outcome is Outcome.INVALID_REQUEST


# Where the picture is


@pytest.mark.parametrize(
    ("body", "url"),
    [
        (finished(), LINK),
        (finished(data={"uploaded_image": "https://elsewhere.example/x.png", "image": ["image/y.png"]}), LINK),
        (finished("uploaded_image", data={"uploaded_image": LINK, "image": ["image/y.png"]}), LINK),
        (finished("uploaded_image", data={"image": [LINK, "image/y.png"]}), LINK),
        (finished("uploaded_image", data={"image": ["image/y_0.png"]}), f"{BASE}/image/y_0.png"),
        (finished("uploaded_image", data={"image": "image/y_0.png"}), f"{BASE}/image/y_0.png"),
        (finished(uploaded_image="", data={"uploaded_image": None, "image": ["/image/y.png"]}), f"{BASE}/image/y.png"),
        (finished(uploaded_image=False, data={"uploaded_image": 5, "image": ["image/y.png"]}), f"{BASE}/image/y.png"),
        (finished(uploaded_image="download.php?f=z"), f"{BASE}/download.php?f=z"),
        (finished(uploaded_image="//cdn.example/z.png"), "https://cdn.example/z.png"),
        (finished(uploaded_image="HTTP://cdn.example/z.png"), "HTTP://cdn.example/z.png"),
        (finished(uploaded_image="file:///etc/passwd"), "file:///etc/passwd"),
        (finished(success="True"), LINK),
        (finished(success=1), LINK),
        (finished("data"), LINK),
        (finished(data=None, error="False alarm"), LINK),
        (finished(action=""), LINK),
        (finished(action="done"), LINK),
    ],
)
def test_the_picture_is_looked_for_in_four_places(body: Any, url: str) -> None:
    assert place(body) == url


def test_a_relative_place_is_one_below_the_configured_address() -> None:
    body = finished("uploaded_image", data={"image": ["image/y_0.png"]})
    assert place(body, base_url="http://127.0.0.1:9000/turbotext") == "http://127.0.0.1:9000/turbotext/image/y_0.png"
    body = finished(uploaded_image="//127.0.0.1/x")
    assert place(body, base_url="http://127.0.0.1:9000/turbotext") == "http://127.0.0.1/x"


def test_reconnect_means_not_yet_whatever_else_is_said() -> None:
    for body in (
        {"action": "reconnect"},
        {"action": " Reconnect"},
        finished(action="reconnect"),
        b"{'action': 'reconnect'}",
    ):
        assert place(body) is None
    assert place({"success": False, "error": "provider_busy", "action": "reconnect"}) is None


@pytest.mark.parametrize("limits", [None, [], {}, {"foto_limit": None}, {"foto_limit": True}, {"foto_limit": -1}])
def test_credits_that_are_not_told_are_not_made_up(limits: Any) -> None:
    found = turbotext_answer.result(answer(finished(limits=limits)), exchange(), receipt=RECEIPT)
    assert found is not None
    assert found.receipt.usage is None


@pytest.mark.parametrize(("told", "left"), [(120, 120), ("7", 7), (0, 0)])
def test_the_receipt_has_the_credits_left_and_the_price(told: Any, left: int) -> None:
    body = finished(limits={"foto_limit": told})
    found = turbotext_answer.result(answer(body), exchange(any=0.05), receipt=RECEIPT)
    assert found is not None
    assert found.receipt == Receipt(
        model="turbotext", http_status=200, request_id="918273", usage={"photo_credits_left": left}, cost_usd=0.05
    )
    assert failed(finished(limits={"foto_limit": told}, data={"forbidden_content": True})).receipt.usage == {
        "photo_credits_left": left
    }


# What goes wrong


@pytest.mark.parametrize(
    "value", [True, "True", "true", " TRUE ", 1, "1", "yes", "nsfw", ["x"], {"a": 1}, -1, float("nan")]
)
def test_forbidden_content_is_blocked_even_beside_success(value: Any) -> None:
    for body in (
        finished(data={"forbidden_content": value}),
        finished(forbidden_content=value),
        finished(success=False, error="unknown", data={"forbidden_content": value}),
    ):
        error = failed(body)
        assert (error.outcome, error.repeatable) == (Outcome.CONTENT_BLOCKED, False)


@pytest.mark.parametrize("value", [False, "False", "false ", 0, "0", "", "no", None, "None", [], {}])
def test_a_plain_no_is_not_forbidden(value: Any) -> None:
    assert place(finished(data={"forbidden_content": value})) == LINK


@pytest.mark.parametrize(
    ("error", "outcome", "repeatable", "told"),
    [
        ("LIMIT", Outcome.QUOTA_EXHAUSTED, False, "credits are used up: LIMIT"),
        ("foto_limit", Outcome.QUOTA_EXHAUSTED, False, "credits are used up"),
        ("Limit exceeded", Outcome.QUOTA_EXHAUSTED, False, "credits are used up"),
        ("Превышен лимит", Outcome.QUOTA_EXHAUSTED, False, "credits are used up: Превышен лимит"),
        ("provider_busy", Outcome.PROVIDER_UNAVAILABLE, True, "busy"),
        ("url_error", Outcome.INVALID_REQUEST, False, "the provider could not fetch our picture: url_error"),
        ("face_not_detected", Outcome.INVALID_REQUEST, False, "found no face"),
        ("face_not_found", Outcome.INVALID_REQUEST, False, "found no face"),
        ("params_error", Outcome.INVALID_REQUEST, False, "the provider refused the request: params_error"),
        ("size_error", Outcome.INVALID_REQUEST, False, "the picture's size"),
        ("quality_limit", Outcome.INVALID_REQUEST, False, "the picture's quality"),
        ("forbidden_content", Outcome.CONTENT_BLOCKED, False, "forbidden"),
        ("никогда не слышали", Outcome.INVALID_REQUEST, False, "refused the request: никогда не слышали"),
        (42, Outcome.INVALID_REQUEST, False, "refused the request: 42"),
        ({"code": 7, "text": "LIMIT"}, Outcome.QUOTA_EXHAUSTED, False, "7 LIMIT"),
        (["url_error"], Outcome.INVALID_REQUEST, False, "could not fetch our picture"),
        ("", Outcome.INVALID_REQUEST, False, "the provider refused the request"),
        (None, Outcome.INVALID_REQUEST, False, "the provider refused the request"),
    ],
)
@pytest.mark.parametrize("success", [False, "False", 0])
def test_a_failure_is_known_by_its_words(
    error: Any, outcome: Outcome, repeatable: bool, told: str, success: Any
) -> None:
    for found in (failed({"success": success, "error": error}), not_queued({"success": success, "error": error})):
        assert (found.outcome, found.repeatable) == (outcome, repeatable)
        assert told in found.reason


def test_an_error_tells_neither_the_key_nor_our_links() -> None:
    words = f"url_error: https://photos.example/public/provider-media/0123abc?x=1 with Bearer {KEY}"
    error = failed({"success": False, "error": words})
    assert "provider-media" not in error.reason
    assert error.reason == "the provider could not fetch our picture: url_error: [link] with Bearer [key]"


def test_success_without_a_picture_is_no_image() -> None:
    for body in (finished("uploaded_image"), finished("uploaded_image", data={"image": []}), {"success": True}):
        error = failed(body)
        assert (error.outcome, error.repeatable) == (Outcome.NO_IMAGE, False)
    assert failed(finished("uploaded_image", error="LIMIT")).outcome is Outcome.QUOTA_EXHAUSTED


@pytest.mark.parametrize(
    "body",
    [{"status": "processing"}, {}, {"success": None}, {"success": "maybe"}, {"action": "dance"}, finished("success")],
)
def test_what_says_neither_success_nor_failure_is_asked_for_again(body: Any) -> None:
    error = failed(body)
    assert (error.outcome, error.repeatable) == (Outcome.BAD_RESPONSE, True)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "repeatable"),
    [
        (401, b"", Outcome.AUTH, False),
        (403, {"success": False, "error": "LIMIT"}, Outcome.AUTH, False),
        (402, b"", Outcome.QUOTA_EXHAUSTED, False),
        (400, {"success": False, "error": "LIMIT"}, Outcome.QUOTA_EXHAUSTED, False),
        (400, {"success": False, "error": "what"}, Outcome.INVALID_REQUEST, False),
        (404, b"<html>", Outcome.INVALID_REQUEST, False),
        (302, b"", Outcome.BAD_RESPONSE, True),
        (408, b"", Outcome.PROVIDER_UNAVAILABLE, True),
        (429, b"", Outcome.RATE_LIMITED, True),
        (500, {"success": False, "error": "provider_busy"}, Outcome.PROVIDER_UNAVAILABLE, True),
        (503, b"<html>", Outcome.PROVIDER_UNAVAILABLE, True),
        (504, {"error": "what"}, Outcome.PROVIDER_UNAVAILABLE, True),
    ],
)
def test_a_status_means_what_its_words_do_not(status: int, body: Any, outcome: Outcome, repeatable: bool) -> None:
    for error in (failed(body, status=status), not_queued(body, status=status)):
        assert (error.outcome, error.repeatable) == (outcome, repeatable)
        assert error.reason.startswith(f"HTTP {status}")


@pytest.mark.parametrize("status", [500, 502, 504, 524, 599])
@pytest.mark.parametrize(
    "body", [b"", b"<html>Gateway Timeout</html>", b"[", {"message": "timeout"}, {"success": None}]
)
def test_a_crash_or_a_gateway_leaves_open_whether_the_photo_was_queued(status: int, body: Any) -> None:
    submitted, asked = not_queued(body, status=status), failed(body, status=status)
    assert (submitted.outcome, submitted.repeatable) == (Outcome.AMBIGUOUS, False)
    assert (asked.outcome, asked.repeatable) == (Outcome.PROVIDER_UNAVAILABLE, True)
    assert submitted.reason.startswith(f"HTTP {status}: ")


@pytest.mark.parametrize(("header", "hint"), [("7", 7.0), ("", None), ("soon", None), ("-1", None), ("9999999", None)])
def test_a_hint_when_to_come_again_is_kept(header: str, hint: float | None) -> None:
    assert failed(b"", status=429, headers={"retry-after": header}).retry_after_seconds == hint


def test_an_answer_in_pythons_quotes_is_as_good_as_json() -> None:
    assert place(str(finished()).encode()) == LINK
    assert place(json.dumps(finished()).replace("/", "\\/").encode() + b"]") == LINK
    assert queueid(b"{'success': True, 'queueid': 5}") == "5"
    assert queueid(b'{"success": true, "queueid": 5]}') == "5"


# The list of methods


def listed(body: Any) -> list[Method]:
    return turbotext_answer.methods(answer(body), key=KEY)


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": {"available_api": [{"name": "a", "description": "А"}, {"name": "b"}]}},
        {"available_api": [{"name": "a", "description": "А"}, {"name": " b ", "description": None}]},
        {"available_api": {"a": "А", "b": ""}},
        {"available_api": [{"name": "a", "description": "А"}, "b", None, 5, {"name": ""}, {"x": 1}, [], {"name": [1]}]},
        "{'success': True, 'available_api': [{'name': 'a', 'description': 'А'}, {'name': 'b'}]]}".encode(),
    ],
)
def test_the_methods_are_read_however_they_are_listed(body: Any) -> None:
    assert listed(body) == [Method("a", "А"), Method("b", "")]


@pytest.mark.parametrize(
    ("body", "status", "outcome"),
    [
        (b"<html>Sign in</html>", 200, Outcome.BAD_RESPONSE),
        ({"success": True}, 200, Outcome.BAD_RESPONSE),
        ({"available_api": "a"}, 200, Outcome.BAD_RESPONSE),
        ({"success": False, "error": "LIMIT"}, 200, Outcome.QUOTA_EXHAUSTED),
        (b"", 401, Outcome.AUTH),
        (b"", 403, Outcome.AUTH),
        (b"", 502, Outcome.PROVIDER_UNAVAILABLE),
    ],
)
def test_a_page_that_lists_no_methods_does_not_pass_for_one(body: Any, status: int, outcome: Outcome) -> None:
    with pytest.raises(ProviderFailed) as caught:
        turbotext_answer.methods(answer(body, status=status), key=KEY)
    assert caught.value.outcome is outcome


# Any junk


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
        read_every_way(answer(body, status=chance.choice((200, 200, 200, 400, 500))))


def read_every_way(whole: Answer) -> None:
    with suppress(ProviderFailed):
        turbotext_answer.queueid(whole, key=KEY, receipt=RECEIPT)
    with suppress(ProviderFailed):
        turbotext_answer.methods(whole, key=KEY)
    try:
        turbotext_answer.result(whole, exchange(), receipt=RECEIPT)
    except ProviderFailed as error:
        told = f"{error} {error.receipt}"
    else:
        told = ""
    assert KEY not in told


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
