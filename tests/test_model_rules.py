"""What a slot's model can do, beyond what its operation's schema says."""

from typing import Any

import pytest

from photochanger import model_rules
from photochanger.providers import Providers

BOUNDS = {"step_px": 16, "max_side_px": 3840, "max_ratio": 3, "least_pixels": 655360, "most_pixels": 8294400}


@pytest.mark.parametrize(
    ("provider", "settings", "place"),
    [
        ("gemini", {"model": "gemini-3.1-flash-lite-image", "size": "2K"}, "settings.size"),
        ("gemini", {"model": "gemini-3-pro-image", "aspect_ratio": "8:1"}, "settings.aspect_ratio"),
        ("gemini", {"model": "gemini-3-pro-image", "thinking_level": "High"}, "settings.thinking_level"),
        ("openai", {"model": "gpt-image-1.5", "size": "2048x2048"}, "settings.size"),
        ("openai", {"size": "1000x1000"}, "settings.size"),
        ("openai", {"model": "gpt-image-2", "quality": "max"}, "settings.quality"),
        ("openai", {"background": "transparent"}, "settings.background"),
        ("openai", {"input_fidelity": "high"}, "settings.input_fidelity"),
        ("openai", {"model": "gpt-image-1", "background": "transparent"}, "settings.background"),
    ],
)
def test_what_the_model_does_not_take_is_named(
    known_providers: Providers, provider: str, settings: dict[str, Any], place: str
) -> None:
    """The last one is retired: what counts is the model that replaces it."""
    found = known_providers.mistakes(provider, "image_edit", {"prompt": "x", **settings})
    assert list(found) == [place]


@pytest.mark.parametrize(
    ("provider", "settings"),
    [
        ("gemini", {"size": "4K", "aspect_ratio": "8:1", "thinking_level": "High"}),
        ("gemini", {"model": "gemini-3.1-flash-lite-image", "size": "1K"}),
        ("openai", {"size": "auto", "quality": "auto", "background": "auto"}),
        ("openai", {"size": "3840x2160", "quality": "max", "background": "opaque"}),
        (
            "openai",
            {"model": "gpt-image-1.5", "size": "1024x1536", "background": "transparent", "input_fidelity": "high"},
        ),
        ("turbotext", {"strength": 40, "seed": 7}),
    ],
)
def test_what_the_model_takes_is_in_order(known_providers: Providers, provider: str, settings: dict[str, Any]) -> None:
    assert known_providers.mistakes(provider, "image_edit", {"prompt": "x", **settings}) == {}


def test_a_sentence_of_the_schema_comes_first(known_providers: Providers) -> None:
    found = known_providers.mistakes("gemini", "image_edit", {"prompt": "x", "size": "8K"})
    assert found == {"settings.size": "It must be one of: 1K, 2K, 4K."}


@pytest.mark.parametrize("size", ["1024x1024", "3840x2160", "1536x512"])
def test_sizes_within_the_bounds_fit(size: str) -> None:
    assert model_rules.fits(BOUNDS, size)


@pytest.mark.parametrize(
    "size",
    [
        "1000x1000",
        "512x512",
        "3856x1600",
        "4096x1024",
        "3840x1024",
        "3840x3840",
        "x",
        "1024",
        "01024x1024",
        "1024x1024\n",
    ],
)
def test_sizes_outside_of_the_bounds_do_not_fit(size: str) -> None:
    assert not model_rules.fits(BOUNDS, size)
