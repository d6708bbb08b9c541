"""What tenants use: versions that wait and run, and per day in UTC seconds of audio and uploaded bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from servicekit.access.limits import TenantLimits, limit_reached, seconds_until_midnight
from servicekit.clock import from_micros
from servicekit.journal import turns
from servicekit.journal.database import Transaction
from servicekit.journal.rows import Usage
from servicekit.journal.schema import tenant_usage

_DAY_US = 24 * 3600 * 1_000_000
_KEPT_DAYS = 35

# Statements are built once: building one takes four times as long as sending it.
_OF_DAY = (tenant_usage.c.tenant == bindparam("of_tenant"), tenant_usage.c.day == bindparam("of_day"))
_READ = select(tenant_usage).where(*_OF_DAY)
_ADD = (
    update(tenant_usage)
    .where(*_OF_DAY)
    .values(
        audio_s=tenant_usage.c.audio_s + bindparam("more_audio_s"),
        upload_bytes=tenant_usage.c.upload_bytes + bindparam("more_bytes"),
    )
    .returning(tenant_usage)
)
_INSERT = insert(tenant_usage).returning(tenant_usage)
_FORGET = delete(tenant_usage).where(
    tenant_usage.c.tenant == bindparam("of_tenant"), tenant_usage.c.day < bindparam("before_day")
)


def read(connection: Connection, tenant: str, now_us: int) -> Usage:
    """What a tenant uses now, and has used today."""
    row = connection.execute(_READ, {"of_tenant": tenant, "of_day": now_us // _DAY_US}).one_or_none()
    return Usage(
        waiting_jobs=turns.count_queued(connection, tenant),
        running_jobs=turns.count_running(connection, tenant),
        audio_seconds=0.0 if row is None else row.audio_s,
        upload_bytes=0 if row is None else row.upload_bytes,
        day_end_time=from_micros((now_us // _DAY_US + 1) * _DAY_US),
    )


def add_upload(tx: Transaction, tenant: str, size_bytes: int) -> int:
    """Count uploaded bytes; returns those of the day."""
    return int(_add(tx, tenant, upload_bytes=size_bytes).upload_bytes)


def check_work(
    connection: Connection,
    tenant: str,
    limits: TenantLimits,
    audio_s: float,
    *,
    now_us: int,
    retry_after_s: Callable[[], float],
) -> None:
    """Check whether a tenant may have another version, of ``audio_s`` seconds.

    Raises ResourceExhausted TENANT_LIMIT where that would exceed a limit; ``retry_after_s`` says when fewer versions may wait.
    """
    if limits.waiting_jobs:
        waiting = turns.count_queued(connection, tenant) + 1
        if waiting > limits.waiting_jobs:
            raise limit_reached(
                "waiting_jobs", allowed=limits.waiting_jobs, used=waiting, retry_after_s=retry_after_s()
            )
    allowed_s = limits.audio_seconds_per_day
    if not allowed_s:
        return
    row = connection.execute(_READ, {"of_tenant": tenant, "of_day": now_us // _DAY_US}).one_or_none()
    used_s = audio_s + (0.0 if row is None else row.audio_s)
    if used_s > allowed_s:
        left_s = seconds_until_midnight(from_micros(now_us))
        raise limit_reached(
            "audio_seconds_per_day",
            allowed=allowed_s,
            used=used_s,
            retry_after_s=left_s if audio_s <= allowed_s else None,
        )


def add_work(tx: Transaction, tenant: str, audio_s: float) -> None:
    """Count seconds of work that is being accepted."""
    _add(tx, tenant, audio_s=audio_s)


def _add(tx: Transaction, tenant: str, *, audio_s: float = 0.0, upload_bytes: int = 0) -> Row[Any]:
    """The row of the day, with more in it."""
    day = tx.now_us // _DAY_US
    more = {"of_tenant": tenant, "of_day": day, "more_audio_s": audio_s, "more_bytes": upload_bytes}
    row = tx.connection.execute(_ADD, more).one_or_none()
    if row is None:
        first = {"tenant": tenant, "day": day, "audio_s": audio_s, "upload_bytes": upload_bytes}
        row = tx.connection.execute(_INSERT, first).one()
        tx.connection.execute(_FORGET, {"of_tenant": tenant, "before_day": day - _KEPT_DAYS})
    return row
