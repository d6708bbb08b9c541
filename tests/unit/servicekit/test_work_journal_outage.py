"""A PostgreSQL that restarts while versions run: every connection breaks, and new ones are refused for a while."""

from __future__ import annotations

import itertools
import threading
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from servicekit.clock import SystemClock
from servicekit.errors import Unavailable
from servicekit.journal import AuditDraft, JobState, Journal, ProgressTrack, Stage
from servicekit.work import Assignment, RetryPolicy
from tests.support.databases import execute
from tests.support.journal_rows import BOUNCE, ZIP, new_job
from tests.support.work_runs import MANY, ended, events_of, running

OUTAGE_S = 1.0
RETRIES = RetryPolicy(initial_delay_s=0.2, backoff_factor=1.0)


class Outages:
    """Outages of one database of a server, as ``pg_ctl restart -m immediate`` makes them."""

    def __init__(self, server: str, url: str) -> None:
        self._server = server
        self._name = PurePosixPath(urlsplit(url).path).name
        self._timers: list[threading.Timer] = []

    def begin(self) -> None:
        """Break every connection, and refuse new ones for `OUTAGE_S`."""
        of_database = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'"  # noqa: S608  the test's own name
        execute(self._server, f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false", of_database)
        self._timers.append(threading.Timer(OUTAGE_S, self._end))
        self._timers[-1].start()

    def join(self) -> None:
        """Wait for the end of every outage."""
        for timer in self._timers:
            timer.join()

    def _end(self) -> None:
        execute(self._server, f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")


def test_an_outage_at_any_contact_fails_no_version(postgresql: str, postgresql_database: str) -> None:
    """While it commits a bounce, while it handles a refusal, while it commits stems and while it ends, a version waits.

    It is rendered once, has each audit row once, and its events are numbered without a gap.
    """
    outages, attempts = Outages(postgresql, postgresql_database), itertools.count(1)

    def work(assignment: Assignment) -> None:
        progress = assignment.progress
        if assignment.version.checkpointed_stage is None:
            progress.stage(Stage.BOUNCE)
            outages.begin()
            progress.bounce_ready(files=BOUNCE, audit=AuditDraft(kind="bounce", body={}, prompt=None))
        progress.stage(Stage.HANDOFF)
        if next(attempts) == 1:
            outages.begin()
            raise Unavailable("separation_service does not answer", reason="SEPARATION_UNAVAILABLE")
        progress.stage(Stage.STORE)
        outages.begin()
        progress.stems_ready(files=ZIP, audit=AuditDraft(kind="stems", body={}, prompt=None))
        outages.begin()

    with Journal.open(postgresql_database, clock=SystemClock()) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        with running(journal, work, retries=RETRIES):
            state = _ended(journal, job_id)
        outages.join()
        assert state is JobState.DONE
        events = events_of(journal, job_id)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert {event.attempt for event in events if event.track is ProgressTrack.RENDER} == {1}
        assert len(journal.audit_rows("local", job_id).rows) == 2
        assert journal.verify_chain("local").intact


def _ended(journal: Journal, job_id: str) -> JobState:
    """The final state, read in spite of outages."""
    while True:
        try:
            return ended(journal, job_id).state
        except Unavailable:
            continue
