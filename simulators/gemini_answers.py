"""Gemini's answers with status 200: candidates made of parts, their tokens, and the ways to have no picture."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from simulators.gemini_request import Asked

PICTURE_TOKENS = 1290
"""What a picture counts in a prompt."""
CHARACTERS_PER_TOKEN = 4
THOUGHT_TOKENS = {"MINIMAL": 0, "MEDIUM": 214, "HIGH": 902}

Part = Mapping[str, Any]


def picture_part(data: bytes | str, mime: str, *, thought: bool = False) -> Part:
    """A picture as bytes, or as base64 text that may be none."""
    encoded = data if isinstance(data, str) else base64.b64encode(data).decode()
    part: dict[str, Any] = {"inlineData": {"mimeType": mime, "data": encoded}}
    if thought:
        part["thought"] = True
    else:
        part["thoughtSignature"] = "c2ltdWxhdGVk"
    return part


def text_part(text: str, *, thought: bool = False) -> Part:
    """Prose; `thought` marks what the model says to itself."""
    return {"text": text, "thought": True} if thought else {"text": text}


def candidate(
    content: Mapping[str, Any] | None, *, finish_reason: str, finish_message: str | None = None
) -> dict[str, Any]:
    """One candidate. Without content it has no such key at all."""
    found: dict[str, Any] = {"index": 0, "finishReason": finish_reason}
    if content is not None:
        found["content"] = content
    if finish_message is not None:
        found["finishMessage"] = finish_message
    return found


def of_parts(parts: Sequence[Part]) -> Mapping[str, Any]:
    """A candidate's content."""
    return {"role": "model", "parts": list(parts)}


def answer(asked: Asked, **members: Any) -> dict[str, Any]:
    """The whole answer: its members (`candidates` or `promptFeedback`), its tokens, and who gave it."""
    return {
        **members,
        "usageMetadata": _usage(asked, members.get("candidates", [])),
        "modelVersion": asked.model.name,
        "responseId": secrets.token_urlsafe(16),
    }


def prompt_tokens(prompt: str, *, pictures: int) -> dict[str, int]:
    """Tokens of what was asked, by modality; modalities with none are left out."""
    counts = {"IMAGE": pictures * PICTURE_TOKENS, "TEXT": -(-len(prompt) // CHARACTERS_PER_TOKEN)}
    return {modality: count for modality, count in counts.items() if count}


def by_modality(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Tokens as Google lists them."""
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items()]


def _usage(asked: Asked, candidates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    parts = [part for one in candidates for part in one.get("content", {}).get("parts", ())]
    final = [part for part in parts if not part.get("thought")]
    asked_for = prompt_tokens(asked.prompt, pictures=len(asked.pictures))
    given = {
        "IMAGE": sum("inlineData" in part for part in final) * asked.model.tokens.get(asked.size, PICTURE_TOKENS),
        "TEXT": sum(-(-len(part.get("text", "")) // CHARACTERS_PER_TOKEN) for part in final),
    }
    given = {modality: count for modality, count in given.items() if count}
    level = asked.config.get("thinkingConfig", {}).get("thinkingLevel", "MEDIUM")
    thoughts = THOUGHT_TOKENS[level] if candidates else 0
    usage: dict[str, Any] = {"promptTokenCount": sum(asked_for.values())}
    if given:
        usage["candidatesTokenCount"] = sum(given.values())
        usage["candidatesTokensDetails"] = by_modality(given)
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    usage["totalTokenCount"] = sum(asked_for.values()) + sum(given.values()) + thoughts
    usage["promptTokensDetails"] = by_modality(asked_for)
    return usage
