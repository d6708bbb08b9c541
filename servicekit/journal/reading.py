"""Reads jobs with their versions, queue positions and estimates."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, and_, bindparam, literal, select, text, tuple_

from servicekit.clock import from_micros, to_micros
from servicekit.delivery.keys import job_folder
from servicekit.delivery.names import StemMode, StemName
from servicekit.errors import NotFound
from servicekit.ids import is_job_id
from servicekit.journal.estimates import Queue
from servicekit.journal.event_log import to_event
from servicekit.journal.rows import (
    Event,
    Job,
    JobFilter,
    JobPage,
    JobStatus,
    RerenderOutcome,
    SweptJob,
    Version,
    WaitState,
    named_keys,
)
from servicekit.journal.schema import audit_rows, events, job_labels, jobs, measured_failures, versions
from servicekit.journal.states import JobState, OwningService, Stage
from servicekit.journal.tokens import Sealer

_MAX_PAGE = 200
EXAMINED_JOBS = 2000
"""Jobs that a page of a list looks at, at most."""
# Built once: building a condition for each of hundreds of ids takes longer than the query.
_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_LABELS = select(job_labels).where(job_labels.c.job_id.in_(_IDS))
_VERSIONS = select(versions).where(versions.c.job_id.in_(_IDS))
_LISTED = select(*(column for column in versions.c if column is not versions.c.plan)).where(versions.c.job_id.in_(_IDS))
_EVENTS = select(events).where(events.c.position.in_(bindparam("positions", expanding=True)))
_DIGESTS = select(audit_rows.c.job_id, audit_rows.c.version, audit_rows.c.digest, audit_rows.c.sequence).where(
    audit_rows.c.job_id.in_(_IDS)
)


def read_job(connection: Connection, tenant: str, job_id: str, now_us: int, *, even_deleting: bool = False) -> Job:
    """One job. Raises :class:`NotFound`, also for another tenant's, and for one being deleted unless ``even_deleting``."""
    if not is_job_id(job_id):  # PostgreSQL refuses some texts, such as those with a NUL
        raise job_not_found(job_id)
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id, jobs.c.tenant == tenant)).one_or_none()
    if row is None or (row.deleting and not even_deleting):
        raise job_not_found(job_id)
    return _jobs(connection, [row], now_us)[0]


def read_job_status(connection: Connection, tenant: str, job_id: str) -> JobStatus:
    """The state of each version and the newest event number. Raises as :func:`read_job`."""
    if not is_job_id(job_id):
        raise job_not_found(job_id)
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id, jobs.c.tenant == tenant)).one_or_none()
    if row is None or row.deleting:
        raise job_not_found(job_id)
    found = connection.execute(select(versions.c.number, versions.c.state).where(versions.c.job_id == job_id))
    return JobStatus(OwningService(row.owner), row.last_sequence, {number: JobState(state) for number, state in found})


def read_named_keys(connection: Connection, job_id: str, number: int) -> frozenset[str]:
    """The keys of the store that a version names; none where there is no such version."""
    of_version = select(versions.c.files).where(versions.c.job_id == job_id, versions.c.number == number)
    files = connection.execute(of_version).scalar_one_or_none()
    return frozenset() if files is None else named_keys(json.loads(files))


def read_swept_jobs(connection: Connection, job_ids: Sequence[str]) -> dict[str, SweptJob]:
    """See `Journal.swept_jobs`. A plan names keys too: that of an upload, until the bounce is committed."""
    found = {
        row.job_id: SweptJob(frozenset(), not row.deleting)  # its deletion removes the files
        for row in connection.execute(select(jobs.c.job_id, jobs.c.deleting).where(jobs.c.job_id.in_(job_ids)))
    }
    facts = select(versions.c.job_id, versions.c.state, versions.c.files, versions.c.plan)
    for row in connection.execute(facts.where(versions.c.job_id.in_(job_ids))):
        job = found[row.job_id]
        named = job.named | _keys_in(json.loads(row.files)) | _keys_in(json.loads(row.plan))
        found[row.job_id] = SweptJob(named, job.has_ended and JobState(row.state).ended)
    return found


def _keys_in(value: object) -> frozenset[str]:
    """Every text in JSON that may be the key of a job's file."""
    if isinstance(value, str):
        return frozenset({value}) if value.startswith(job_folder("")) else frozenset()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return frozenset().union(*map(_keys_in, inner))


def has_job(connection: Connection, job_id: str) -> bool:
    """Whether there is a job of any tenant."""
    return connection.execute(select(jobs.c.job_id).where(jobs.c.job_id == job_id)).one_or_none() is not None


