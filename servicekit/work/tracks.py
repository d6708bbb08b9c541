"""Where an attempt is on its tracks: stage and steps, the share of the track that is done, and the time left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from servicekit.clock import Clock
from servicekit.journal import Event, EventDraft, EventKind, ProgressTrack, Stage
from servicekit.journal.rows import Json
from servicekit.work.reporting import ProgressThrottle, estimate_time_left_s

StageWeights = Mapping[ProgressTrack, Mapping[Stage, float]]
"""The stages of each track in order, each with its usual share of the track's time (any unit)."""

# Earlier than this, an estimate of the time left would be a guess.
_MIN_FRACTION = 0.02
_MIN_SPENT_S = 0.25


@dataclass
class _Track:
    """Progress of a track in this attempt."""

    attempt: int
    started_s: float
    start_fraction: float
    fraction: float
    throttle: ProgressThrottle


@dataclass
class Step:
    """A stage that has begun."""

    stage: Stage
    track: ProgressTrack
    started_s: float
    total: int
    done: int = 0


class Tracks:
    """The tracks of one attempt. ``earlier`` are events of earlier attempts."""

    def __init__(self, weights: StageWeights, clock: Clock, earlier: Iterable[Event]) -> None:
        self._weights = weights
        self._clock = clock
        self._earlier_attempts = {event.track: event.attempt for event in earlier}
        self._tracks: dict[ProgressTrack, _Track] = {}

    def begin(self, stage: Stage, steps_total: int, track: ProgressTrack | None) -> Step:
        """Begin a stage. Raises ValueError for one without a weight, or on several tracks where ``track`` is None."""
        chosen = self._track_of(stage, track)
        now_s = self._clock.monotonic_s()
        fraction = self._fraction(chosen, stage, 0.0)
        if chosen not in self._tracks:
            attempt = self._earlier_attempts.get(chosen, 0) + 1
            self._tracks[chosen] = _Track(attempt, now_s, fraction, fraction, ProgressThrottle(self._clock))
        self._tracks[chosen].throttle.start_stage()
        return Step(stage, chosen, now_s, max(steps_total, 1))

    def is_due(self, step: Step) -> bool:
        """Whether an event is to be published for the step now."""
        return self._tracks[step.track].throttle.is_due(step.done, step.total)

    def has_begun(self, track: ProgressTrack) -> bool:
        """Whether a stage of the track has begun in this attempt."""
        return track in self._tracks

    def repeat(self, track: ProgressTrack) -> None:
        """The stages of the track that follow are those of a new attempt at it. Nothing, if none has begun."""
        state = self._tracks.pop(track, None)
        if state is not None:
            self._earlier_attempts[track] = state.attempt

    def timing(self, step: Step, seconds: float) -> Json:
        """The wall time of a stage, as the journal has it."""
        attempt = self._tracks[step.track].attempt
        return {"stage": f"STAGE_{step.stage}", "duration": f"{seconds:.6f}s", "attempt": attempt}

    def draft(self, kind: EventKind, step: Step, left_s: float | None = None) -> EventDraft:
        """An event for the step, which counts as published; ``left_s`` where the work has a better estimate of the time left."""
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
        """Share of the track that is done when ``share`` of ``stage`` is done."""
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
            raise ValueError(
                f"stage {stage} has a weight on {len(found)} tracks, expected 1; add a weight or pass the track"
            )
        return found[0]


def _time_left_s(track: _Track, now_s: float) -> float | None:
    """Estimated from the speed of this attempt so far; None while it is too early."""
    done, spent_s = track.fraction - track.start_fraction, now_s - track.started_s
    if done < _MIN_FRACTION or spent_s < _MIN_SPENT_S:
        return None
    return estimate_time_left_s(spent_s, done=done, remaining=1.0 - track.fraction)
