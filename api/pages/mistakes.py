"""What is wrong with a field, in the page's language.

The core says it in English sentences (photochanger/json_rules.py and its neighbours), some with a number or a name in
them; each has its pattern here. A sentence that none of them fits is shown as it is: better than none.
"""

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from api.pages.language import marked, words

PATTERNS = (
    (r"It is missing\.|It is needed\.", marked("This is needed.")),
    (r"It must have at least 1 character\(s\)\.", marked("This is needed.")),
    (r"It may have at most (?P<count>\d+) characters\.", marked("At most %(count)s characters.")),
    (r"It must have at least (?P<count>\d+) character\(s\)\.", marked("At least %(count)s characters.")),
    (
        r"It must be a whole number from (?P<least>[\d.]+) to (?P<most>[\d.]+)(?: or null)?\.",
        marked("A whole number from %(least)s to %(most)s."),
    ),
    (
        r"(?:It|This) must be a number above (?P<least>[\d.]+),? up to (?P<most>[\d.]+)\.",
        marked("A number above %(least)s, up to %(most)s."),
    ),
    (
        r"providers\.json has no prices for this provider: .+",
        marked("What this provider's pictures cost is not known."),
    ),
    (r"There is no SECRETS_KEY to encrypt it with: .+", marked("The server has no SECRETS_KEY to encrypt it with.")),
    (
        r"It must be a number from (?P<least>[\d.]+) to (?P<most>[\d.]+)(?: or null)?\.",
        marked("A number from %(least)s to %(most)s."),
    ),
    (r"It must be one of: (?P<choices>.+)\.", marked("One of: %(choices)s.")),
    (r"It must be one line of text\.", marked("One line of text.")),
    (r"It must be one line without control characters\.", marked("One line of text.")),
    (r"It must be one line of plain characters without spaces\.", marked("Plain characters without spaces.")),
    (r"There is no such provider\.", marked("There is no such provider.")),
    (r".+ has no such operation\.", marked("The provider cannot do this.")),
    (r".+ has this operation switched off\.", marked("This is switched off at the provider.")),
    (r"There is no such template\.", marked("This picture is no longer there.")),
    (r"“.+” needs this picture\.", marked("A picture is needed here.")),
    (r"It is what the slot does anyway\.", marked("The fallback must differ from what the slot does anyway.")),
    (r"It has characters that cannot be kept\.", marked("It has characters that cannot be kept.")),
    (
        r"(?P<model>\S+) does not take this (?:\w+), only: (?P<choices>.+)\.",
        marked("%(model)s takes only: %(choices)s."),
    ),
    (r"(?P<model>\S+) does not take this .+", marked("%(model)s does not take this.")),
    (r"It does not have the form that is asked for\.", marked("It does not have the form that is asked for.")),
)
_COMPILED = [(re.compile(pattern), message) for pattern, message in PATTERNS]


def told(fields: Mapping[str, str], *, language: str) -> dict[str, Markup]:
    """The sentences by field, in this language."""
    return {name: _told(sentence, language=language) for name, sentence in fields.items()}


def _told(sentence: str, *, language: str) -> Markup:
    for pattern, message in _COMPILED:
        if found := pattern.fullmatch(sentence):
            return escape(words(language).ugettext(message) % found.groupdict())
    return escape(sentence)
