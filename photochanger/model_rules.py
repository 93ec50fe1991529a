"""What a model can do besides what its operation's schema says: the sizes, qualities and so on of its own.

They stand in its entry in providers.json. A form may offer what any model of the operation takes; a slot may keep only
what its own model takes, because a driver refuses the rest before it calls: each photo would fail.
"""

import re
from collections.abc import Mapping
from typing import Any

CHOICES = {
    "size": "sizes",
    "aspect_ratio": "aspect_ratios",
    "thinking_level": "thinking_levels",
    "quality": "qualities",
    "background": "backgrounds",
}
"""A setting, and the list of what a model takes for it."""
LEFT_TO_THE_MODEL = "auto"
SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")


def mistakes(model: str, capabilities: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    """A sentence by each setting (`size`) that this model does not take, if the schema lets it pass."""
    found = {}
    for setting, capability in CHOICES.items():
        wanted, taken = settings.get(setting), capabilities.get(capability)
        if wanted in (None, LEFT_TO_THE_MODEL) or taken is None or wanted in taken:
            continue
        only = f"only: {', '.join(taken)}" if taken else "none at all"
        found[setting] = f"{model} does not take this {setting}, {only}."
    bounds, size = capabilities.get("free_sizes"), settings.get("size", LEFT_TO_THE_MODEL)
    if bounds is not None and isinstance(size, str) and size != LEFT_TO_THE_MODEL and not fits(bounds, size):
        found["size"] = f"{model} does not take this size, only within: {told(bounds)}."
    if "input_fidelity" in settings and capabilities.get("input_fidelity") is False:
        found["input_fidelity"] = f"{model} does not know input_fidelity."
    return found


def fits(bounds: Mapping[str, Any], size: str) -> bool:
    """Whether a size like `1536x1024` keeps within a model's `free_sizes`."""
    sides = SIZE.fullmatch(size)
    if sides is None:
        return False
    short, long = sorted(map(int, sides.groups()))
    return bool(
        bounds["least_pixels"] <= short * long <= bounds["most_pixels"]
        and short % bounds["step_px"] == 0 == long % bounds["step_px"]
        and long <= bounds["max_side_px"]
        and long <= bounds["max_ratio"] * short
    )


def told(bounds: Mapping[str, Any]) -> str:
    """The bounds for people: `step_px 16, max_side_px 3840, …`."""
    return ", ".join(f"{name} {bound}" for name, bound in bounds.items())
