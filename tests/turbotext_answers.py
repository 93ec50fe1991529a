"""Turbotext's answers, good and bad, and what they come to, for the tests of its pure functions."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict

from photochanger import providers
from runner.body import Answer
from runner.driver import Exchange, ProviderFailed, Receipt
from runner.drivers import turbotext_answer

KEY = "vip-key-vip-key-vip-key"
BASE = "https://www.turbotext.ru"
LINK = f"{BASE}/download.php?f=abc.png"
RECEIPT = Receipt(model="turbotext", request_id="918273")
MODEL = providers.load().by_name["turbotext"].models["turbotext"]


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
