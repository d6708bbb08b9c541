"""Keeps the time that versions have left when the machine's clock is set, beside a SQLite file.

An ``expire_time`` is a time of day, but what a caller means by it is how long the work may take. If the clock is set, the expiries
of all versions that have not ended move with it. A row of ``meta``, ``clock``, holds the difference of the time of day and the time
since the machine started, which nobody sets; each process compares it with its clock in every write transaction. PostgreSQL has no
such clock: there the time of day of its server counts.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, insert, update

from servicekit.clock import Clock, to_micros
from servicekit.journal.schema import meta, versions
from servicekit.journal.states import ENDED, JobState, OwningService

_NAME = "clock"
_MIN_STEP_US = 1_000_000
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def clock_offset_us(clock: Clock) -> int:
    """The time of day minus the time since the machine started, in microseconds: it changes only if the clock is set."""
    return to_micros(clock.now()) - round(clock.boot_s() * 1e6)


def is_step(before_us: int, now_us: int) -> bool:
    """Whether two offsets differ by more than their measurement does."""
    return abs(now_us - before_us) >= _MIN_STEP_US


def follow_clock(connection: Connection, offset_us: int) -> int:
    """Move the expiries if the clock was set by a second or more since any process did so last.

    Returns the offset that is recorded then: while the clock agrees with it, there is nothing to move.
    """
    found = connection.exec_driver_sql(f"SELECT value FROM meta WHERE name = '{_NAME}'").scalar_one_or_none()  # noqa: S608
    boot_id, _, earlier_us = (found or "").partition(" ")
    same_boot = boot_id == _boot_id()
    if same_boot and not is_step(int(earlier_us), offset_us):
        return int(earlier_us)
    if same_boot:
        unended = (
            versions.c.owner.in_(sorted(OwningService)),
            versions.c.state.in_(sorted(set(JobState) - ENDED)),
            versions.c.expire_us.is_not(None),
        )
        moved = versions.c.expire_us + (offset_us - int(earlier_us))
        connection.execute(update(versions).where(*unended).values(expire_us=moved))
    value = f"{_boot_id()} {offset_us}"
    if found is None:
        connection.execute(insert(meta).values(name=_NAME, value=value))
    else:
        connection.execute(update(meta).where(meta.c.name == _NAME).values(value=value))
    return offset_us


@cache
def _boot_id() -> str:
    """Of this start of the machine."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "unknown"
