"""The work on one version, stage by stage: a generator that yields how long to wait, or what to compute meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.testing.fake.faults import scripted_failure, seconds_of
from sonichaos_client.testing.fake.records import JobRecord, VersionRecord
from sonichaos_client.testing.fake.results import VersionResults
from sonichaos_client.testing.fake.studio import Studio

RENDER, STEMS_TRACK = job_pb2.PROGRESS_TRACK_RENDER, job_pb2.PROGRESS_TRACK_STEMS
PARKED = math.inf
"""Yielded to wait until the faults are cleared."""

Step = float | Callable[[], Any]
Work = Generator[Step, Any, None]


@dataclass(frozen=True)
class StagePlan:
    """A stage: the share of the track's time before it, its own share, and its steps."""

    stage: job_pb2.Stage.ValueType
    before: float
    share: float
    steps: int


_RENDER_STAGES = (
    StagePlan(job_pb2.STAGE_PLAN, 0.0, 0.01, 1),
    StagePlan(job_pb2.STAGE_DENOISE, 0.01, 0.60, 8),
    StagePlan(job_pb2.STAGE_VOCODE, 0.61, 0.35, 1),
    StagePlan(job_pb2.STAGE_BOUNCE, 0.96, 0.04, 2),
)
_STEMS_STAGES = (
    StagePlan(job_pb2.STAGE_HANDOFF, 0.0, 0.01, 1),
    StagePlan(job_pb2.STAGE_RECEIVE, 0.01, 0.01, 1),
    StagePlan(job_pb2.STAGE_SEPARATE, 0.02, 0.80, 4),
    StagePlan(job_pb2.STAGE_ALIGN, 0.82, 0.04, 4),
    StagePlan(job_pb2.STAGE_PACKAGE, 0.86, 0.10, 8),
    StagePlan(job_pb2.STAGE_STORE, 0.96, 0.04, 2),
)
_RECEIVE = StagePlan(job_pb2.STAGE_RECEIVE, 0.0, 0.01, 1)
_UPLOAD_STAGES = (
    StagePlan(job_pb2.STAGE_SEPARATE, 0.01, 0.84, 4),
    StagePlan(job_pb2.STAGE_PACKAGE, 0.85, 0.10, 8),
    StagePlan(job_pb2.STAGE_STORE, 0.95, 0.05, 2),
)
_STORING = (job_pb2.STAGE_BOUNCE, job_pb2.STAGE_STORE)


class CrashError(Exception):
    """A scripted crash of the service. ``down_s`` is how long it is down."""

    def __init__(self, down_s: float) -> None:
        super().__init__()
        self.down_s = down_s


@dataclass
class _Track:
    """Where an attempt is on a track."""

    number: job_pb2.ProgressTrack.ValueType
    seconds: float
    attempt: int
    done: float = 0.0


