"""Reads jobs with their versions, queue positions and estimates."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    Row,
    Select,
    bindparam,
    literal,
    select,
    text,
)

from servicekit.clock import from_micros
from servicekit.delivery.keys import job_folder
from servicekit.delivery.names import StemMode, StemName
from servicekit.errors import NotFound
from servicekit.ids import is_job_id
from servicekit.journal.estimates import Queue
from servicekit.journal.event_log import to_event
from servicekit.journal.rows import (
    Event,
    Job,
    JobStatus,
    RerenderOutcome,
    SweptJob,
    Version,
    WaitState,
    named_keys,
)
from servicekit.journal.schema import audit_rows, events, job_labels, jobs, measured_failures, versions
from servicekit.journal.states import JobState, OwningService, Stage

# Statements are built once: building one takes four times as long as sending it.
_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_EVENTS = select(events).where(events.c.position.in_(bindparam("positions", expanding=True)))
_JOB = select(jobs).where(jobs.c.job_id == bindparam("of_job"), jobs.c.tenant == bindparam("of_tenant"))
_STATES = select(versions.c.number, versions.c.state).where(versions.c.job_id == bindparam("of_job"))
_FILES = select(versions.c.files).where(
    versions.c.job_id == bindparam("of_job"), versions.c.number == bindparam("of_version")
)


class _OfJobs(NamedTuple):
    """A statement for the rows of one job, and of several: the text for a number of ids is built anew for each call."""

    of_one: Select[Any]
    of_several: Select[Any]

    @classmethod
    def of(cls, query: Select[Any], job_id: Column[str]) -> Self:
        """Of the rows of ``query`` whose ``job_id`` is that of a job."""
        return cls(query.where(job_id == bindparam("of_job")), query.where(job_id.in_(_IDS)))

    def rows(self, connection: Connection, job_ids: Sequence[str]) -> Sequence[Row[Any]]:
        """The rows of these jobs."""
        if len(job_ids) == 1:
            return connection.execute(self.of_one, {"of_job": job_ids[0]}).all()
        return connection.execute(self.of_several, {"ids": job_ids}).all()


_LABELS = _OfJobs.of(select(job_labels), job_labels.c.job_id)
_VERSIONS = _OfJobs.of(select(versions), versions.c.job_id)
_LISTED = _OfJobs.of(select(*(column for column in versions.c if column is not versions.c.plan)), versions.c.job_id)
_DIGESTS = _OfJobs.of(
    select(audit_rows.c.job_id, audit_rows.c.version, audit_rows.c.digest, audit_rows.c.sequence), audit_rows.c.job_id
)


def read_job(connection: Connection, tenant: str, job_id: str, now_us: int, *, even_deleting: bool = False) -> Job:
    """One job. Raises :class:`NotFound`, also for another tenant's, and for one being deleted unless ``even_deleting``."""
    row = read_job_row(connection, tenant, job_id)
    if row.deleting and not even_deleting:
        raise job_not_found(job_id)
    return to_job(connection, row, read_version_rows(connection, job_id), now_us)


def read_job_row(connection: Connection, tenant: str, job_id: str) -> Row[Any]:
    """The row of ``jobs``, also of a job that is being deleted. Raises :class:`NotFound`, also for another tenant's."""
    if not is_job_id(job_id):  # PostgreSQL refuses some texts, such as those with a NUL
        raise job_not_found(job_id)
    row = connection.execute(_JOB, {"of_job": job_id, "of_tenant": tenant}).one_or_none()
    if row is None:
        raise job_not_found(job_id)
    return row


def read_version_rows(connection: Connection, job_id: str) -> list[Row[Any]]:
    """The rows of ``versions`` of a job, version 1 first."""
    return sorted(_VERSIONS.rows(connection, [job_id]), key=lambda row: row.number)


def read_job_status(connection: Connection, tenant: str, job_id: str) -> JobStatus:
    """The state of each version and the newest event number. Raises as :func:`read_job`."""
    row = read_job_row(connection, tenant, job_id)
    if row.deleting:
        raise job_not_found(job_id)
    found = connection.execute(_STATES, {"of_job": job_id})
    return JobStatus(OwningService(row.owner), row.last_sequence, {number: JobState(state) for number, state in found})


def read_named_keys(connection: Connection, job_id: str, number: int) -> frozenset[str]:
    """The keys of the store that a version names; none where there is no such version."""
    files = connection.execute(_FILES, {"of_job": job_id, "of_version": number}).scalar_one_or_none()
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


def to_job(
    connection: Connection, job: Row[Any], of_job: Sequence[Row[Any]], now_us: int, *, with_estimates: bool = True
) -> Job:
    """A job from its row of ``jobs`` and all of its rows of ``versions``.

    Without estimates no version has a queue position or an expected end.
    """
    return _to_jobs(connection, [job], of_job, now_us, with_estimates=with_estimates)[0]