def read_jobs(
    connection: Connection,
    sealer: Sealer,
    tenant: str,
    job_filter: JobFilter,
    *,
    page_size: int,
    page_token: str,
    now_us: int,
) -> JobPage:
    """A page of at most ``page_size`` (and at most 200) jobs, newest first. Raises :class:`InvalidToken`.

    With a filter it looks at :data:`EXAMINED_JOBS` jobs at most, so that one which few jobs match does not read the whole history:
    a page may have fewer jobs, even none, and yet a token. The plans of its versions, which may be long, are left out.
    """
    bound = ("jobs", tenant, _fingerprint(job_filter))
    size = min(page_size, _MAX_PAGE)
    key = tuple_(jobs.c.create_us, jobs.c.job_id)
    order = (jobs.c.create_us.desc(), jobs.c.job_id.desc())
    examined = [jobs.c.tenant == tenant, *_indexed_conditions(job_filter)]
    if page_token:
        create_us, job_id = sealer.open(page_token, *bound)
        examined.append(key < tuple_(literal(create_us), literal(job_id)))
    others = _other_conditions(job_filter)
    in_order = select(jobs.c.create_us, jobs.c.job_id).where(*examined).order_by(*order)
    last_examined = connection.execute(in_order.offset(EXAMINED_JOBS - 1).limit(1)).first() if others else None
    if last_examined is not None:
        examined.append(key >= tuple_(literal(last_examined.create_us), literal(last_examined.job_id)))
    matching = select(jobs).where(*examined, jobs.c.deleting.is_(False), *others)
    rows = connection.execute(matching.order_by(*order).limit(size + 1)).all()
    last = rows[size - 1] if len(rows) > size else last_examined
    token = "" if last is None else sealer.seal([last.create_us, last.job_id], *bound)
    return JobPage(tuple(_jobs(connection, rows[:size], now_us, plans=False)), token)


def read_rerender_outcomes(connection: Connection, tenant: str, stem: StemName) -> list[RerenderOutcome]:
    """All re-renders of a stem of a tenant in the order of acceptance.

    Deleted jobs contribute their measured failures.
    """
    existing = (
        select(versions.c.create_us, versions.c.job_id, versions.c.number, versions.c.state, versions.c.error)
        .join(jobs, jobs.c.job_id == versions.c.job_id)
        .where(jobs.c.tenant == tenant, versions.c.rerendered_stem == stem.name, text("rerendered_stem <> ''"))
    )
    failed = measured_failures.c
    deleted = select(
        failed.create_us, failed.job_id, failed.number, literal(JobState.FAILED.value), failed.error
    ).where(failed.tenant == tenant, failed.rerendered_stem == stem.name)
    found = [*connection.execute(existing), *connection.execute(deleted)]
    return [
        RerenderOutcome(job_id, number, JobState(state), json.loads(error) if error else None)
        for _, job_id, number, state, error in sorted(found, key=lambda row: tuple(row)[:3])
    ]


def job_not_found(job_id: str) -> NotFound:
    """The error for a job that this caller cannot see."""
    return NotFound(
        f"no job {job_id[:64]!r}: it was deleted, belongs to the other service or never existed; ListJobs lists the jobs there are",
        reason="JOB_NOT_FOUND",
        metadata={"job_id": job_id[:64]},
    )


def version_not_found(job_id: str, number: int) -> NotFound:
    """The error for a version that the job does not have."""
    return NotFound(
        f"job {job_id} has no version {number}; GetJob lists its versions",
        reason="VERSION_NOT_FOUND",
        metadata={"job_id": job_id, "version": str(number)},
    )


def pick_version(job: Job, number: int, qualifies: Callable[[Version], bool]) -> Version:
    """The version of that number; for 0 the newest that qualifies or, where none does, the newest of all.

    Raises :class:`NotFound` for a number that the job does not have.
    """
    if number:
        named = job.version(number)
        if named is None:
            raise version_not_found(job.job_id, number)
        return named
    return next((version for version in reversed(job.versions) if qualifies(version)), job.versions[-1])


def _indexed_conditions(job_filter: JobFilter) -> list[Any]:
    """Those that an index of ``jobs`` serves in the order of a list."""
    conditions: list[Any] = []
    if job_filter.owner:
        conditions.append(jobs.c.owner == job_filter.owner)
    if job_filter.created_after:
        conditions.append(jobs.c.create_us >= to_micros(job_filter.created_after))
    return conditions


def _other_conditions(job_filter: JobFilter) -> list[Any]:
    conditions: list[Any] = []
    if job_filter.persona_id:
        conditions.append(jobs.c.persona_id == job_filter.persona_id)
    if job_filter.states:
        first = and_(
            versions.c.job_id == jobs.c.job_id, versions.c.number == 1, versions.c.state.in_(job_filter.states)
        )
        conditions.append(select(versions.c.job_id).where(first).exists())
    for name, value in job_filter.labels.items():
        label = and_(job_labels.c.job_id == jobs.c.job_id, job_labels.c.name == name, job_labels.c.value == value)
        conditions.append(select(job_labels.c.job_id).where(label).exists())
    return conditions


