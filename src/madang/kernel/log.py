"""Structured logs on standard error, as text for people or JSON for collectors."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO, cast

import structlog

# Values under these names never reach a log, whatever a caller passes.
SECRET_NAMES = frozenset({"password", "token", "secret", "ticket", "cookie", "authorization", "key", "link"})


def _mask(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name in event:
        if any(secret in name.lower() for secret in SECRET_NAMES) and event[name]:
            event[name] = "********"
    return event


class _StandardError:
    """Whatever sys.stderr is now: loggers outlive what it was when they were first used."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(level: str, form: str) -> None:
    """Set up structlog and route the standard library's loggers through it. `form` is `text` or `json`."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask,
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    output = cast(TextIO, _StandardError())
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    # Traces are made plain before the renderer sees them: its own show local variables, among them secrets.
    foreign: list[structlog.typing.Processor] = [*shared, structlog.processors.format_exc_info]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=last, foreign_pre_chain=foreign))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))


def logger(name: str) -> Any:
    """A logger that names its room: logger("desktops").info("session ready", session=id)."""
    return structlog.get_logger(room=name)
