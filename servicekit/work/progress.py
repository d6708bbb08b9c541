"""How far a version is, as numbered events: by stage and step, a share of its track, and the time left.

Work states its stages and steps; events are written by the runner's own thread, at most ten a second and track but always the
first and last step of a stage, so that a fast loop does not wait for the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from servicekit.clock import Clock
from servicekit.errors import Cancelled
from servicekit.journal import AuditDraft, AuditRow, Claim, EventDraft, EventKind, Journal, ProgressTrack, Stage
from servicekit.journal.rows import Json
from servicekit.work.cancellation import CancellationToken, StopReason
from servicekit.work.reporting import ProgressThrottle, estimate_time_left_s

StageWeights = Mapping[ProgressTrack, Mapping[Stage, float]]
"""The stages of each track in their order, each with its usual share of the track's time (any unit)."""

_MOST_PENDING = 256
# Before so much is done, a time left is a guess not worth saying.
_KNOWN_AFTER_FRACTION = 0.02
_KNOWN_AFTER_S = 0.25


@dataclass
class _Track:
    """What was said about a track in this attempt."""

    attempt: int
    began_s: float
    began_fraction: float
    fraction: float
    throttle: ProgressThrottle


@dataclass
class _Step:
    """The stage under way."""

    stage: Stage
    track: ProgressTrack
    began_s: float
    total: int
    done: int = 0


@dataclass(frozen=True)
class _Ready:
    """What is written together with the files of a stage that made some."""

    events: tuple[EventDraft, ...]
    timing: Json


