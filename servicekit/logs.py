"""Structured logs: one JSON object a line on stderr, with the job id wherever there is one."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, WrappedLogger

from servicekit.line_writer import LineWriter

LEVELS = ("debug", "info", "warning", "error")
_OWN_LOGGER = "sonichaos"
_STDERR = 2
_FLUSH_S = 1.0


def configure_logs(
    *, service: str, level: str, descriptor: int = _STDERR, before_write: Callable[[], None] | None = None
) -> LineWriter:
    """Send what this process logs to ``descriptor``: its own events from ``level`` on, its libraries' from warning on.

    Called once, by ``__main__``. Logging never stops work: lines are written by a thread of its own, and a line that cannot be
    formatted or written is dropped. ``before_write`` is called before each write; an OSError that it raises fails the write.
    """

    def dropped_line(lines: int) -> str:
        now = datetime.now(tz=UTC).isoformat().replace("+00:00", "Z")
        fields = {"service": service, "source": __name__, "level": "warning", "timestamp": now, "lines": lines}
        return json.dumps({"event": "log lines were dropped", **fields})

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
    # A descriptor of its own: where stderr is closed, its number may come to mean another file.
    writer = LineWriter(os.dup(descriptor), on_dropped=dropped_line, before_write=before_write)
    handler = _LineHandler(writer)
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
    return writer


class _LineHandler(logging.Handler):
    """Formats in the thread that logs, and leaves the writing to ``writer``."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.write(self.format(record))
        except Exception:  # noqa: BLE001  as the handlers of the standard library: a broken repr costs its own line
            self.handleError(record)

    def flush(self) -> None:
        """Called by `logging.shutdown`. Waits a second at most: the output may take nothing."""
        self._writer.flush(_FLUSH_S)


def _add_source(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put a library's logger name into ``source``, where our own lines have the module."""
    event["source"] = event["_record"].name
    return event


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries the bound context (job_id, version, call_id)."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(source=name)
    return bound
