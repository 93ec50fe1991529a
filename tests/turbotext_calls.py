"""Calls of Turbotext as the runner makes them, for the driver's tests."""

import asyncio
from pathlib import Path
from typing import Any

from photochanger import providers
from photochanger.images import PreparedPicture
from runner.driver import Call, Exchange

PROVIDER = providers.load().by_name["turbotext"]
METHODS = {operation.options["method"]: name for name, operation in PROVIDER.operations.items()}
KEY = "vip-key-vip-key-vip-key"
PHOTO, STYLE, FACE = (f"https://photos.example/public/provider-media/{number:032x}" for number in (1, 2, 3))


def call(
    url: str, *, method: str | None = "mix_images", seconds: float = 10.0, key: str | None = KEY, **settings: Any
) -> Call:
    """A photo to be changed by this method, with a link for every role."""
    picture = PreparedPicture(path=Path("photo.jpg"), mime="image/jpeg", size_bytes=5, width=640, height=480)
    return Call(
        job_id="0" * 32,
        operation=METHODS.get(method, "object_replace"),
        settings=settings,
        options={"method": method},
        model=PROVIDER.models["turbotext"],
        photo=picture,
        links={"photo": PHOTO, "style": STYLE, "face": FACE},
        base_url=url,
        key=key,
        deadline=asyncio.get_running_loop().time() + seconds,
    )


def exchange(of: Call, *, seconds: float = 10.0) -> Exchange:
    """A later poll of the same job."""
    given = {name: value for name, value in vars(of).items() if name not in ("photo", "links", "templates")}
    return Exchange(**given | {"deadline": asyncio.get_running_loop().time() + seconds})
