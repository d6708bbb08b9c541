"""Structured logs: one JSON object a line on stderr, with the job id wherever there is one."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

LEVELS = ("debug", "info", "warning", "error")


def configure_logs(*, service: str, level: str, sink: TextIO = sys.stderr) -> None:
    """Set up structlog for this process. Called once, by ``__main__``."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sink),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(stream=sink, level=logging.WARNING, format='{"event": %(message)r, "logger": "%(name)s"}')


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries the bound context (job_id, version, request id)."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(source=name)
    return bound
