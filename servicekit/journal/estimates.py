"""How long a version still has to wait, from the speeds of those that were done before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection, Row, select

from servicekit.clock import from_micros
from servicekit.journal.schema import versions
from servicekit.journal.states import CLAIMED, JobState, Owner

_MEASURED = 20


_ALIKE = 4.0
_ENOUGH = 3


@dataclass(frozen=True)
class Speed:
    """Seconds of work a second of audio, over the last versions that were done: their mean, and each with its length."""

    mean: float
    each: tuple[tuple[float, float], ...]

    def best(self, audio_s: float) -> float | None:
        """The best of those that were not much shorter, because short ones pay relatively more.

        None where there were fewer than three: one that had to wait for the device says little about speed.
        """
        rates = [rate for length_s, rate in self.each if length_s * _ALIKE >= audio_s]
        return min(rates) if len(rates) >= _ENOUGH else None


@dataclass(frozen=True)
class Queue:
    """One owner's unended versions, in the order of their work, and its measured speed with stems and without.

    One version at a time is assumed, because they share one GPU.
    """

    order: Sequence[Row[Any]]
    speeds: dict[bool, Speed]
    now_us: int

    @classmethod
    def read(cls, connection: Connection, owner: Owner, now_us: int) -> Self:
        """The queue as it stands."""
        unended = (JobState.QUEUED, *sorted(CLAIMED))
        query = (
            select(
                versions.c.job_id,
                versions.c.number,
                versions.c.state,
                versions.c.audio_s,
                versions.c.stems_wanted,
                versions.c.start_us,
            )
            .where(versions.c.owner == owner, versions.c.state.in_(unended))
            .order_by(versions.c.queued_us, versions.c.job_id, versions.c.number)
        )
        found: list[Any] = list(connection.execute(query))
        rows = sorted(found, key=lambda row: row.state == JobState.QUEUED)
        speeds = {stems: speed for stems in (False, True) if (speed := _speed(connection, owner, stems_wanted=stems))}
        return cls(rows, speeds, now_us)

    def position(self, version: Row[Any]) -> int | None:
        """How many versions wait before this one; None unless it waits."""
        waiting = [(row.job_id, row.number) for row in self.order if row.state == JobState.QUEUED]
        key = (version.job_id, version.number)
        return waiting.index(key) if key in waiting else None

    def estimated_end_time(self, version: Row[Any]) -> datetime | None:
        """When this version is expected to end; None where it ended or no speed was measured."""
        left_s = 0.0
        for row in self.order:
            if row.stems_wanted not in self.speeds:
                return None
            left_s += self._left_s(row, self.speeds[row.stems_wanted].mean)
            if (row.job_id, row.number) == (version.job_id, version.number):
                return from_micros(self.now_us + round(left_s * 1e6))
        return None

    def needed_s(self, audio_s: float, *, stems_wanted: bool) -> float | None:
        """Least seconds until one more version could be done, at the best speed that was measured; None where none was."""
        own = self._best(audio_s, stems_wanted=stems_wanted)
        if own is None:
            return None
        before = [(row, self._best(row.audio_s, stems_wanted=row.stems_wanted)) for row in self.order]
        return sum(self._left_s(row, speed) for row, speed in before if speed is not None) + audio_s * own

    def _best(self, audio_s: float, *, stems_wanted: bool) -> float | None:
        speed = self.speeds.get(stems_wanted)
        return None if speed is None else speed.best(audio_s)

    def _left_s(self, row: Row[Any], speed: float) -> float:
        spent_s = 0.0 if row.state == JobState.QUEUED else (self.now_us - (row.start_us or self.now_us)) / 1e6
        left_s: float = max(row.audio_s * speed - spent_s, 0.0)
        return left_s

    def wait_s(self) -> float | None:
        """Seconds until the first of the queue is expected to make room; None where no speed was measured."""
        first = next(iter(self.order), None)
        end = self.estimated_end_time(first) if first is not None else None
        return None if end is None else (end - from_micros(self.now_us)).total_seconds()


def _speed(connection: Connection, owner: Owner, *, stems_wanted: bool) -> Speed | None:
    """None where no version was done yet."""
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
        .limit(_MEASURED)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    mean = sum(row.work_s for row in rows) / sum(row.audio_s for row in rows)
    return Speed(mean, tuple((row.audio_s, row.work_s / row.audio_s) for row in rows))
