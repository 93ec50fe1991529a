"""The download of a result: the provider's own address, its credentials, and where redirects may lead."""

import pytest

from runner.fetch import fetch, same_origin
from tests.fetching import BASE, PICTURE, PUBLIC, assert_refused, resolving, soon
from tests.loopback import answering, response, serving


def redirect(to: str, *, status: str = "302 Found") -> bytes:
    return response(b"", status=status, headers=f"Location: {to}\r\n")


# The provider's own address


@pytest.mark.anyio
async def test_the_providers_own_address_may_be_plain_http_on_loopback_and_no_other_may() -> None:
    async with serving(answering(response(PICTURE))) as port, serving(answering(response(PICTURE))) as other:
        base = f"http://127.0.0.1:{port}/turbotext"
        assert await fetch(f"http://127.0.0.1:{port}/x", deadline=soon(), allowed_base=base) == PICTURE
        for url in (f"http://127.0.0.1:{other}/x", f"http://localhost:{port}/x", f"https://127.0.0.1:{port}/x"):
            await assert_refused(url, "refused", allowed_base=base)
        await assert_refused(f"http://127.0.0.1:{port}/x", "not https", allowed_base=None)
        await assert_refused(f"http://u:secret@127.0.0.1:{port}/x", "names a user", allowed_base=base)


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("https://www.turbotext.ru/x", BASE, True),
        ("https://WWW.turbotext.ru:443/x", BASE, True),
        ("http://www.turbotext.ru/x", BASE, False),
        ("https://turbotext.ru/x", BASE, False),
        ("https://www.turbotext.ru.evil.com/x", BASE, False),
        ("https://www.turbotext.ru:444/x", BASE, False),
        ("image/x.png", "image/x.png", False),
        ("https://[::1", "https://[::1", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, other: str, same: bool) -> None:
    assert same_origin(url, other) is same


@pytest.mark.anyio
async def test_a_signed_address_is_asked_for_to_the_letter() -> None:
    heads: list[str] = []
    async with serving(answering(response(PICTURE), heads=heads)) as port:
        base = f"http://127.0.0.1:{port}"
        for path in ("/a%2Fb/c.png?sig=a%2bb%2F%3d&x=~!*'", "/a b/ü.png"):
            await fetch(base + path, deadline=soon(), allowed_base=base)
    assert heads[0].split()[1] == "/a%2Fb/c.png?sig=a%2bb%2F%3d&x=~!*'"
    assert heads[1].split()[1] == "/a%20b/%C3%BC.png"


@pytest.mark.anyio
async def test_credentials_go_to_the_providers_own_address_and_no_further() -> None:
    own: list[str] = []
    async with serving(answering(response(PICTURE), heads=own)) as port:
        base = f"http://127.0.0.1:{port}"
        key = {"Authorization": "Bearer secret"}
        await fetch(f"{base}/x", deadline=soon(), allowed_base=base)
        await fetch(f"{base}/x", deadline=soon(), allowed_base=base, headers=key)
    assert ["Bearer" in head for head in own] == [False, True]
    foreign: list[str] = []
    async with serving(answering(response(PICTURE), heads=foreign)) as port:
        # Not the base's own origin: refused here for being plain http; over https it would go without the key.
        await assert_refused(f"http://127.0.0.1:{port}/x", "not https", allowed_base=BASE, headers=key)
    assert foreign == []


# Redirects


@pytest.mark.anyio
@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/latest/meta-data/",
        "https://127.0.0.1/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://2130706433/x",
        "http://127.0.0.1:1/x",
        "//127.0.0.1/x",
        "https://user:secret@example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://[::1",
    ],
)
async def test_a_redirect_is_checked_like_the_first_address(target: str) -> None:
    async with serving(answering(redirect(target), response(b"loot"))) as port:
        base = f"http://127.0.0.1:{port}"
        await assert_refused(f"{base}/x", "refused", allowed_base=base)


@pytest.mark.anyio
async def test_a_redirect_to_a_name_is_looked_up_and_checked() -> None:
    asked: list[tuple[str, int]] = []
    async with serving(answering(redirect("https://example.com/x"))) as port:
        base = f"http://127.0.0.1:{port}"
        resolve = resolving(PUBLIC, "10.0.0.1", asked=asked)
        await assert_refused(f"{base}/x", "not lead to the internet", allowed_base=base, resolve=resolve)
    assert asked == [("example.com", 443)]


@pytest.mark.anyio
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_three_redirects_are_followed_and_no_fourth(status: str) -> None:
    heads: list[str] = []
    hops = [redirect(place, status=status) for place in ("/b/c", "../d?x=%2F", "e")]
    async with serving(answering(*hops, response(PICTURE), heads=heads)) as port:
        base = f"http://127.0.0.1:{port}"
        assert await fetch(f"{base}/a", deadline=soon(), allowed_base=base) == PICTURE
    assert [head.split()[1] for head in heads] == ["/a", "/b/c", "/d?x=%2F", "/e"]
    async with serving(answering(redirect("/again", status=status), heads=heads)) as port:
        base = f"http://127.0.0.1:{port}"
        heads.clear()
        await assert_refused(f"{base}/a", "redirects too often", allowed_base=base)
    assert len(heads) == 4


@pytest.mark.anyio
async def test_a_redirect_that_names_nothing_is_refused() -> None:
    async with serving(answering(response(b"", status="302 Found"))) as port:
        base = f"http://127.0.0.1:{port}"
        await assert_refused(f"{base}/a", "no URL", allowed_base=base)
