"""What Turbotext's good answers come to: the queue's reference, the picture's place, the list of methods."""

import json
from typing import Any

import pytest

from runner.driver import Outcome, ProviderFailed, Receipt
from runner.drivers import turbotext_answer
from runner.drivers.turbotext_answer import Method
from tests.turbotext_answers import (
    BASE,
    KEY,
    LINK,
    RECEIPT,
    answer,
    exchange,
    failed,
    finished,
    not_queued,
    place,
    queueid,
)

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
