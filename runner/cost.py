"""What a call cost, by the prices in providers.json.

A model's `price` has `per_picture_usd` by size (or quality: whatever the provider goes by), and, where the provider
tells them, `per_million_tokens_usd` by the kinds of tokens it tells apart. Counted tokens beat the price of a picture.
"""

from collections.abc import Mapping

from photochanger.providers import Model


def cost_usd(model: Model, usage: Mapping[str, int] | None, *, pictures: int, size: str) -> float | None:
    """US dollars to a millionth; None where neither tokens nor pictures tell it. Without a picture it may cost too.

    `usage` has `prompt_tokens`, `candidates_tokens` (words and pictures), `thoughts_tokens`, and `image_tokens`: those
    of the candidates' that are pictures (0 where the provider does not tell them apart).
    """
    price = model.capabilities.get("price", {})
    per_picture = price.get("per_picture_usd", {}).get(size)
    rates = price.get("per_million_tokens_usd")
    drawn = usage["image_tokens"] if usage else 0
    if usage is None or rates is None:
        # A picture that was drawn and then held back shows as image tokens only.
        billed = max(pictures, min(drawn, 1))
        return round(billed * per_picture, 6) if billed and per_picture is not None else None
    words = usage["thoughts_tokens"]
    if drawn or not pictures:
        words += max(usage["candidates_tokens"] - drawn, 0)
        picture_usd = drawn * rates.get("output_image", 0.0) / 1_000_000
    else:
        # Its tokens are among the candidates': the picture's own price stands for them.
        picture_usd = pictures * (per_picture or 0.0)
    text_usd = (usage["prompt_tokens"] * rates.get("input", 0.0) + words * rates.get("output_text", 0.0)) / 1_000_000
    return float(round(text_usd + picture_usd, 6))


def tokens_usd(model: Model, tokens: Mapping[str, int]) -> float | None:
    """US dollars to a millionth for tokens of the kinds that the model's prices name; None where it has no such."""
    rates = model.capabilities.get("price", {}).get("per_million_tokens_usd")
    if rates is None:
        return None
    return float(round(sum(count * rates.get(kind, 0.0) for kind, count in tokens.items()) / 1_000_000, 6))
