"""OpenAI's form: `multipart/form-data`, strictly read into its texts and its files."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multipart import MultipartError, MultipartParser, MultipartPart, parse_options_header

from simulators.openai_errors import invalid

FILE_FIELDS = ("image", "image[]", "mask")
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, kw_only=True)
class File:
    """One file as it was sent. `mime` is what its part says."""

    field: str
    filename: str
    mime: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form without repeated texts."""

    texts: Mapping[str, str]
    files: Sequence[File]


def read_form(body: bytes, *, content_type: str) -> Form:
    """The form in a body. Raises `ApiError`."""
    kind, options = parse_options_header(content_type)
    if kind.lower() != MULTIPART or not options.get("boundary"):
        # The API takes JSON with links as well; this simulator keeps no files and fetches none.
        raise invalid(f"Unsupported content type: '{content_type[:80]}'.", status=415, code="unsupported_content_type")
    try:
        parser = MultipartParser(
            io.BytesIO(body),
            options["boundary"],
            content_length=len(body),
            strict=True,
            spool_limit=len(body) + 1,
            memory_limit=len(body) + 1,
        )
        return _form(parser.parts())
    except (MultipartError, UnicodeError) as error:
        raise invalid(f"The form cannot be read: {error}") from error


def _form(parts: Sequence[MultipartPart]) -> Form:
    texts: dict[str, str] = {}
    files: list[File] = []
    for part in parts:
        if part.name in FILE_FIELDS:
            files.append(_file(part))
            continue
        if part.filename is not None:
            raise invalid(
                f"Invalid type for '{part.name}': expected a string, but got a file instead.", param=part.name
            )
        if part.name in texts:
            raise invalid(f"Duplicate parameter: '{part.name[:80]}'.", param=part.name, code="duplicate_parameter")
        texts[part.name] = part.raw.decode("utf-8")
    return Form(texts=texts, files=files)


def _file(part: MultipartPart) -> File:
    if not part.filename:
        message = (
            f"Invalid type for '{part.name}': expected one of an array of files or file, but got a string instead."
        )
        raise invalid(message, param=part.name, code="invalid_type")
    if "Content-Type" not in part.headers:
        message = f"Invalid file '{part.name}': failed to determine mimetype."
        raise invalid(message, param=part.name, code="missing_file_mimetype")
    return File(field=part.name, filename=part.filename, mime=part.content_type.lower(), data=part.raw)