@dataclass
class VersionWork:
    """The work on one version. ``stage`` is the current one."""

    studio: Studio
    job: JobRecord
    version: VersionRecord
    stage: job_pb2.Stage.ValueType = job_pb2.STAGE_UNSPECIFIED
    _tracks: dict[int, _Track] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What it stores."""
        self._results = VersionResults(self.studio, self.job, self.version)

    def run(self) -> Work:
        """The whole work, from what is stored on. Raises Refusal for a scripted failure, and CrashError."""
        if self.version.message.rerendered_stem:
            yield from self._rerender()
        elif self.job.is_upload:
            yield from self._separate_upload()
        else:
            yield from self._render()

    def _render(self) -> Work:
        if not self.version.has_bounce:
            for plan in _RENDER_STAGES[:-1]:
                yield from self._run_stage(RENDER, plan)
            yield from self._run_stage(RENDER, _RENDER_STAGES[-1], publish_end=False)
            yield from self._results.store_bounce()
            self._publish(job_pb2.EVENT_KIND_BOUNCE_READY, RENDER, _RENDER_STAGES[-1], 2)
        if self.version.message.stems_wanted:
            stages = [plan for plan in _STEMS_STAGES if plan.stage != job_pb2.STAGE_ALIGN]
            for plan in stages:
                yield from self._run_stage(STEMS_TRACK, plan)
            yield from self._results.store_stems()
            self._publish(job_pb2.EVENT_KIND_STEMS_READY, STEMS_TRACK, stages[-1], 2)

    def _rerender(self) -> Work:
        for plan in _RENDER_STAGES:
            yield from self._run_stage(RENDER, plan)
        for plan in _STEMS_STAGES:
            yield from self._run_stage(STEMS_TRACK, plan)
        yield from self._results.store_bounce(audited=False)
        yield from self._results.store_stems()
        for kind in (job_pb2.EVENT_KIND_BOUNCE_READY, job_pb2.EVENT_KIND_STEMS_READY):
            self._publish(kind, STEMS_TRACK, _STEMS_STAGES[-1], 2)

    def _separate_upload(self) -> Work:
        if not self.version.has_bounce:
            yield from self._run_stage(STEMS_TRACK, _RECEIVE, publish_end=False)
            yield from self._results.store_bounce()
            self._publish(job_pb2.EVENT_KIND_BOUNCE_READY, STEMS_TRACK, _RECEIVE, 1)
        for plan in _UPLOAD_STAGES:
            yield from self._run_stage(STEMS_TRACK, plan)
        yield from self._results.store_stems()
        self._publish(job_pb2.EVENT_KIND_STEMS_READY, STEMS_TRACK, _UPLOAD_STAGES[-1], 2)

    def _run_stage(self, number: job_pb2.ProgressTrack.ValueType, plan: StagePlan, *, publish_end: bool = True) -> Work:
        """One stage. Without ``publish_end`` the caller publishes its last step, with what it stored."""
        self.stage = plan.stage
        track = self._track(number)
        started_us = self.studio.clock.now_us()
        track.done = max(track.done, plan.before)
        step_s = track.seconds * plan.share / plan.steps
        self._publish(job_pb2.EVENT_KIND_PROGRESS, number, plan, 0)
        for done in range(1, plan.steps + 1):
            if done == (plan.steps + 1) // 2:
                yield step_s / 2
                yield from self._occurring_faults()
                yield step_s / 2
            else:
                yield step_s
            track.done = plan.before + plan.share * done / plan.steps
            if publish_end or done < plan.steps:
                self._publish(job_pb2.EVENT_KIND_PROGRESS, number, plan, done)
        duration = Duration()
        duration.FromMicroseconds(self.studio.clock.now_us() - started_us)
        self.version.message.timings.append(
            job_pb2.StageTiming(stage=plan.stage, duration=duration, attempt=track.attempt)
        )

    def _occurring_faults(self) -> Work:
        faults, owner, stage = self.studio.faults, self.job.owner, self.stage
        stall = faults.take("stall", owner, stage=stage)
        if stall is not None:
            yield seconds_of(stall.stall.duration) if stall.stall.HasField("duration") else PARKED
        slow = faults.take("slow_store", owner) if stage in _STORING else None
        if slow is not None:
            yield seconds_of(slow.slow_store.delay)
        crash = faults.take("crash", owner, stage=stage)
        if crash is not None:
            raise CrashError(seconds_of(crash.crash.down_time))
        failure = faults.take("fail_stage", owner, stage=stage)
        if failure is not None:
            raise scripted_failure(failure.fail_stage.reason)

    def expected_s(self) -> float:
        """How long the work takes, if nothing goes wrong."""
        message = self.version.message
        renders = not self.job.is_upload or bool(message.rerendered_stem)
        render_s = self._seconds(RENDER) if renders and not self.version.has_bounce else 0.0
        return render_s + (self._seconds(STEMS_TRACK) if message.stems_wanted else 0.0)

    def _seconds(self, number: job_pb2.ProgressTrack.ValueType) -> float:
        """How long a track takes."""
        speeds, audio_s = self.studio.speeds, self.version.seconds
        return speeds.render_time_s(audio_s) if number == RENDER else speeds.stems_time_s(audio_s)

    def _track(self, number: job_pb2.ProgressTrack.ValueType) -> _Track:
        if number not in self._tracks:
            attempts = self.version.attempts
            attempts[number] = attempts.get(number, 0) + 1
            self._tracks[number] = _Track(number, self._seconds(number), attempts[number])
        return self._tracks[number]

    def _publish(
        self,
        kind: job_pb2.EventKind.ValueType,
        number: job_pb2.ProgressTrack.ValueType,
        plan: StagePlan,
        steps_done: int,
    ) -> None:
        track = self._track(number)
        event = job_pb2.JobEvent(
            kind=kind,
            track=number,
            stage=plan.stage,
            attempt=track.attempt,
            steps_done=steps_done,
            steps_total=plan.steps,
            fraction=min(round(track.done, 9), 1.0),
        )
        if track.done > 0.0:
            event.estimated_time_left.FromMicroseconds(round(max(1.0 - track.done, 0.0) * track.seconds * 1e6))
        self.studio.records.append(self.job, self.version, event)
