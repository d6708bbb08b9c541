"""Separate processes that use a journal or the GPU lock, so that kill -9 ends nothing else."""

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
from servicekit.journal import Checkpoint, EventDraft, EventKind, Journal, OwningService, ProgressTrack, Stage
from servicekit.work import Assignment, Runner
from tests.support.journal_rows import BOUNCE, WEIGHTS, new_job

MANY = 1000
_TIMEOUT_S = 30.0


@dataclass
class Started:
    """A process and the messages that it sends."""

    process: BaseProcess
    _messages: Connection

    def receive(self) -> Any:
        """The next message."""
        assert self._messages.poll(_TIMEOUT_S), "the process sent nothing"
        return self._messages.recv()

    def receive_all(self) -> list[Any]:
        """All messages until the process ends."""
        received = []
        while True:
            try:
                received.append(self.receive())
            except EOFError:
                self.process.join()
                return received

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.join()


@contextmanager
def started(main: Callable[..., None], *arguments: object) -> Iterator[Started]:
    """Run ``main(output, *arguments)`` in a separate process, which is killed at the end of the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # so that further processes start at once
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


def claim_and_hang(output: Connection, url: str) -> None:
    """Claim a version, checkpoint its bounce, send the job id and hang."""
    journal = Journal.open(url, clock=SystemClock())
    claim = journal.claim(OwningService.RENDER, lease_s=600)
    assert claim is not None
    progress = EventDraft(kind=EventKind.PROGRESS, track=ProgressTrack.RENDER, stage=Stage.VOCODE, attempt=1)
    journal.checkpoint(claim, Checkpoint(files=BOUNCE, stage=Stage.BOUNCE, events=[progress]))
    output.send(claim.version.job_id)
    time.sleep(600)


def claim_all(output: Connection, url: str, start: Path) -> None:
    """Finish every version that can be claimed and send its job id."""
    journal = Journal.open(url, clock=SystemClock())
    while not start.exists():
        time.sleep(0.001)
    while claim := journal.claim(OwningService.RENDER, lease_s=600):
        output.send(claim.version.job_id)
        journal.finish(claim)


def append_forever(output: Connection, url: str) -> None:
    """Append two events per commit and send the number of commits."""
    journal = Journal.open(url, clock=SystemClock())
    claim = journal.claim(OwningService.RENDER, lease_s=600)
    assert claim is not None
    done = 0
    while True:
        done += 1
        journal.append_events(claim, [EventDraft(kind=EventKind.PROGRESS, steps_done=done)] * 2)
        output.send(done)


def accept_and_append(output: Connection, url: str, jobs: int) -> None:
    """Write six events for each of ``jobs`` jobs of separation_service."""
    journal = Journal.open(url, clock=SystemClock())
    for _ in range(jobs):
        journal.accept(new_job(owner=OwningService.SEPARATION), limit=MANY)
        claim = journal.claim(OwningService.SEPARATION, lease_s=600)
        if claim is not None:
            journal.append_events(claim, [EventDraft(kind=EventKind.PROGRESS)] * 3)
            journal.finish(claim)
    output.send("done")


def run_slowly(output: Connection, url: str, slow: bool) -> None:  # noqa: FBT001
    """Run versions through both tracks, sending each attempt; a ``slow`` one never ends its separation."""

    def work(assignment: Assignment) -> None:
        progress = assignment.progress
        if assignment.version.checkpointed_stage is None:
            progress.stage(Stage.DENOISE, 4)
            for done in range(5):
                progress.step(done)
            progress.stage(Stage.BOUNCE)
            progress.bounce_ready(files=BOUNCE)
        progress.stage(Stage.SEPARATE, 2)
        progress.step(1)
        output.send((assignment.job.job_id, assignment.attempt))
        if slow:
            time.sleep(600)

    journal = Journal.open(url, clock=SystemClock())
    with Runner(journal, owner=OwningService.RENDER, work=work, weights=WEIGHTS, clock=SystemClock()):
        time.sleep(600)


def lock_repeatedly(output: Connection, path: Path, times: int) -> None:
    """Hold the GPU lock ``times`` times and send each start and end, on the clock that all processes share."""
    gpu_lock = GpuLock(path)
    for _ in range(times):
        with gpu_lock.held():
            started_s = time.monotonic()
            time.sleep(0.01)
            output.send((started_s, time.monotonic()))


def lock_and_hang(output: Connection, path: Path) -> None:
    """Acquire the GPU lock, report it and hang."""
    with GpuLock(path).held():
        output.send("held")
        time.sleep(600)
