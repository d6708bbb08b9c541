"""Runs of a runner, watched to their end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from servicekit.clock import SystemClock
from servicekit.journal import Event, Job, Journal, Owner
from servicekit.work import Assignment, RetryPolicy, Runner
from tests.support.journal_rows import WEIGHTS

MANY = 1000
SOON = RetryPolicy(attempts=3, first_delay_s=0.01, factor=1.0)


def running(journal: Journal, work: Callable[[Assignment], None], **options: Any) -> Runner:
    """A runner of the render service's versions."""
    defaults = {"owner": Owner.RENDER, "weights": WEIGHTS, "clock": SystemClock(), "retry": SOON}
    return Runner(journal, work=work, **{**defaults, **options})


def until(journal: Journal, job_id: str, test: Callable[[Job], bool]) -> Job:
    """The job as soon as ``test`` holds of it; the commits of this process and the clock wake the test."""
    changed = threading.Event()
    with journal.listening(lambda _: changed.set()):
        for _ in range(600):
            job = journal.job("local", job_id)
            if test(job):
                return job
            changed.wait(0.05)
            changed.clear()
    pytest.fail(f"it never came to that: {job}")


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
