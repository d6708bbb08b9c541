"""Job events as the client returns them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.enums import EventKind, JobState, ProgressTrack, Stage
from sonichaos_client.errors import SonichaosError, from_status


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """One numbered event of a job. ``track`` and ``stage`` are UNSPECIFIED for events about the version as a whole.

    It prints as ``v1 queued``, ``v1 denoise 38%`` or ``v1 bounce ready``.
    """

    job_id: str
    sequence: int
    event_time: datetime
    version: int
    kind: EventKind
    state: JobState
    track: ProgressTrack
    stage: Stage
    attempt: int
    steps_done: int
    steps_total: int
    fraction: float
    """Share of the track that is done, 0 to 1."""
    estimated_time_left: timedelta | None
    """Until the end of the track; None while unknown."""
    error: SonichaosError | None
    """Why the version failed, with state FAILED. Before that, why it waits; its work goes on when that ends."""
    cursor: str
    """Pass to ``watch_all`` to continue after this event."""
    message: job_pb2.JobEvent = field(repr=False, compare=False)
    """The protobuf message that the service sent."""

    def __str__(self) -> str:
        if self.kind is EventKind.PROGRESS:
            what = f"{self.stage} {self.fraction:.0%}"
        else:
            what = str(self.state if self.kind is EventKind.STATE else self.kind).replace("_", " ")
        return f"v{self.version} {what.lower()}"

    @classmethod
    def from_message(cls, message: job_pb2.JobEvent) -> Self:
        """Convert a protobuf event."""
        has_estimate = message.HasField("estimated_time_left")
        return cls(
            job_id=message.job_id,
            sequence=message.sequence,
            event_time=message.event_time.ToDatetime(tzinfo=UTC),
            version=message.version,
            kind=EventKind(message.kind),
            state=JobState(message.state),
            track=ProgressTrack(message.track),
            stage=Stage(message.stage),
            attempt=message.attempt,
            steps_done=message.steps_done,
            steps_total=message.steps_total,
            fraction=message.fraction,
            estimated_time_left=message.estimated_time_left.ToTimedelta() if has_estimate else None,
            error=from_status(message.error) if message.HasField("error") else None,
            cursor=message.cursor,
            message=message,
        )
