"""Gemini's answers, good and bad, and what they come to, for the tests of its pure functions."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from photochanger.images import PreparedPicture
from runner.body import Answer
from runner.driver import Call, ProviderFailed
from runner.drivers import gemini_answer
from tests.gemini_calls import DEFAULT, KEY, MODELS

PICTURE = bytes(range(256)) * 5
INVALID_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38s"}


def call(*, model: str = DEFAULT, **settings: str) -> Call:
    return Call(
        job_id="0" * 32,
        operation="image_edit",
        settings={"prompt": "Studio portrait", **settings},
        model=MODELS[model],
        photo=PreparedPicture(path=Path("none.jpg"), mime="image/jpeg", size_bytes=10, width=1, height=1),
        base_url="http://127.0.0.1:9",
        key=KEY,
        deadline=0.0,
    )


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=CIMultiDict(headers or {}), body=data)


def inline(data: bytes = PICTURE, *, mime: str = "image/png") -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}


def good(*parts: Any, finish: Any = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": 1302,
            "candidatesTokenCount": 1120,
            "thoughtsTokenCount": 214,
            "totalTokenCount": 2636,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
        },
        "modelVersion": "gemini-nano-banana-2.1-001",
        "responseId": "x1Y2",
        **more,
    }


def envelope(code: int, status: str, message: str = "Something", *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


def quota(quota_id: str, *, value: str = "20") -> dict[str, Any]:
    violation = {"quotaMetric": "x/generate_content_requests", "quotaId": quota_id, "quotaValue": value}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


def picture(body: Any, **given: str) -> bytes:
    return gemini_answer.image(answer(body), call(**given)).data


def failed(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> ProviderFailed:
    whole = answer(body, status=status, headers=headers)
    if status >= 300:
        return gemini_answer.failure(whole, model=DEFAULT, key=KEY)
    with pytest.raises(ProviderFailed) as caught:
        gemini_answer.image(whole, call())
    return caught.value
