"""Structured logs: one JSON object a line, or coloured text when a person watches. Secrets are taken out on the way."""

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

SECRET_NAMES = re.compile(r"password|secret|token|authorization|(api|signing)[-_]?key|cookie", re.IGNORECASE)
SECRET_TEXTS = re.compile(
    r"AIza[0-9A-Za-z_\-]{20,}"  # Google's API keys
    r"|\$2[aby]\$\d\d\$[./0-9A-Za-z]+"  # bcrypt
    r"|(?<=[?&]key=)[^&\s\"']+"
    r"|(?<=Bearer )[^\s\"']+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",  # user:password in a URL
)
MAX_TEXT_CHARACTERS = 2_000
MAX_TRACEBACK_CHARACTERS = 8_000
LOOK_AHEAD_CHARACTERS = 4_000
"""A secret that lies across the cut is found before the cut is made."""


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: values under telling names and key-like texts are replaced, long ones cut."""
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if SECRET_NAMES.search(name):
        return "[redacted]"
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, dict):
        return {_text(str(key)): _clean(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(name, item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if name == "exception":  # its last lines say most
        return SECRET_TEXTS.sub("[redacted]", str(value))[-MAX_TRACEBACK_CHARACTERS:]
    return _text(value if isinstance(value, str) else repr(value))


def _text(text: str) -> str:
    return SECRET_TEXTS.sub("[redacted]", text[: MAX_TEXT_CHARACTERS + LOOK_AHEAD_CHARACTERS])[:MAX_TEXT_CHARACTERS]


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For a terminal: nothing a client has sent may forge a line or move the cursor. A traceback keeps its lines."""
    return {name: value if name == "exception" else _escaped(value) for name, value in event.items()}


def _escaped(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in value)


def configure(process: str) -> None:
    """Set up logging for this process; `process` is bound to every line. Other libraries' warnings come along."""
    watched = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    rendering: list[Any] = (
        [_printable, structlog.dev.ConsoleRenderer()] if watched else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
