"""What the process of ``sonichaos up`` itself logs: refused certificates, failures of the page's server."""

from __future__ import annotations

import logging
from collections.abc import Callable

import structlog

from hostctl.service_log import readable


def log_to(write: Callable[[str], None]) -> None:
    """Pass what this process logs, from warning on, to ``write`` as text for people.

    structlog's default would print to stdout, which programs read, and with the values of local variables, such as credentials.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: _Lines(write),
    )


class _Lines:
    """What structlog calls with each rendered line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def warning(self, line: str) -> None:
        self._write(readable(line))

    error = critical = warning
