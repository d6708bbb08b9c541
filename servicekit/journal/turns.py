"""Whose version is next: fair between tenants by seconds of audio, by priority within a tenant.

Start-time fair queuing (Goyal, Vin and Cheng, SIGCOMM 1996). Each service has a virtual time, and so has each tenant, in seconds of
audio. The start of a tenant's next version is the later of the two. The earliest start is next; the service's time becomes that
start, and the tenant's time that start and the length of the version. So a tenant that was idle is next at once, however many
versions of others wait, and gains nothing from having been idle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, select, text, update

from servicekit.journal.database import Transaction
from servicekit.journal.schema import is_one_of, tenant_turns, versions
from servicekit.journal.states import CLAIMED, JobState, OwningService

_SERVICE = ""
"""In place of a tenant: the service's virtual time."""
_MIN_S = 1.0
"""Shorter versions count as this much: each takes time for more than its audio."""


# Statements are built once: building one takes four times as long as sending it.
def _waiting(*conditions: Any) -> Select[Any]:  # noqa: ANN401  SQL conditions
    return (
        select(versions.c.tenant, func.min(versions.c.queued_us).label("oldest_us"))
        .where(versions.c.owner == bindparam("of_owner"), versions.c.state == JobState.QUEUED, *conditions)
        .group_by(versions.c.tenant)
    )


def _first(*conditions: Any, columns: Iterable[Any] = versions.c) -> Select[Any]:  # noqa: ANN401  SQL conditions
    of_tenant = (
        versions.c.owner == bindparam("of_owner"),
        versions.c.state == JobState.QUEUED,
        versions.c.tenant == bindparam("of_tenant"),
        *conditions,
    )
    highest = select(func.max(versions.c.priority)).where(*of_tenant).scalar_subquery()
    in_order = (versions.c.queued_us, versions.c.job_id, versions.c.number)
    return select(*columns).where(*of_tenant, versions.c.priority == highest).order_by(*in_order).limit(1)


_NO_SUSPECT = versions.c.suspect.is_(False)
_WAITING = {True: _waiting(_NO_SUSPECT), False: _waiting()}
_FIRST = {True: _first(_NO_SUSPECT), False: _first()}
_FIRST_LIMIT = _first(columns=(versions.c.running_limit,))
_TURNS = select(tenant_turns.c.tenant, tenant_turns.c.virtual_s).where(tenant_turns.c.owner == bindparam("of_owner"))
_COUNT = {
    states: select(func.count()).where(
        is_one_of(versions.c.owner, set(OwningService)),
        is_one_of(versions.c.state, states),
        versions.c.tenant == bindparam("of_tenant"),
    )
    for states in (frozenset({JobState.QUEUED}), CLAIMED)
}
_SET_TURNS = text(
    "INSERT INTO tenant_turns (owner, tenant, virtual_s) VALUES (:owner, :tenant, :tenant_s), (:owner, '', :service_s) "
    "ON CONFLICT (owner, tenant) DO UPDATE SET virtual_s = excluded.virtual_s"
)
_FORGET = delete(tenant_turns).where(
    tenant_turns.c.owner == bindparam("of_owner"),
    tenant_turns.c.tenant != _SERVICE,
    tenant_turns.c.virtual_s <= bindparam("service_s"),
)
_GIVE_BACK = (
    update(tenant_turns)
    .where(tenant_turns.c.owner == bindparam("of_owner"), tenant_turns.c.tenant == bindparam("of_tenant"))
    .values(virtual_s=tenant_turns.c.virtual_s - bindparam("length_s"))
)


class Queued(NamedTuple):
    """What the order of the queue and its estimates need of a version: columns of ``versions``."""

    job_id: str
    number: int
    state: str
    audio_s: float
    stems_wanted: bool
    start_us: int | None
    queued_us: int
    tenant: str
    priority: int


QUEUED_COLUMNS = tuple(versions.c[name] for name in Queued._fields)


@dataclass(frozen=True)
class Turns:
    """A service's virtual time and those of its tenants; a tenant without one has the service's."""

    service_s: float
    of_tenants: Mapping[str, float]

    @classmethod
    def read(cls, connection: Connection, owner: OwningService) -> Self:
        """The times as they are now."""
        found = {row.tenant: row.virtual_s for row in connection.execute(_TURNS, {"of_owner": owner})}
        return cls(found.pop(_SERVICE, 0.0), found)

    def start_s(self, tenant: str) -> float:
        """The start of the tenant's next version."""
        return max(self.of_tenants.get(tenant, self.service_s), self.service_s)


