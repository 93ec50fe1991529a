"""`GET /api/docs`: the whole contract on a page that fetches nothing from elsewhere."""

from html.parser import HTMLParser

import httpx
import pytest

from api.contract import document
from api.docs import type_of
from tests.routes import described
from tests.serving import Api

pytestmark = pytest.mark.anyio

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """What stands on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "action"}:
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


@pytest.fixture
async def page(api: Api, http: httpx.AsyncClient) -> Page:
    answer = await http.get(f"{api.url}/api/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return Page(answer.text)


async def test_it_names_every_operation_parameter_answer_and_schema(page: Page) -> None:
    words = set(page.words)
    for method, path, operation in described():
        assert {method, path} <= words
        assert f"operation-{operation['operationId']}" in page.ids
        assert set(operation["responses"]) <= words
        assert {parameter["name"] for parameter in operation.get("parameters", []) if "name" in parameter} <= words
    assert {f"schema-{name}" for name in document()["components"]["schemas"]} <= set(page.ids)
    assert "`" not in "".join(page.words)


async def test_it_is_whole_and_its_links_lead_somewhere(page: Page, api: Api, http: httpx.AsyncClient) -> None:
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
        else:
            assert address.startswith("/")
            assert not address.startswith("//")
            assert (await http.get(f"{api.url}{address}")).status_code == 200


async def test_nothing_on_it_needs_more_than_its_policy_allows(page: Page) -> None:
    assert page.tags.isdisjoint({"script", "style", "iframe", "object", "base", "form"})
    assert not [name for name in page.attributes if name == "style" or name.startswith("on")]


def test_every_tag_of_an_operation_has_a_description() -> None:
    told = {tag["name"] for tag in document()["tags"]}
    assert {tag for _, _, operation in described() for tag in operation["tags"]} <= told


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["string", "null"], "format": "uri"}, "string or null (uri)"),
        ({"type": "integer", "minimum": 10, "maximum": 60}, "integer, 10 to 60"),
        ({"enum": ["a", 1]}, "one of a, 1"),
        ({"const": "bearer"}, "always bearer"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Job"}}, "list of Job"),
        ({"anyOf": [{"$ref": "#/components/schemas/Id"}, {"type": "null"}]}, "Id or null"),
        ({}, "anything"),
    ],
)
def test_types_are_told_in_a_few_words(schema: dict[str, object], words: str) -> None:
    assert type_of(schema) == words
