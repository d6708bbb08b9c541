"""Processes of their own on a journal, told apart from the test so that a kill -9 takes nothing else with it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from servicekit.clock import SystemClock
from servicekit.gpu_lock import GpuLock
from servicekit.journal import EventDraft, EventKind, Journal, Owner, ProgressTrack, Stage
from servicekit.work import Assignment, Runner
from tests.support.journal_rows import BOUNCE, WEIGHTS, new_job

MANY = 1000
_PATIENCE_S = 30.0


@dataclass
class Started:
    """A process and what it says."""

    process: BaseProcess
    _said: Connection

    def hear(self) -> Any:
        """The next thing it says."""
        assert self._said.poll(_PATIENCE_S), "the process said nothing"
        return self._said.recv()

    def hear_all(self) -> list[Any]:
        """Everything it says until it ends."""
        said = []
        while True:
            try:
                said.append(self.hear())
            except EOFError:
                self.process.join()
                return said

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.join()


@contextmanager
def started(main: Callable[..., None], *arguments: object) -> Iterator[Started]:
    """``main(say, *arguments)`` in a process of its own, killed at the end of the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # so that each further process starts in an instant
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=main, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    try:
        yield Started(process, here)
    finally:
        process.kill()
        process.join()
        here.close()


def claim_and_hang(say: Connection, url: str) -> None:
    """Claims a version, keeps a bounce, says the job and never goes on."""
    journal = Journal.open(url, clock=SystemClock())
    claim = journal.claim(Owner.RENDER, lease_s=600)
    assert claim is not None
    progress = EventDraft(kind=EventKind.PROGRESS, track=ProgressTrack.RENDER, stage=Stage.VOCODE, attempt=1)
    journal.keep(claim, files=BOUNCE, stage=Stage.BOUNCE, events=[progress])
    say.send(claim.version.job_id)
    time.sleep(600)


def claim_all(say: Connection, url: str, start: Path) -> None:
    """Ends every version that it can claim and says which."""
    journal = Journal.open(url, clock=SystemClock())
    while not start.exists():
        time.sleep(0.001)
    while claim := journal.claim(Owner.RENDER, lease_s=600):
        say.send(claim.version.job_id)
        journal.finish(claim)


def append_forever(say: Connection, url: str) -> None:
    """Appends two events at a time and says how often it did."""
    journal = Journal.open(url, clock=SystemClock())
    claim = journal.claim(Owner.RENDER, lease_s=600)
    assert claim is not None
    done = 0
    while True:
        done += 1
        journal.append(claim, [EventDraft(kind=EventKind.PROGRESS, steps_done=done)] * 2)
        say.send(done)


def accept_and_append(say: Connection, url: str, jobs: int) -> None:
    """Writes six events for each of so many jobs of the separation service."""
    journal = Journal.open(url, clock=SystemClock())
    for _ in range(jobs):
        journal.accept(new_job(owner=Owner.SEPARATION), limit=MANY)
        claim = journal.claim(Owner.SEPARATION, lease_s=600)
        if claim is not None:
            journal.append(claim, [EventDraft(kind=EventKind.PROGRESS)] * 3)
            journal.finish(claim)
    say.send("done")


def run_slowly(say: Connection, url: str, slow: bool) -> None:  # noqa: FBT001
    """Runs versions through both tracks, saying each stage; a slow one never ends its separation."""

    def work(assignment: Assignment) -> None:
        progress = assignment.progress
        if assignment.version.kept_stage is None:
            progress.stage(Stage.DENOISE, 4)
            for done in range(5):
                progress.step(done)
            progress.stage(Stage.BOUNCE)
            progress.bounce_ready(files=BOUNCE)
        progress.stage(Stage.SEPARATE, 2)
        progress.step(1)
        say.send((assignment.job.job_id, assignment.attempt))
        if slow:
            time.sleep(600)

    journal = Journal.open(url, clock=SystemClock())
    with Runner(journal, owner=Owner.RENDER, work=work, weights=WEIGHTS, clock=SystemClock()):
        time.sleep(600)


def take_turns(say: Connection, path: Path, turns: int) -> None:
    """Takes so many turns and says when each begins and ends, on the clock that all processes share."""
    turn = GpuLock(path)
    for _ in range(turns):
        with turn.held():
            began = time.monotonic()
            time.sleep(0.01)
            say.send((began, time.monotonic()))


def take_and_hang(say: Connection, path: Path) -> None:
    """Takes the turn, says so and never gives it back."""
    with GpuLock(path).held():
        say.send("taken")
        time.sleep(600)
