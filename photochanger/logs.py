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
    r"|(?<=[?&]key=)[^&\s\"']+"
    r"|(?<=Bearer )[^\s\"']+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",  # user:password in a URL
)
MAX_TEXT_CHARACTERS = 2_000


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: values under telling names and key-like texts are replaced, long ones cut."""
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: Any) -> Any:
    if SECRET_NAMES.search(name) and not isinstance(value, bool):
        return "[redacted]"
    if isinstance(value, str):
        return SECRET_TEXTS.sub("[redacted]", value[:MAX_TEXT_CHARACTERS])
    if isinstance(value, dict):
        return {key: _clean(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(name, item) for item in value]
    if isinstance(value, bytes | bytearray):
        return f"[{len(value)} bytes]"
    return value


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
    renderer = structlog.dev.ConsoleRenderer() if watched else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
