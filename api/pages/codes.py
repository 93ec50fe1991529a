"""QR codes, drawn into the page: as an SVG without styles or scripts of its own."""

import io

import segno
from markupsafe import Markup


def qr_code(link: str) -> Markup:
    """The code of a link, as an `<svg>` of no size of its own; the page's styles colour it."""
    drawn = io.BytesIO()
    segno.make(link, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, svgclass="qr", lineclass="qr-line"
    )
    return Markup(drawn.getvalue().decode("utf-8"))  # noqa: S704 - segno's own drawing