class Progress:
    """Given to the work of one attempt. Every method may raise what :meth:`check` raises."""

    def __init__(
        self,
        journal: Journal,
        claim: Claim,
        *,
        stop: CancellationToken,
        weights: StageWeights,
        clock: Clock,
        wake_writer: Callable[[], None],
        observe: Callable[[Stage, float], None],
    ) -> None:
        self._journal = journal
        self._claim = claim
        self._stop = stop
        self._weights = weights
        self._clock = clock
        self._wake_writer = wake_writer
        self._observe = observe
        self._before = {event.track: event.attempt for event in claim.version.progress}
        self._tracks: dict[ProgressTrack, _Track] = {}
        self._step: _Step | None = None
        self._timings: list[Json] = []
        self._pending: list[EventDraft] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self.ended = False
        """Whether the version has ended together with what was kept of it."""

    @property
    def current_stage(self) -> Stage | None:
        """The stage under way, if any."""
        return self._step.stage if self._step else None

    def stage(self, stage: Stage, steps_total: int = 1, *, track: ProgressTrack | None = None) -> None:
        """End the stage before and begin the next, of ``steps_total`` steps.

        ``track`` is needed only for a stage that both tracks have. ValueError for a stage without a weight.
        """
        self.check()
        self._complete()
        chosen = self._track_of(stage, track)
        now_s = self._clock.monotonic_s()
        fraction = self._fraction(chosen, stage, 0.0)
        if chosen not in self._tracks:
            attempt = self._before.get(chosen, 0) + 1
            self._tracks[chosen] = _Track(attempt, now_s, fraction, fraction, ProgressThrottle(self._clock))
        self._tracks[chosen].throttle.start_stage()
        self._step = _Step(stage, chosen, now_s, max(steps_total, 1))
        self._tell()

    def step(self, done: int, *, total: int | None = None, time_left_s: float | None = None) -> None:
        """So many steps of the stage are done.

        ``total`` where their number has changed; ``time_left_s`` until the track's end, where the work knows better.
        """
        self.check()
        step = self._step
        if step is None:
            raise ValueError("progress.step needs a stage: call progress.stage first")
        step.total = max(total or step.total, 1)
        step.done = min(max(done, step.done), step.total)
        if self._tracks[step.track].throttle.is_due(step.done, step.total):
            self._tell(time_left_s)

    def check(self) -> None:
        """Raise Cancelled, Expired, ClaimLost or GivenBack once ordered; cheap enough for an inner loop."""
        self._stop.check()

    def left_s(self) -> float | None:
        """Seconds until the brief's expiry, negative once it has passed; None where there is none."""
        return self._stop.left_s()

    def wait(self, seconds: float) -> None:
        """Sleep, but raise as :meth:`check` does as soon as a stop is ordered."""
        self._stop.wait(seconds)

    def on_stop(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """Call ``callback`` from another thread as soon as a stop is ordered during the block, to break a blocking call."""
        return self._stop.calling(callback)

    def keep(
        self,
        *,
        files: Json | None = None,
        loudness: Json | None = None,
        stage: Stage | None = None,
        audit: AuditDraft | None = None,
    ) -> AuditRow | None:
        """Keep results durably. ``stage`` is the one that a later attempt may skip. Events so far are durable with it."""
        return self._keep(files=files, loudness=loudness, stage=stage, audit=audit)

    def bounce_ready(
        self,
        *,
        files: Json,
        loudness: Json | None = None,
        stage: Stage | None = Stage.BOUNCE,
        audit: AuditDraft | None = None,
    ) -> AuditRow | None:
        """The bounce is stored: keep it, write its audit row and tell of it, all or nothing. Ends the stage under way."""
        return self._ready((EventKind.BOUNCE_READY,), files=files, loudness=loudness, stage=stage, audit=audit)

    def stems_ready(self, *, files: Json, audit: AuditDraft | None = None) -> AuditRow | None:
        """The ZIP is stored: keep it, write its audit row and tell of it, all or nothing. Ends the stage under way."""
        return self._ready((EventKind.STEMS_READY,), files=files, loudness=None, stage=Stage.STORE, audit=audit)

    def version_ready(self, *, files: Json, loudness: Json, audit: AuditDraft) -> AuditRow | None:
        """Bounce and ZIP are stored: keep both, write their audit row, tell of both and end the version, all or nothing.

        For a re-render, whose bounce is made of its stems: a cancel comes before all of it, which raises Cancelled, or too late.
        """
        both = (EventKind.BOUNCE_READY, EventKind.STEMS_READY)
        try:
            row = self._ready(both, files=files, loudness=loudness, stage=Stage.STORE, audit=audit, done=True)
        except Cancelled:
            self._stop.give(StopReason.CANCEL)
            raise
        self.ended = True
        return row

    def flush(self) -> None:
        """Write the events that wait. Called by the runner's thread."""
        with self._writing, self._taken() as (drafts, _):
            if drafts:
                self._journal.append(self._claim, drafts)

    def close(self, *, completed: bool) -> None:
        """Write what waits at the end of an attempt; a stage that was cut short leaves no timing."""
        if completed:
            self._complete()
        if self._pending or self._timings:
            self._keep(files=None, loudness=None, stage=None, audit=None)

    def _ready(
        self,
        kinds: tuple[EventKind, ...],
        *,
        files: Json,
        loudness: Json | None,
        stage: Stage | None,
        audit: AuditDraft | None,
        done: bool = False,
    ) -> AuditRow | None:
        """Its events never wait among the others: they are written with what they tell of, or not at all."""
        step = self._step
        if step is None:
            raise ValueError("a file becomes ready in a stage: call progress.stage first")
        step.done = step.total
        seconds = self._clock.monotonic_s() - step.began_s
        told = _Ready(tuple(self._draft(kind, step) for kind in kinds), self._timing(step, seconds))
        row = self._keep(files=files, loudness=loudness, stage=stage, audit=audit, ready=told, done=done)
        self._observe(step.stage, seconds)
        self._step = None
        return row

    def _keep(
        self,
        *,
        files: Json | None,
        loudness: Json | None,
        stage: Stage | None,
        audit: AuditDraft | None,
        ready: _Ready | None = None,
        done: bool = False,
    ) -> AuditRow | None:
        with self._writing, self._taken() as (drafts, timings):
            row = self._journal.keep(
                self._claim,
                files=files,
                loudness=loudness,
                stage=stage,
                timings=[*timings, ready.timing] if ready else timings,
                audit=audit,
                events=[*drafts, *ready.events] if ready else drafts,
                done=done,
            )
            self._timings = self._timings[len(timings) :]
        return row

    @contextmanager
    def _taken(self) -> Iterator[tuple[list[EventDraft], list[Json]]]:
        """What waits to be written; the events go back to their place where that fails."""
        with self._lock:
            drafts, self._pending = self._pending, []
        written = False
        try:
            yield drafts, list(self._timings)
            written = True
        finally:
            if not written:
                with self._lock:
                    self._pending = drafts + self._pending

    def _complete(self) -> None:
        """End the stage under way: its last step is told, its time noted."""
        step = self._step
        if step is None:
            return
        step.done = step.total
        if self._tracks[step.track].throttle.is_due(step.done, step.total):
            self._tell()
        seconds = self._clock.monotonic_s() - step.began_s
        self._timings.append(self._timing(step, seconds))
        self._observe(step.stage, seconds)
        self._step = None

    def _timing(self, step: _Step, seconds: float) -> Json:
        attempt = self._tracks[step.track].attempt
        return {"stage": f"STAGE_{step.stage}", "duration": f"{seconds:.6f}s", "attempt": attempt}

    def _tell(self, left_s: float | None = None) -> None:
        """Have the step under way written."""
        step = self._step
        if step is None:
            return
        draft = self._draft(EventKind.PROGRESS, step, left_s)
        with self._lock:
            # While the journal does not answer, the newest step takes the place of the one before it.
            if len(self._pending) >= _MOST_PENDING:
                self._pending.pop()
            self._pending.append(draft)
        self._wake_writer()

    def _draft(self, kind: EventKind, step: _Step, left_s: float | None = None) -> EventDraft:
        """The event that tells of a step as it stands."""
        track = self._tracks[step.track]
        now_s = self._clock.monotonic_s()
        fraction = self._fraction(step.track, step.stage, step.done / step.total)
        track.fraction = max(track.fraction, fraction)
        track.throttle.published(step.done)
        return EventDraft(
            kind=kind,
            track=step.track,
            stage=step.stage,
            attempt=track.attempt,
            steps_done=step.done,
            steps_total=step.total,
            fraction=track.fraction,
            time_left_s=_time_left_s(track, now_s) if left_s is None else left_s,
        )

    def _fraction(self, track: ProgressTrack, stage: Stage, share: float) -> float:
        """The share of the track that is done when ``share`` of the stage is."""
        weights = self._weights[track]
        before = 0.0
        for other, weight in weights.items():
            if other is stage:
                return min((before + weight * share) / sum(weights.values()), 1.0)
            before += weight
        raise ValueError(f"stage {stage} has no weight on track {track}")

    def _track_of(self, stage: Stage, track: ProgressTrack | None) -> ProgressTrack:
        found = [track] if track else [other for other, weights in self._weights.items() if stage in weights]
        if len(found) != 1:
            raise ValueError(f"stage {stage} is on {len(found)} tracks; name the track, or give the stage a weight")
        return found[0]


def _time_left_s(track: _Track, now_s: float) -> float | None:
    """From the speed of this attempt so far."""
    gained, spent_s = track.fraction - track.began_fraction, now_s - track.began_s
    if gained < _KNOWN_AFTER_FRACTION or spent_s < _KNOWN_AFTER_S:
        return None
    return estimate_time_left_s(spent_s, done=gained, remaining=1.0 - track.fraction)
