"""Memory of finished and waiting work is free, for the system too."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path

import psutil
import pytest

from servicekit.clock import SystemClock
from servicekit.errors import Unavailable
from servicekit.journal import JobState, Journal
from servicekit.memory import clear_frames, return_free_memory
from servicekit.work import Assignment, RetryPolicy
from tests.support.journal_rows import new_job, open_journal
from tests.support.work_runs import MANY, ended, running, until

MIB = 1 << 20
BLOCK = 8192


class Audio:
    """Something that a weak reference can watch."""


def resident_bytes() -> int:
    """Memory of this process."""
    return int(psutil.Process().memory_info().rss)


def test_a_job_leaves_its_memory_to_the_system(tmp_path: Path) -> None:
    """Each of four jobs uses 64 MiB in a thread of its own and keeps its last 8 KiB, which holds glibc's arena open."""
    kept: list[bytes] = []

    def use() -> None:
        blocks = [bytes(BLOCK) for _ in range(64 * MIB // BLOCK)]
        kept.append(blocks[-1])

    def work(_assignment: Assignment) -> None:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()

    with Journal.open(f"sqlite:///{tmp_path / 'j.sqlite3'}", clock=SystemClock()) as journal:
        with running(journal, lambda _: None):
            ended(journal, journal.accept(new_job(stems=False), limit=MANY).job.job_id)
        return_free_memory()
        before = resident_bytes()
        with running(journal, work):
            for _ in range(4):
                job_id = journal.accept(new_job(stems=False), limit=MANY).job.job_id
                assert ended(journal, job_id).state is JobState.DONE
        assert len(kept) == 4
        assert resident_bytes() - before < 16 * MIB


def test_work_that_waits_for_its_next_attempt_keeps_no_samples(tmp_path: Path) -> None:
    """The refusal that a version waits for keeps nothing of the attempt that it ended."""
    watched: list[weakref.ref[Audio]] = []

    def work(assignment: Assignment) -> None:
        audio = Audio()
        watched.append(weakref.ref(audio))
        raise Unavailable("down", reason="SEPARATION_UNAVAILABLE", retry_after_s=600.0)

    never = RetryPolicy(initial_delay_s=600.0, max_delay_s=600.0)
    with open_journal(tmp_path) as journal, running(journal, work, retries=never):
        job_id = journal.accept(new_job(stems=False), limit=MANY).job.job_id
        until(journal, job_id, lambda _: bool(watched))
        until(journal, job_id, lambda _: watched[0]() is None)


def test_a_kept_error_keeps_no_variables() -> None:
    """Neither its own frames' nor those of what it was raised from."""
    audio = Audio()
    watched = weakref.ref(audio)

    def fails(audio: Audio) -> None:
        raise ValueError(str(audio))

    def wraps(audio: Audio) -> None:
        try:
            fails(audio)
        except ValueError as error:
            raise Unavailable("down", reason="STORE_UNAVAILABLE", retry_after_s=1.0) from error

    with pytest.raises(Unavailable) as caught:
        wraps(audio)
    del audio
    assert watched() is not None
    clear_frames(caught.value)
    assert watched() is None
