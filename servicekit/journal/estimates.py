"""Queue position and expected end of a version, from the measured speed of finished versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from sqlalchemy import Connection, Row, select

from servicekit.clock import from_micros
from servicekit.journal.schema import versions
from servicekit.journal.states import CLAIMED, JobState, OwningService

_MEASURED_VERSIONS = 20
_MIN_MEASUREMENTS = 3
_MAX_LENGTH_RATIO = 4.0
"""A measurement counts for audio of at most this many times its own length."""


@dataclass(frozen=True)
class Speed:
    """Seconds of work per second of audio: the mean of the last finished versions, and ``(length in s, speed)`` of each."""

    mean: float
    each: tuple[tuple[float, float], ...]

    def best(self, audio_s: float) -> float | None:
        """The best speed of versions that were not much shorter; short ones have relatively more overhead.

        None for fewer than three such versions: one that waited for the device says little about speed.
        """
        rates = [rate for length_s, rate in self.each if length_s * _MAX_LENGTH_RATIO >= audio_s]
        return min(rates) if len(rates) >= _MIN_MEASUREMENTS else None


@dataclass(frozen=True)
class Queue:
    """One service's unended versions, in the order of their work, and its measured speed with stems and without.

    Assumes one version at a time, because they share one GPU.
    """

    order: Sequence[Row[Any]]
    speeds: dict[bool, Speed]
    now_us: int

    @classmethod
    def read(cls, connection: Connection, owner: OwningService, now_us: int) -> Self:
        """The queue as it is now."""
        facts = select(
            versions.c.job_id,
            versions.c.number,
            versions.c.state,
            versions.c.audio_s,
            versions.c.stems_wanted,
            versions.c.start_us,
            versions.c.queued_us,
        ).where(versions.c.owner == owner)
        claimed = list(connection.execute(facts.where(versions.c.state.in_(sorted(CLAIMED)))))
        claimed.sort(key=lambda row: (row.queued_us, row.job_id, row.number))
        in_order = (versions.c.queued_us, versions.c.job_id, versions.c.number)
        queued = connection.execute(facts.where(versions.c.state == JobState.QUEUED).order_by(*in_order))
        rows = [*claimed, *queued]
        speeds = {stems: speed for stems in (False, True) if (speed := _speed(connection, owner, stems_wanted=stems))}
        return cls(rows, speeds, now_us)

    def position(self, version: Row[Any]) -> int | None:
        """How many queued versions are ahead of this one; None unless it is queued."""
        return self._positions.get((version.job_id, version.number))

    def estimated_end_time(self, version: Row[Any]) -> datetime | None:
        """When this version is expected to end; None where it has ended or no speed was measured."""
        return self._end_times.get((version.job_id, version.number))

    @cached_property
    def _positions(self) -> dict[tuple[str, int], int]:
        queued = (row for row in self.order if row.state == JobState.QUEUED)
        return {(row.job_id, row.number): position for position, row in enumerate(queued)}

    @cached_property
    def _end_times(self) -> dict[tuple[str, int], datetime]:
        found, left_s = {}, 0.0
        for row in self.order:
            if row.stems_wanted not in self.speeds:
                break
            left_s += self._left_s(row, self.speeds[row.stems_wanted].mean)
            found[row.job_id, row.number] = from_micros(self.now_us + round(left_s * 1e6))
        return found

    def min_duration_s(self, audio_s: float, *, stems_wanted: bool) -> float | None:
        """Seconds until one more version would be done at the best measured speed; None where none was measured."""
        own = self._best(audio_s, stems_wanted=stems_wanted)
        if own is None:
            return None
        before = [(row, self._best(row.audio_s, stems_wanted=row.stems_wanted)) for row in self.order]
        return sum(self._left_s(row, speed) for row, speed in before if speed is not None) + audio_s * own

    def _best(self, audio_s: float, *, stems_wanted: bool) -> float | None:
        speed = self.speeds.get(stems_wanted)
        return None if speed is None else speed.best(audio_s)

    def _left_s(self, row: Row[Any], speed: float) -> float:
        spent_s = 0.0 if row.state == JobState.QUEUED else max(self.now_us - (row.start_us or self.now_us), 0) / 1e6
        left_s: float = max(row.audio_s * speed - spent_s, 0.0)
        return left_s

    def wait_s(self) -> float | None:
        """Seconds until the first version of the queue is expected to end; None where no speed was measured."""
        first = next(iter(self.order), None)
        end = self.estimated_end_time(first) if first is not None else None
        return None if end is None else (end - from_micros(self.now_us)).total_seconds()


def _speed(connection: Connection, owner: OwningService, *, stems_wanted: bool) -> Speed | None:
    """None before the first finished version."""
    query = (
        select(versions.c.audio_s, versions.c.work_s)
        .where(
            versions.c.owner == owner,
            versions.c.state == JobState.DONE,
            versions.c.stems_wanted == stems_wanted,
            versions.c.work_s.is_not(None),
            versions.c.audio_s > 0,
        )
        .order_by(versions.c.end_us.desc())
        .limit(_MEASURED_VERSIONS)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    mean = sum(row.work_s for row in rows) / sum(row.audio_s for row in rows)
    return Speed(mean, tuple((row.audio_s, row.work_s / row.audio_s) for row in rows))