def _fingerprint(job_filter: JobFilter) -> str:
    """A page token is valid only for the filter it was made for."""
    after = job_filter.created_after.isoformat() if job_filter.created_after else ""
    facts = [
        job_filter.owner or "",
        sorted(job_filter.states),
        sorted(job_filter.labels.items()),
        job_filter.persona_id,
        after,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _jobs(connection: Connection, rows: Sequence[Row[Any]], now_us: int, *, plans: bool = True) -> list[Job]:
    """Jobs from rows of ``jobs``, with the same number of queries for any number of rows."""
    ids = [row.job_id for row in rows]
    labels: dict[str, dict[str, str]] = defaultdict(dict)
    of_jobs = connection.execute(_LABELS, {"ids": ids}).all()
    for label in sorted(of_jobs, key=lambda label: label.name):
        labels[label.job_id][label.name] = label.value
    of_job: dict[str, list[Version]] = defaultdict(list)
    for version in _versions(connection, ids, now_us, plans=plans):
        of_job[version.job_id].append(version)
    return [
        Job(
            job_id=row.job_id,
            tenant=row.tenant,
            owner=OwningService(row.owner),
            request_id=row.request_id,
            labels=labels[row.job_id],
            persona_id=row.persona_id,
            create_time=from_micros(row.create_us),
            last_sequence=row.last_sequence,
            versions=tuple(of_job[row.job_id]),
        )
        for row in rows
    ]


def _versions(connection: Connection, job_ids: list[str], now_us: int, *, plans: bool) -> list[Version]:
    found = connection.execute(_VERSIONS if plans else _LISTED, {"ids": job_ids}).all()
    rows = sorted(found, key=lambda row: (row.job_id, row.number))
    positions = [position for row in rows for position in (row.render_position, row.stems_position) if position]
    of_positions = connection.execute(_EVENTS, {"positions": positions}) if positions else ()
    newest = {row.position: to_event(row) for row in of_positions}
    digests: dict[tuple[str, int], list[str]] = defaultdict(list)
    of_jobs = connection.execute(_DIGESTS, {"ids": job_ids}).all()
    for row in sorted(of_jobs, key=lambda row: row.sequence):
        digests[row.job_id, row.version].append(row.digest)
    queues = {
        owner: Queue.read(connection, OwningService(owner), now_us)
        for owner in {row.owner for row in rows if _unended(row)}
    }
    return [
        _to_version(
            row,
            plans=plans,
            progress=tuple(newest[position] for position in (row.render_position, row.stems_position) if position),
            queue_position=queues[row.owner].position(row) if row.owner in queues else None,
            estimated_end_time=queues[row.owner].estimated_end_time(row) if row.owner in queues else None,
            audit_digests=tuple(digests[row.job_id, row.number]),
        )
        for row in rows
    ]


def _unended(row: Row[Any]) -> bool:
    return not JobState(row.state).ended


def rerendered_stem(row: Row[Any]) -> StemName | None:
    """The stem of a row of ``versions``; None for a version that is no re-render."""
    return StemName[row.rerendered_stem] if row.rerendered_stem else None


def _to_version(
    row: Row[Any],
    *,
    plans: bool,
    progress: tuple[Event, ...],
    queue_position: int | None,
    estimated_end_time: datetime | None,
    audit_digests: tuple[str, ...],
) -> Version:
    """A version from a row of ``versions``."""
    return Version(
        job_id=row.job_id,
        number=row.number,
        state=JobState(row.state),
        attempt=row.attempt,
        crashes=row.crashes,
        stems_wanted=row.stems_wanted,
        stem_mode=StemMode[row.stem_mode],
        base_version=row.base_version,
        rerendered_stem=rerendered_stem(row),
        brief=json.loads(row.brief),
        plan=json.loads(row.plan) if plans else {},
        files=json.loads(row.files),
        loudness=json.loads(row.loudness) if row.loudness else None,
        timings=tuple(json.loads(row.timings)),
        error=json.loads(row.error) if row.error else None,
        checkpointed_stage=Stage(row.checkpointed_stage) if row.checkpointed_stage else None,
        waits=WaitState(waiting=json.loads(row.waiting) if row.waiting else None, spent=json.loads(row.waits)),
        progress=progress,
        audio_seconds=row.audio_s,
        expire_time=_time(row.expire_us),
        create_time=from_micros(row.create_us),
        start_time=_time(row.start_us),
        end_time=_time(row.end_us),
        queue_position=queue_position,
        estimated_end_time=estimated_end_time,
        audit_digests=audit_digests,
    )


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
