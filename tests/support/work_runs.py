"""Runners for tests, and waiting for their results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from servicekit.clock import SystemClock
from servicekit.journal import Event, Job, Journal, OwningService
from servicekit.work import Assignment, RetryPolicy, Runner
from tests.support.journal_rows import WEIGHTS

MANY = 1000
SOON = RetryPolicy(initial_delay_s=0.01, backoff_factor=1.0, advising_reasons=frozenset())


def running(journal: Journal, work: Callable[[Assignment], None], **options: Any) -> Runner:
    """A runner of render_service's versions."""
    defaults = {"owner": OwningService.RENDER, "weights": WEIGHTS, "clock": SystemClock(), "retries": SOON}
    return Runner(journal, work=work, **{**defaults, **options})


def until(journal: Journal, job_id: str, test: Callable[[Job], bool]) -> Job:
    """The job as soon as ``test`` is true for it, checked after each commit of this process and every 50 ms."""
    changed = threading.Event()
    with journal.subscribe(lambda _: changed.set()):
        for _ in range(600):
            job = journal.job("local", job_id)
            if test(job):
                return job
            changed.wait(0.05)
            changed.clear()
    pytest.fail(f"the condition was never true: {job}")


def ended(journal: Journal, job_id: str) -> Job:
    """The job once it has ended."""
    return until(journal, job_id, lambda job: job.state.ended)


def events_of(journal: Journal, job_id: str) -> tuple[Event, ...]:
    """All of a job's events."""
    return journal.events_after(job_id, 0, MANY).events


def info_of(error: Mapping[str, Any] | None) -> dict[str, Any]:
    """ErrorInfo of a stored status."""
    assert error is not None
    (info,) = [detail for detail in error["details"] if detail["@type"].endswith("ErrorInfo")]
    return info
