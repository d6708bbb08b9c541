"""Progress of a version as numbered events: stage, steps, share of the track that is done, and time left.

The work reports stages and steps. The heartbeat thread writes the events, at most ten per second and track besides the first and
last step of each stage, so that a fast loop does not wait for the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TypeVar

from servicekit.clock import Clock
from servicekit.errors import Cancelled, OutcomeUnknown
from servicekit.journal import (
    AuditDraft,
    AuditRow,
    Checkpoint,
    Claim,
    EventDraft,
    EventKind,
    Journal,
    ProgressTrack,
    Stage,
    WaitState,
    named_keys,
)
from servicekit.journal.rows import Json
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore
from servicekit.work.cancellation import CancellationToken, StopReason
from servicekit.work.retry import WaitBudget
from servicekit.work.staged_files import StagedFiles
from servicekit.work.tracks import StageWeights, Step, Tracks

_log = logger(__name__)
_MAX_PENDING = 256
T = TypeVar("T")


class Progress:
    """Progress and results of one attempt. Every method may raise what :meth:`check` raises."""

    def __init__(
        self,
        journal: Journal,
        claim: Claim,
        *,
        cancellation: CancellationToken,
        budget: WaitBudget,
        weights: StageWeights,
        clock: Clock,
        wake_writer: Callable[[], None],
        observe: Callable[[Stage, float], None],
        remove_unnamed: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._claim = claim
        self._cancellation = cancellation
        self._budget = budget
        self._leftovers: list[str] = []
        self._clock = clock
        self._wake_writer = wake_writer
        self._observe = observe
        self._remove_unnamed = remove_unnamed
        self._tracks = Tracks(weights, clock, claim.version.progress)
        self._step: Step | None = None
        self._timings: list[Json] = []
        self._pending: list[EventDraft] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._outcome_unknown = False
        self._saved_waits = claim.version.waits
        self.ended = False
        """Whether :meth:`version_ready` has ended the version."""

    @property
    def current_stage(self) -> Stage | None:
        """The current stage; None before the first and after a stage's files are ready."""
        return self._step.stage if self._step else None

    def stage(self, stage: Stage, steps_total: int = 1, *, track: ProgressTrack | None = None) -> None:
        """End the current stage and start the next, of ``steps_total`` steps.

        ``track`` is needed only for a stage that both tracks have. Raises ValueError for a stage without a weight.
        """
        self.check()
        self._complete()
        self._step = self._tracks.begin(stage, steps_total, track)
        self._publish()

    def step(self, done: int, *, total: int | None = None, time_left_s: float | None = None) -> None:
        """Report that ``done`` steps of the stage are done.

        ``total`` is given where the number of steps has changed, ``time_left_s`` where the work has a better estimate of the
        seconds until the track's end.
        """
        self.check()
        step = self._step
        if step is None:
            raise ValueError("progress.step needs a current stage; call progress.stage first")
        step.total = max(total or step.total, 1)
        step.done = min(max(done, step.done), step.total)
        if self._tracks.is_due(step):
            self._publish(time_left_s)

    def check(self) -> None:
        """Raise Cancelled, Expired, ClaimLost or WorkerShutdown if the work has to stop. Cheap enough for an inner loop."""
        self._cancellation.check()

    def expires_in_s(self) -> float | None:
        """Seconds until the brief's expiry, negative after it; None where there is none."""
        return self._cancellation.expires_in_s()

    def wait(self, seconds: float) -> None:
        """Sleep for ``seconds``; raises as :meth:`check` as soon as the work has to stop."""
        self._cancellation.wait(seconds)

    def on_stop(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """During the block, call ``callback`` from another thread as soon as the work has to stop, to abort a blocking call."""
        return self._cancellation.on_stop(callback)

    def retrying(self, operation: Callable[[], T]) -> T:
        """Call ``operation`` until nothing refuses it temporarily; what the work has in memory stays there meanwhile.

        The wait is reported with its reason. Raises what ``operation`` raises, if that is not temporary or the time is up.
        """
        while True:
            try:
                result = operation()
            except Exception as raised:  # memory runs out with other types of exceptions than ServiceError
                delay_s = self._budget.refused(raised, stage=self.current_stage)
                if delay_s is None:
                    raise
                self.check()
                _log.warning("waiting", message=str(raised), delay_s=delay_s)
                self.report_wait()
                self.wait(delay_s)
            else:
                if self._budget.refusal is not None:
                    self._budget.succeeded()
                    self._wake_writer()
                return result

    def report_wait(self) -> None:
        """Report, in an event of the current stage and in the version, that it waits for the end of a temporary refusal."""
        status = self._budget.state.waiting
        draft = EventDraft(kind=EventKind.STATE, attempt=self._claim.attempt, error=status)
        if self._step is not None:
            draft = replace(self._tracks.draft(EventKind.PROGRESS, self._step), error=status)
        self._append(draft)

    def repeat(self, track: ProgressTrack) -> None:
        """What follows repeats the work on a track: its stages are those of a new attempt at it. Nothing, if none was reported.

        Files that the version does not name are removed before: another service may have died after it stored them.
        """
        if self._tracks.has_begun(track):
            self._remove_unnamed()
        self._tracks.repeat(track)
        if self._step is not None and self._step.track is track:
            self._step = None

    def staged_files(self, store: ObjectStore) -> StagedFiles:
        """Files of this attempt that the version does not name yet."""
        version = self._claim.version

        def named() -> frozenset[str]:
            return self._journal.named_keys(version.job_id, version.number)

        attempt, leftovers = self._claim.attempt, self._leftovers
        return StagedFiles(store, version.job_id, version.number, attempt, named=named, leftovers=leftovers)

    def bounce_ready(
        self,
        *,
        files: Json,
        loudness: Json | None = None,
        stage: Stage | None = Stage.BOUNCE,
        audit: AuditDraft | None = None,
    ) -> AuditRow | None:
        """Save the stored bounce, its audit row and its event in one transaction. Ends the current stage."""
        results = Checkpoint(files=files, loudness=loudness, stage=stage, audit=audit)
        return self._ready(results, EventKind.BOUNCE_READY)

    def stems_ready(self, *, files: Json, audit: AuditDraft | None = None) -> AuditRow | None:
        """Save the stored ZIP, its audit row and its event in one transaction. Ends the current stage."""
        return self._ready(Checkpoint(files=files, stage=Stage.STORE, audit=audit), EventKind.STEMS_READY)

    def version_ready(self, *, files: Json, loudness: Json, audit: AuditDraft) -> AuditRow | None:
        """Save bounce and ZIP, their audit row and events, and end the version, in one transaction.

        For a re-render, whose bounce is made from its stems. Raises Cancelled and saves nothing where a cancel came first.
        """
        results = Checkpoint(files=files, loudness=loudness, stage=Stage.STORE, audit=audit, done=True)
        try:
            row = self._ready(results, EventKind.BOUNCE_READY, EventKind.STEMS_READY)
        except Cancelled:
            self._cancellation.stop(StopReason.CANCELLED)
            raise
        self.ended = True
        return row

    def flush(self) -> None:
        """Write the pending events. Called by the heartbeat thread."""
        with self._writing, self._pending_writes() as (drafts, _):
            waits = self._unsaved_waits()
            if drafts or waits is not None:
                self._journal.append_events(self._claim, drafts, waits)
                self._saved_waits = waits or self._saved_waits

    def close(self, *, completed: bool) -> None:
        """Write what is pending at the end of an attempt. Only a ``completed`` stage gets a timing."""
        if completed:
            self._complete()
        if self._pending or self._timings or self._unsaved_waits() is not None:
            self._checkpoint(Checkpoint())

    def _ready(self, results: Checkpoint, *kinds: EventKind) -> AuditRow | None:
        """These events are never pending: they are written together with the files that they announce, or not at all."""
        self._cancellation.wait_for_lease()
        step = self._step
        if step is None:
            raise ValueError("files become ready within a stage; call progress.stage first")
        step.done = step.total
        seconds = self._clock.monotonic_s() - step.started_s
        events = [self._tracks.draft(kind, step) for kind in kinds]
        whole = replace(results, events=events, timings=[self._tracks.timing(step, seconds)])
        row = self.retrying(lambda: self._checkpoint_once(whole))
        self._budget.passed(step.stage)
        self._observe(step.stage, seconds)
        self._step = None
        return row

    def _checkpoint_once(self, results: Checkpoint) -> AuditRow | None:
        """As :meth:`_checkpoint`, but after a lost answer it first looks whether the version has the files; then None."""
        version = self._claim.version
        if self._outcome_unknown and results.files is not None:
            if named_keys(results.files) <= self._journal.named_keys(version.job_id, version.number):
                return None
            self._outcome_unknown = False
        try:
            return self._checkpoint(results)
        except OutcomeUnknown:
            self._outcome_unknown = True
            raise

    def _checkpoint(self, results: Checkpoint) -> AuditRow | None:
        """Save results behind the pending events and timings."""
        with self._writing, self._pending_writes() as (drafts, timings):
            waits = self._unsaved_waits()
            events = [*drafts, *results.events]
            whole = replace(results, events=events, timings=[*timings, *results.timings], waits=waits)
            row = self._journal.checkpoint(self._claim, whole)
            self._saved_waits = waits or self._saved_waits
            self._timings = self._timings[len(timings) :]
        return row

    @contextmanager
    def _pending_writes(self) -> Iterator[tuple[list[EventDraft], list[Json]]]:
        """The pending events and timings. The events stay pending if the block fails; nothing does that may have been written."""
        with self._lock:
            drafts, self._pending = self._pending, []
        timings = list(self._timings)
        written = False
        try:
            yield drafts, timings
            written = True
        except OutcomeUnknown:
            written = True
            self._timings = self._timings[len(timings) :]
            raise
        finally:
            if not written:
                with self._lock:
                    self._pending = drafts + self._pending

    def _unsaved_waits(self) -> WaitState | None:
        """What the journal does not know yet; None where it knows."""
        state = self._budget.state
        return None if state == self._saved_waits else state

    def _complete(self) -> None:
        """End the current stage: publish its last step, note its timing."""
        step = self._step
        if step is None:
            return
        step.done = step.total
        if self._tracks.is_due(step):
            self._publish()
        seconds = self._clock.monotonic_s() - step.started_s
        self._timings.append(self._tracks.timing(step, seconds))
        self._budget.passed(step.stage)
        self._observe(step.stage, seconds)
        self._step = None

    def _publish(self, left_s: float | None = None) -> None:
        """Queue an event for the current step."""
        step = self._step
        if step is None:
            return
        self._append(self._tracks.draft(EventKind.PROGRESS, step, left_s))

    def _append(self, draft: EventDraft) -> None:
        """Queue an event."""
        with self._lock:
            # While the journal does not answer, the newest step replaces the one before it.
            if len(self._pending) >= _MAX_PENDING:
                self._pending.pop()
            self._pending.append(draft)
        self._wake_writer()
