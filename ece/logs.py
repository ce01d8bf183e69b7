"""Structured logs for every process: JSON lines, or coloured text on a terminal. Secrets never reach them."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, WrappedLogger

MASK = "***"
DEPTH_MAX = 8
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)|token|secret|authori[sz]ation|cookie|api_?key|private_?key|jwt|credential",
    re.IGNORECASE,
)
# scheme://user:password@host
_URL_PASSWORD = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
_URL_PARAMETER = re.compile(r"(?P<before>[?&](?:password|token|secret|sslpassword)=)[^&\s]+", re.IGNORECASE)
_BEARER = re.compile(r"(?P<before>\bBearer\s+)[\w.~+/=-]+", re.IGNORECASE)
# header.payload.signature of a JSON Web Token, wherever it stands
_JSON_WEB_TOKEN = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]+")


def configure_logs(level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Set structlog and the standard library's logging to write to `stream` (stderr) in the same form."""
    out = stream or sys.stderr
    as_json = log_format == "json" or (log_format == "auto" and not out.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # The trace becomes text before secrets are masked: it may quote one.
    last: list[Any] = [structlog.processors.format_exc_info, mask_secrets]
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # It logs each request as info, with its address.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: values under secret names, and secrets inside texts, become `***`."""
    return {key: _masked(key, value, 0) for key, value in event.items()}


def mask_text(text: str) -> str:
    """The text without passwords of URLs, bearer tokens and JSON Web Tokens."""
    for pattern in (_URL_PASSWORD, _URL_PARAMETER, _BEARER):
        text = pattern.sub(rf"\g<before>{MASK}", text)
    return _JSON_WEB_TOKEN.sub(MASK, text)


def _masked(key: str, value: object, depth: int) -> Any:
    if value is not None and _SECRET_KEY.search(key) and not isinstance(value, bool | int | float):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if depth >= DEPTH_MAX:
        return MASK
    if isinstance(value, Mapping):
        return {str(inner): _masked(str(inner), item, depth + 1) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return mask_text(value.decode("utf-8", "replace"))
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask_text(str(value))
