"""The words that the pages use, read from their source; `python -m tests.catalogue` brings the .po files up to them.

New messages come without a translation (in English: as they are), unused ones go.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from photochanger.errors import Failure

ROOT = Path(__file__).resolve().parent.parent
LOCALES = ROOT / "api" / "locales"
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "ungettext": (1, 2), "marked": None}


def used() -> Catalog:
    """Every message of templates and handlers, and the sentence of every failure."""
    catalogue = Catalog(project="PhotoChanger", charset="utf-8", header_comment="# The pages' words.")
    found = extract_from_dir(
        str(ROOT / "api"),
        method_map=[("pages/**.py", "python"), ("templates/**.html", "jinja2")],
        options_map={"templates/**.html": {"silent": "false", "newstyle_gettext": "true", "trimmed": "true"}},
        keywords=KEYWORDS,
    )
    for name, _, message, _, _ in found:
        catalogue.add(message, locations=[(name, 0)])
    for failure in Failure:
        catalogue.add(failure.sentence, locations=[("errors", 0)])
    return catalogue


def kept(language: str) -> Catalog:
    """The catalogue of a language as it is."""
    path = LOCALES / f"{language}.po"
    if not path.exists():
        return Catalog(locale=language, project="PhotoChanger", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language)


def main() -> int:
    """Bring both files up to date; how many translations are missing."""
    missing = 0
    for language in ("ru", "en"):
        catalogue = kept(language)
        catalogue.update(used(), no_fuzzy_matching=True)
        for message in catalogue:
            if message.id and language == "en" and not any(_texts(message.string)):
                message.string = message.id
            missing += bool(message.id) and not all(_texts(message.string))
        with (LOCALES / f"{language}.po").open("wb") as file:
            write_po(
                file, catalogue, width=110, no_location=True, omit_header=True, sort_output=True, ignore_obsolete=True
            )
    sys.stdout.write(f"{missing} translation(s) missing\n")
    return 0


def _texts(string: str | Sequence[str] | None) -> tuple[str, ...]:
    return (string or "",) if isinstance(string, str | None) else tuple(string)


if __name__ == "__main__":
    sys.exit(main())
