"""Structured logs: a console on a terminal, one JSON object a line otherwise. Credentials are redacted in both."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

from services.contracts.redact import SECRET_KEYS, redact

Format = Literal["auto", "console", "json"]


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: "***" if str(key).lower() in SECRET_KEYS else _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    if isinstance(value, BaseException):
        return redact(f"{type(value).__name__}: {value}")
    return value


def _redact_processor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = "***" if key.lower() in SECRET_KEYS else _clean(value)
    return event


def _service_first(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Puts the service's name in front, since several services share one console."""
    service = event.pop("service", "")
    event["event"] = f"{service:<8} {event.get('event', '')}"
    return event


def configure(service: str, *, level: str = "info", format: Format = "auto") -> None:  # noqa: A002 (the setting's name)
    """Sets up structlog, and the standard library's logging through it, for this process. Logs go to stderr."""
    console = sys.stderr.isatty() if format == "auto" else format == "console"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor]
    if console:
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        render = [structlog.processors.format_exc_info, _redact_processor, _service_first, plain]
    else:
        # Without locals: they hold what must not be logged.
        traceback = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
        render = [traceback, _redact_processor, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiohttp.access", "nats.aio.client", "aioice.ice", "asyncio", "libav"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.contextvars.bind_contextvars(service=service)


def get_logger(**context: Any) -> structlog.stdlib.BoundLogger:
    """A logger with ``context`` bound."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(**context)
    return logger
