"""Structured logs: one JSON object a line on stderr, with the job id wherever there is one."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

LEVELS = ("debug", "info", "warning", "error")


def configure_logs(*, service: str, level: str, sink: TextIO = sys.stderr) -> None:
    """Set up structlog for this process. Called once, by ``__main__``."""

    def add_service(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        event["service"] = service  # not as context, which the threads that work do not inherit
        return event

    structlog.configure(
        processors=[
            add_service,
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
    handler = logging.StreamHandler(sink)
    handler.setFormatter(_AsJson(service))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


class _AsJson(logging.Formatter):
    """What libraries log, in the same form."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        facts = {"service": self._service, "source": record.name, "event": record.getMessage()}
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        return json.dumps({**facts, "level": record.levelname.lower()}, ensure_ascii=False)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries the bound context (job_id, version, request id)."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(source=name)
    return bound
