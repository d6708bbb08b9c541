"""Progress is written in batches."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from sqlalchemy import Engine, event

from servicekit.clock import SystemClock
from servicekit.journal import Event, EventKind, OwningService, Stage
from servicekit.work import Assignment, Runner
from tests.support.journal_rows import WEIGHTS, new_job, open_journal


def test_a_version_needs_far_fewer_transactions_than_it_has_events(tmp_path: Path) -> None:
    """The events of stages that follow each other quickly share a transaction; none is missing and their order stays."""
    begun: list[str] = []
    ended = threading.Event()

    def work(assignment: Assignment) -> None:
        for stage in (
            Stage.PLAN,
            Stage.DENOISE,
            Stage.VOCODE,
            Stage.BOUNCE,
            Stage.HANDOFF,
            Stage.SEPARATE,
            Stage.STORE,
        ):
            assignment.progress.stage(stage, 2)
            for step in range(2):
                time.sleep(0.001)  # the duration of a short step
                assignment.progress.step(step + 1)

    def listen(events: tuple[Event, ...]) -> None:
        if events[-1].state.ended:
            ended.set()

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement == "BEGIN IMMEDIATE":
            begun.append(statement)

    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=9).job.job_id
        event.listen(Engine, "before_cursor_execute", note)
        try:
            with (
                journal.subscribe(listen),
                Runner(journal, owner=OwningService.RENDER, work=work, weights=WEIGHTS, clock=SystemClock()),
            ):
                assert ended.wait(30)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        written = journal.events_after(job_id, 0, 1000).events
    progress = [one for one in written if one.kind is EventKind.PROGRESS]
    assert [one.sequence for one in written] == list(range(1, len(written) + 1))
    assert len(progress) >= 14
    assert len(begun) < len(progress) / 2
