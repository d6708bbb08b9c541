"""Structured logs: one JSON object a line on stderr, with the job id wherever there is one."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, WrappedLogger

LEVELS = ("debug", "info", "warning", "error")
_OWN_LOGGER = "sonichaos"


def configure_logs(*, service: str, level: str, sink: TextIO = sys.stderr) -> None:
    """Send what this process logs to ``sink``: its own events from ``level`` on, its libraries' from warning on.

    Called once, by ``__main__``. A line that cannot be formatted or written is dropped: logging never stops work.
    """

    def add_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service  # not as context, which worker threads do not inherit
        return event

    formatter = ProcessorFormatter(
        foreign_pre_chain=[_add_source],
        processors=[
            add_service,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(sink)
    handler.setFormatter(formatter)
    # A handler catches what goes wrong in it. Reporting that on stderr can fail as well, where stderr is the full disk.
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    own_level = getattr(logging, level.upper())
    logging.getLogger(_OWN_LOGGER).setLevel(own_level)
    structlog.configure(
        processors=[ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(own_level),
        logger_factory=lambda *_: logging.getLogger(_OWN_LOGGER),
        cache_logger_on_first_use=True,
    )


def _add_source(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put a library's logger name into ``source``, where our own lines have the module."""
    event["source"] = event["_record"].name
    return event


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries the bound context (job_id, version, call_id)."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(source=name)
    return bound
