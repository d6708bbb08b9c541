"""Queue position and expected end of a version, from the measured speed of finished versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from sqlalchemy import Connection, Row, bindparam, select

from servicekit.clock import from_micros
from servicekit.journal.schema import is_one_of, versions
from servicekit.journal.states import CLAIMED, JobState, OwningService
from servicekit.journal.turns import NO_TURNS, QUEUED_COLUMNS, Queued, Turns, in_order, place

_MEASURED_VERSIONS = 20
_MIN_MEASUREMENTS = 3
_MAX_LENGTH_RATIO = 4.0
"""A measurement counts for audio of at most this many times its own length."""
# Built once: building a statement takes four times as long as sending it.
_UNENDED = select(*QUEUED_COLUMNS).where(
    versions.c.owner == bindparam("of_owner"), is_one_of(versions.c.state, {JobState.QUEUED, *CLAIMED})
)
_MEASURED = (
    select(versions.c.audio_s, versions.c.work_s)
    .where(
        versions.c.owner == bindparam("of_owner"),
        versions.c.state == JobState.DONE,
        versions.c.stems_wanted == bindparam("stems"),
        versions.c.work_s.is_not(None),
        versions.c.audio_s > 0,
    )
    .order_by(versions.c.end_us.desc())
    .limit(_MEASURED_VERSIONS)
)


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


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a version that is not queued yet has to expect: its end, and how long the work on it takes.

    None where no speed was measured.
    """

    versions_ahead: int
    end_time: datetime | None
    duration_s: float | None


@dataclass(frozen=True)
class Queue:
    """One service's unended versions in any order, whose turn it is, and the measured speed with stems and without.

    Assumes one version at a time, because they share one GPU.
    """

    owner: OwningService
    unended: Sequence[Queued]
    turns: Turns
    speeds: dict[bool, Speed]
    now_us: int

    @classmethod
    def read(cls, connection: Connection, owner: OwningService, now_us: int, *, newcomer: str = "") -> Self:
        """The queue as it is now. ``newcomer`` is the tenant of a version that may be added."""
        unended = [Queued(*row) for row in connection.execute(_UNENDED, {"of_owner": owner})]
        speeds = {stems: speed for stems in (False, True) if (speed := _speed(connection, owner, stems_wanted=stems))}
        tenants = {version.tenant for version in unended if version.state == JobState.QUEUED} | {newcomer} - {""}
        turns = Turns.read(connection, owner) if len(tenants) > 1 else NO_TURNS  # of one tenant they change nothing
        return cls(owner, unended, turns, speeds, now_us)

    @cached_property
    def order(self) -> Sequence[Queued]:
        """The versions in the order of their work: the claimed ones, the longest queued first, then the queued ones by turns."""
        claimed = sorted((version for version in self.unended if version.state != JobState.QUEUED), key=place)
        queued = (version for version in self.unended if version.state == JobState.QUEUED)
        return [*claimed, *in_order(queued, self.turns)]

    @property
    def queued(self) -> int:
        """How many versions are queued."""
        return sum(version.state == JobState.QUEUED for version in self.unended)

    def has_queued(self, tenant: str) -> bool:
        """Whether a version of the tenant is queued."""
        return any(version.tenant == tenant and version.state == JobState.QUEUED for version in self.unended)

    @property
    def next_place_us(self) -> int:
        """The time now, but behind every version that is queued or may be queued again, even if the clock was set back."""
        behind_us: list[int] = [version.queued_us + 1 for version in self.unended]
        return max([self.now_us, *behind_us])

    def newcomer(self, tenant: str, audio_s: float, *, stems_wanted: bool, priority: int = 0) -> Queued:
        """A version that could be queued now."""
        return Queued(
            job_id="",
            number=0,
            state=JobState.QUEUED,
            audio_s=audio_s,
            stems_wanted=stems_wanted,
            start_us=None,
            queued_us=self.next_place_us,
            tenant=tenant,
            priority=priority,
        )

    def with_new(self, version: Queued) -> Self:
        """The queue with one more version."""
        return replace(self, unended=[*self.unended, version])

    def position(self, version: Row[Any] | Queued) -> int | None:
        """How many queued versions are ahead of this one; None unless it is queued."""
        return self._positions.get((version.job_id, version.number))

    def estimated_end_time(self, version: Row[Any] | Queued) -> datetime | None:
        """When this version is expected to end; None where it has ended or no speed was measured."""
        left_s = self._left_until_end_s.get((version.job_id, version.number))
        return None if left_s is None else from_micros(self.now_us + round(left_s * 1e6))

    @cached_property
    def _positions(self) -> dict[tuple[str, int], int]:
        queued = [(row.job_id, row.number) for row in self.order if row.state == JobState.QUEUED]
        return {version: position for position, version in enumerate(queued)}

    @cached_property
    def _left_until_end_s(self) -> dict[tuple[str, int], float]:
        found, sum_s = {}, 0.0
        means = {stems: speed.mean for stems, speed in self.speeds.items()}
        for version in self.order:
            if version.stems_wanted not in means:
                break
            sum_s += self._left_s(version, means[version.stems_wanted])
            found[version.job_id, version.number] = sum_s
        return found

    def ahead_of(self, new: Queued) -> Sequence[Queued]:
        """The versions that are worked on before one that is not queued yet."""
        order = self.with_new(new).order
        return order[: order.index(new)]

    def estimate(self, new: Queued) -> Estimate:
        """What :meth:`estimated_end_time` says of a version once it is queued, and what is ahead of it."""
        speed = self.speeds.get(new.stems_wanted)
        return Estimate(
            versions_ahead=len(self.ahead_of(new)),
            end_time=self.with_new(new).estimated_end_time(new),
            duration_s=None if speed is None else new.audio_s * speed.mean,
        )

    def min_duration_s(self, new: Queued) -> float | None:
        """Seconds until a version that is not queued yet would be done at the best measured speed; None if none was measured."""
        own = self._best(new)
        if own is None:
            return None
        before = [(version, self._best(version)) for version in self.ahead_of(new)]
        return sum(self._left_s(version, speed) for version, speed in before if speed is not None) + new.audio_s * own

    def _best(self, version: Queued) -> float | None:
        speed = self.speeds.get(version.stems_wanted)
        return None if speed is None else speed.best(version.audio_s)

    def _left_s(self, version: Queued, speed: float) -> float:
        needed_s = version.audio_s * speed
        if version.state == JobState.QUEUED:
            return needed_s
        return max(needed_s - max(self.now_us - (version.start_us or self.now_us), 0) / 1e6, 0.0)

    def wait_s(self) -> float | None:
        """Seconds until the first version of the queue is expected to end; None where no speed was measured."""
        first = next(iter(self.order), None)
        end = self.estimated_end_time(first) if first is not None else None
        return None if end is None else (end - from_micros(self.now_us)).total_seconds()


def _speed(connection: Connection, owner: OwningService, *, stems_wanted: bool) -> Speed | None:
    """None before the first finished version."""
    rows = connection.execute(_MEASURED, {"of_owner": owner, "stems": stems_wanted}).all()
    if not rows:
        return None
    mean = sum(row.work_s for row in rows) / sum(row.audio_s for row in rows)
    return Speed(mean, tuple((row.audio_s, row.work_s / row.audio_s) for row in rows))
