"""How the browsers of people ask, and what else may look like one."""

import httpx

from tests.administrators import browser
from tests.serving import Api

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
IMG = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
PERSON = {"Accept": CHROME, "Accept-Language": "ru-RU,ru;q=0.9,en;q=0.8"}
HTMX = {"HX-Request": "true", "Accept": "*/*"}


async def page(http: httpx.AsyncClient, api: Api, path: str, **headers: str) -> httpx.Response:
    """As a browser asks that is logged in."""
    return await http.get(api.url + path, headers={**PERSON, **await browser(api), **headers})