NO_TURNS = Turns(0.0, {})


def next_version(connection: Connection, owner: OwningService, *, without_suspects: bool) -> Row[Any] | None:
    """The queued version to claim, a row of ``versions``; None where none waits, or only of tenants whose running limit is reached.

    The limit is that of the version which is the tenant's next.
    """
    waiting = connection.execute(_WAITING[without_suspects], {"of_owner": owner}).all()
    if len(waiting) > 1:
        turns = Turns.read(connection, owner)
        waiting = sorted(waiting, key=lambda row: (turns.start_s(row.tenant), row.oldest_us, row.tenant))
    for tenant, _ in waiting:
        of_tenant = {"of_owner": owner, "of_tenant": tenant}
        row = connection.execute(_FIRST[without_suspects], of_tenant).one()
        if _may_run(connection, tenant, row.running_limit):
            return row
    return None


def has_next(connection: Connection, owner: OwningService) -> bool:
    """Whether :func:`next_version` would find one, suspects included. Reads less than that does."""
    for tenant, _ in connection.execute(_WAITING[False], {"of_owner": owner}).all():
        limit = connection.execute(_FIRST_LIMIT, {"of_owner": owner, "of_tenant": tenant}).scalar_one()
        if _may_run(connection, tenant, limit):
            return True
    return False


def _may_run(connection: Connection, tenant: str, running_limit: int) -> bool:
    return not running_limit or count_running(connection, tenant) < running_limit


def take(tx: Transaction, version: Row[Any]) -> None:
    """Count a version, a row of ``versions`` that leaves the queue to be worked on, for its tenant."""
    turns = Turns.read(tx.connection, version.owner)
    start_s = turns.start_s(version.tenant)
    times = {"tenant_s": start_s + length_s(version), "service_s": start_s}
    tx.connection.execute(_SET_TURNS, {"owner": version.owner, "tenant": version.tenant, **times})
    others = (time_s for tenant, time_s in turns.of_tenants.items() if tenant != version.tenant)
    if any(time_s <= start_s for time_s in others):
        tx.connection.execute(_FORGET, {"of_owner": version.owner, "service_s": start_s})


def give_back(tx: Transaction, version: Row[Any]) -> None:
    """Undo :func:`take` for a version that returns to the queue without having been done."""
    of_tenant = {"of_owner": version.owner, "of_tenant": version.tenant}
    tx.connection.execute(_GIVE_BACK, {**of_tenant, "length_s": length_s(version)})


def length_s(version: Queued | Row[Any]) -> float:
    """What a version counts for its tenant, in seconds of audio."""
    return max(version.audio_s, _MIN_S)


def in_order(queued: Iterable[Queued], turns: Turns) -> list[Queued]:
    """Queued versions in the order in which they are claimed if nothing else is queued.

    Limits of running versions and suspects are left out of account.
    """
    of_tenants: dict[str, list[Queued]] = defaultdict(list)
    for version in queued:
        of_tenants[version.tenant].append(version)
    keyed = []
    for tenant, found in of_tenants.items():
        found.sort(key=lambda version: (-version.priority, *place(version)))
        starts_s = accumulate(map(length_s, found), initial=turns.start_s(tenant))
        oldest_us = [*accumulate((version.queued_us for version in reversed(found)), min)][
            ::-1
        ]  # that still waits then
        keyed += [((*key, tenant), version) for *key, version in zip(starts_s, oldest_us, found, strict=False)]
    if len(of_tenants) > 1:
        keyed.sort(key=lambda entry: entry[0])  # stable, and ascending within a tenant
    return [version for _, version in keyed]


def to_queued(version: Row[Any]) -> Queued:
    """From a row of ``versions``."""
    return Queued(*(getattr(version, name) for name in Queued._fields))


def place(version: Queued) -> tuple[int, str, int]:
    """Sorts the longest queued first."""
    return version.queued_us, version.job_id, version.number


def count_queued(connection: Connection, tenant: str) -> int:
    """How many versions of a tenant are queued, in both services."""
    return _count(connection, tenant, frozenset({JobState.QUEUED}))


def count_running(connection: Connection, tenant: str) -> int:
    """How many versions of a tenant workers hold, in both services."""
    return _count(connection, tenant, CLAIMED)


def _count(connection: Connection, tenant: str, states: frozenset[JobState]) -> int:
    return int(connection.execute(_COUNT[states], {"of_tenant": tenant}).scalar_one())
