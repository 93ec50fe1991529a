"""What runners and the health check say, in the language of the page: each sentence of ours, and nothing of others'."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.health import ROW_CHECKS
from api.pages.language import words
from api.pages.phrases import ANSWERS, CALLS, HEALTH, OUTCOMES, PICTURES, QUEUE
from api.pages.spoken import PLACEHOLDER, is_known, outcome_word, said
from photochanger.errors import Failure
from runner.driver import Outcome

ROOT = Path(__file__).resolve().parent.parent
SPEAKERS = {
    "ProviderFailed": 1,
    "Without": 1,
    "PictureError": 0,
    "_misshapen": 0,
    "_unreadable": 0,
    "_refused": -1,
    "_TooLong": 0,
    "AttemptEnd": None,
    "release": None,
    "_park": None,
}
"""Who is given a sentence, and where; None: by name (`reason`, `why`)."""
NAMED = {"reason", "why", "details"}
FACT = "500"
NAMED_BEFORE = {
    f"{FACT} cannot be used": "The template picture for ",
    f"{FACT} is missing": "The template picture for ",
}
"""Sentences that are begun in another variable."""


def spelled(node: ast.expr) -> str | None:
    """The text of a literal, with a fact for each hole; None for what is no text, or is nothing but holes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [one.value if isinstance(one, ast.Constant) else FACT for one in node.values]
        return "".join(map(str, parts)) if any(isinstance(one, ast.Constant) for one in node.values) else None
    return None


def texts(node: ast.AST) -> Iterator[str]:
    """The sentences that this call, assignment or tuple has."""
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        given: list[ast.expr] = []
        if name in SPEAKERS:
            place = SPEAKERS[name]
            given += node.args[place:][:1] if place is not None else []
            given += [keyword.value for keyword in node.keywords if keyword.arg in NAMED]
        if name == "Refusal" and len(node.args) > 1:
            given.append(node.args[1])
        yield from (text for one in given if (text := spelled(one)))
    if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["reason"]:
        yield from (text for one in [node.value] if (text := spelled(one)))
    if isinstance(node, ast.Tuple) and len(node.elts) in {2, 3} and "Outcome" in ast.dump(node):
        yield from (text for one in node.elts if (text := spelled(one)) and " " in text)


def sentences() -> set[str]:
    """All that runners can write of a photo, read from the code."""
    files = [*(ROOT / "runner").rglob("*.py"), *(ROOT / "photochanger").glob("picture_*.py")]
    files += [ROOT / "photochanger" / name for name in ("leases.py", "media.py", "budgets.py")]
    found = {text for file in files for node in ast.walk(ast.parse(file.read_text())) for text in texts(node)}
    begun = {text: before for text in found for end, before in NAMED_BEFORE.items() if text.startswith(end)}
    return {begun.get(text, "") + text for text in found}


def test_the_code_is_read() -> None:
    found = sentences()
    assert len(found) > 60
    for text in (
        "there is no API key",
        "the runner stops",
        "500 pictures are not taken",
        "The JPEG picture is cut off.",
    ):
        assert text in found


def test_each_sentence_of_a_runner_is_known() -> None:
    assert sorted(text for text in sentences() if not is_known(text)) == []


FACTS = {
    **dict.fromkeys(("words", "setting", "wanted", "choices", "role", "roles", "media", "operation"), "x y"),
    **dict.fromkeys(("provider", "folder", "kind", "told"), "Some Thing"),
    "status": "503",
    "count": "5",
    "code": "UNAVAILABLE",
    "reason": "SAFETY",
    "model": "nano-2.1",
    "mime": "image/gif",
    "seconds": "30",
    "width": "10",
    "height": "20",
}


MARKS = str.maketrans("", "", "«»“”\u2068\u2069")


@pytest.mark.parametrize("phrase", [*ANSWERS, *CALLS, *HEALTH, *PICTURES, *QUEUE])
def test_each_phrase_is_found_again_with_its_facts_in_both_languages(phrase: str) -> None:
    russian, english = (said(phrase % FACTS, language=language).translate(MARKS) for language in ("ru", "en"))
    assert english == phrase % FACTS
    assert russian != english or phrase.startswith("HTTP")
    for name in PLACEHOLDER.findall(phrase):
        assert FACTS[name] in russian


def test_each_sentence_of_the_health_check_is_known() -> None:
    tree = ast.parse((ROOT / "api" / "health.py").read_text())
    lists = [one for node in ast.walk(tree) if isinstance(node, ast.List) for one in node.elts]
    lists += [node.elt for node in ast.walk(tree) if isinstance(node, ast.ListComp)]
    told = {text.replace("known of 500", "known of runners") for one in lists if (text := spelled(one))}
    assert len(told) > 6
    assert sorted(text for text in told if not is_known(text)) == []


def test_each_outcome_of_an_attempt_has_a_word() -> None:
    assert OUTCOMES.keys() == {outcome.value for outcome in Outcome}
    for outcome in Outcome:
        assert outcome_word(outcome.value, language="ru") != outcome_word(outcome.value, language="en")


def test_what_is_not_known_of_a_check_is_known_by_name() -> None:
    for name in ROW_CHECKS:
        assert is_known(f"nothing is known of {name}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("there is no API key", "нет ключа API"),
        (
            "HTTP 503 UNAVAILABLE: the model is overloaded",
            "HTTP 503 UNAVAILABLE: «\u2068the model is overloaded\u2069»",
        ),
        ("HTTP 400: the provider is busy: try later", "HTTP 400: провайдер занят: «\u2068try later\u2069»"),
        ("provider_unavailable: HTTP 503", "провайдер недоступен: HTTP 503"),
        ("network: ClientOSError: [Errno 104]", "нет связи: «\u2068ClientOSError: [Errno 104]\u2069»"),
        ("the result's address is refused: it is no URL", "адрес результата отвергнут: это не адрес"),
        (
            f"{Failure.PROVIDER_AUTH.sentence} There is no API key",
            "Провайдер не принял наш ключ. Нет ключа API",
        ),
        (f"{Failure.NETWORK.sentence} Oops", "Провайдер не отвечает на связь. «\u2068Oops\u2069»"),
        ("no finish reason, no picture: sorry", "без причины завершения, картинки нет: «\u2068sorry\u2069»"),
        ("Sorry, I cannot.", "«\u2068Sorry, I cannot.\u2069»"),
        ("", "«\u2068\u2069»"),
        ("a\x00b\u202ec", "«\u2068a b c\u2069»"),
    ],
)
def test_ours_is_translated_and_others_words_are_quoted(text: str, shown: str) -> None:
    if text.startswith(Failure.NETWORK.sentence):
        shown = f"{words('ru').ugettext(Failure.NETWORK.sentence)} «\u2068Oops\u2069»"
    assert said(text, language="ru") == shown


@pytest.mark.parametrize("text", ["%(words)s", "%s %d %", "OOPS: 100%", "{{7*7}}", "<script>alert(1)</script>"])
def test_a_providers_words_are_no_pattern(text: str) -> None:
    assert text in said(f"the provider is busy: {text}", language="ru")