def to_new_job(job: Row[Any], version: Row[Any], labels: Mapping[str, str], queue: Queue) -> Job:
    """A job that has just been written: its row of ``jobs``, and that of its only version, which ``queue`` has."""
    return _to_job(job, labels, [_to_version(version, has_plan=True, progress=(), queue=queue, audit_digests=())])


def _to_job(row: Row[Any], labels: Mapping[str, str], of_job: Sequence[Version]) -> Job:
    return Job(
        job_id=row.job_id,
        tenant=row.tenant,
        owner=OwningService(row.owner),
        request_id=row.request_id,
        labels=labels,
        persona_id=row.persona_id,
        create_time=from_micros(row.create_us),
        last_sequence=row.last_sequence,
        versions=tuple(of_job),
    )


def to_listed_jobs(connection: Connection, rows: Sequence[Row[Any]], now_us: int) -> list[Job]:
    """Jobs from their rows of ``jobs``, in that order. Their versions have an empty plan."""
    found = _LISTED.rows(connection, [row.job_id for row in rows]) if rows else ()
    return _to_jobs(connection, rows, found, now_us, has_plans=False)


def _to_jobs(
    connection: Connection,
    rows: Sequence[Row[Any]],
    version_rows: Sequence[Row[Any]],
    now_us: int,
    *,
    has_plans: bool = True,
    with_estimates: bool = True,
) -> list[Job]:
    """Jobs from rows of ``jobs`` and ``versions``, with the same number of queries for any number of them."""
    ids = [row.job_id for row in rows]
    labels: dict[str, dict[str, str]] = defaultdict(dict)
    for label in sorted(_LABELS.rows(connection, ids), key=lambda label: label.name):
        labels[label.job_id][label.name] = label.value
    of_job: dict[str, list[Version]] = defaultdict(list)
    for version in _to_versions(connection, version_rows, now_us, has_plans=has_plans, with_estimates=with_estimates):
        of_job[version.job_id].append(version)
    return [_to_job(row, labels[row.job_id], of_job[row.job_id]) for row in rows]


def _to_versions(
    connection: Connection,
    found: Sequence[Row[Any]],
    now_us: int,
    *,
    has_plans: bool,
    with_estimates: bool,
) -> list[Version]:
    rows = sorted(found, key=lambda row: (row.job_id, row.number))
    positions = [position for row in rows for position in (row.render_position, row.stems_position) if position]
    of_positions = connection.execute(_EVENTS, {"positions": positions}) if positions else ()
    newest = {row.position: to_event(row) for row in of_positions}
    digests: dict[tuple[str, int], list[str]] = defaultdict(list)
    attempted = sorted({row.job_id for row in rows if row.attempt})  # no other job has audit rows
    of_jobs = _DIGESTS.rows(connection, attempted) if attempted else ()
    for row in sorted(of_jobs, key=lambda row: row.sequence):
        digests[row.job_id, row.version].append(row.digest)
    unended = {row.owner for row in rows if not JobState(row.state).ended} if with_estimates else ()
    queues = {owner: Queue.read(connection, OwningService(owner), now_us) for owner in unended}
    return [
        _to_version(
            row,
            has_plan=has_plans,
            progress=tuple(newest[position] for position in (row.render_position, row.stems_position) if position),
            queue=queues.get(row.owner),
            audit_digests=tuple(digests[row.job_id, row.number]),
        )
        for row in rows
    ]


def rerendered_stem(row: Row[Any]) -> StemName | None:
    """The stem of a row of ``versions``; None for a version that is no re-render."""
    return StemName[row.rerendered_stem] if row.rerendered_stem else None


_decode = json.JSONDecoder().decode  # json.loads takes half as long again, and a page of jobs has hundreds of texts


def _object(text: str | None) -> Any:  # noqa: ANN401  a JSON object, or None
    if not text:
        return None
    return {} if text == "{}" else _decode(text)


def _to_version(
    row: Row[Any],
    *,
    has_plan: bool,
    progress: tuple[Event, ...],
    queue: Queue | None,
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
        brief=_object(row.brief),
        plan=_object(row.plan) if has_plan else {},
        files=_object(row.files),
        loudness=_object(row.loudness),
        timings=() if row.timings == "[]" else tuple(_decode(row.timings)),
        error=_object(row.error),
        checkpointed_stage=Stage(row.checkpointed_stage) if row.checkpointed_stage else None,
        waits=WaitState(waiting=_object(row.waiting), spent=_object(row.waits)),
        progress=progress,
        audio_seconds=row.audio_s,
        priority=row.priority,
        expire_time=_time(row.expire_us),
        create_time=from_micros(row.create_us),
        start_time=_time(row.start_us),
        end_time=_time(row.end_us),
        delete_time=_time(row.delete_us),
        queue_position=None if queue is None else queue.position(row),
        estimated_end_time=None if queue is None else queue.estimated_end_time(row),
        audit_digests=audit_digests,
    )


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
