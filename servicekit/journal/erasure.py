"""Erases personal data: the prompts of a job, or all that a job has."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, func, or_, select, update

from servicekit.errors import FailedPrecondition
from servicekit.ids import is_job_id
from servicekit.journal import audit_chain
from servicekit.journal.admission import measurement, wrong_state
from servicekit.journal.database import Transaction
from servicekit.journal.reading import job_not_found, read_job
from servicekit.journal.rows import Counts, Json
from servicekit.journal.schema import (
    audit_rows,
    events,
    job_labels,
    jobs,
    measured_failures,
    requests,
    versions,
    webhook_deliveries,
    webhooks,
)
from servicekit.journal.states import DataKind, JobState, OwningService

TEXTS = {"prompt": None, "salt": None, "personal": None}
HAS_TEXTS = or_(*(audit_rows.c[name].is_not(None) for name in TEXTS))


def erase_prompt(tx: Transaction, tenant: str, job_id: str) -> int:
    """Erase a job's prompts from its audit rows, briefs and plans; returns how many audit rows had one.

    Raises FailedPrecondition WRONG_STATE while a version still needs its prompt, NotFound where the id has neither a job nor
    audit rows.
    """
    if not is_job_id(job_id):  # PostgreSQL refuses some texts, such as those with a NUL
        raise job_not_found(job_id)
    _check_ended(tx, tenant, job_id)
    mine = (audit_rows.c.tenant == tenant, audit_rows.c.job_id == job_id)
    with_prompt = audit_rows.c.prompt.is_not(None)
    erased = tx.connection.execute(update(audit_rows).where(*mine, with_prompt).values(prompt=None, salt=None)).rowcount
    of_tenant = select(jobs.c.job_id).where(jobs.c.job_id == job_id, jobs.c.tenant == tenant)
    for row in tx.connection.execute(select(versions).where(versions.c.job_id.in_(of_tenant))).all():
        tx.connection.execute(
            update(versions)
            .where(versions.c.job_id == job_id, versions.c.number == row.number)
            .values(brief=_without_prompt(row.brief), plan=_without_prompt(row.plan), prompt_erased=True)
        )
    # A digest of the whole request could confirm a guess of the prompt.
    tx.connection.execute(update(requests).where(requests.c.job_id.in_(of_tenant)).values(digest=""))
    return erased


def _check_ended(tx: Transaction, tenant: str, job_id: str) -> None:
    any_row = select(audit_rows.c.sequence).where(audit_rows.c.tenant == tenant, audit_rows.c.job_id == job_id).limit(1)
    states = tx.connection.execute(
        select(versions.c.number, versions.c.state)
        .join(jobs, jobs.c.job_id == versions.c.job_id)
        .where(jobs.c.job_id == job_id, jobs.c.tenant == tenant)
    ).all()
    if not states and tx.connection.execute(any_row).one_or_none() is None:
        raise job_not_found(job_id)
    for row in states:
        if not JobState(row.state).ended:
            raise FailedPrecondition(
                f"version {row.number} of job {job_id} is {row.state} and needs its prompt; cancel it or wait, then erase",
                reason="WRONG_STATE",
                metadata={"job_id": job_id, "version": str(row.number), "state": str(row.state)},
            )


def start_erase(tx: Transaction, tenant: str, job_id: str, owner: OwningService) -> Counts:
    """Erase the texts of an ended or deleted job, and record that it is being deleted; returns how much there was.

    Can be repeated. Raises NotFound where the id has neither a job of this owner nor, where there is no job, audit rows or events;
    FailedPrecondition WRONG_STATE.
    """
    if not is_job_id(job_id):
        raise job_not_found(job_id)
    row = tx.connection.execute(select(jobs).where(jobs.c.job_id == job_id, jobs.c.tenant == tenant)).one_or_none()
    counts = {DataKind.AUDIT_TEXTS: _erase_audit_texts(tx, tenant, job_id)}
    if row is not None:
        counts |= _erase_row(tx, row, owner)
    elif not _was_there(tx.connection, tenant, job_id):
        raise job_not_found(job_id)
    return counts


def _erase_row(tx: Transaction, row: Row[Any], owner: OwningService) -> Counts:
    """Blank a job's rows until they are removed with its files."""
    job_id: str = row.job_id
    job = read_job(tx.connection, row.tenant, job_id, tx.now_us, even_deleting=True)
    if job.owner is not owner:
        raise job_not_found(job_id)
    for version in job.versions:
        if not version.state.ended:
            raise wrong_state(job, version, "cancel it and wait until it ends, then erase the job")
    labels = tx.connection.execute(delete(job_labels).where(job_labels.c.job_id == job_id)).rowcount
    request_ids = tx.connection.execute(delete(requests).where(requests.c.job_id == job_id)).rowcount
    deliveries = tx.connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.job_id == job_id)).rowcount
    hooks = tx.connection.execute(delete(webhooks).where(webhooks.c.job_id == job_id)).rowcount
    blank = {"brief": "{}", "plan": "{}", "timings": "[]", "waits": "{}", "waiting": None, "prompt_erased": True}
    tx.connection.execute(update(versions).where(versions.c.job_id == job_id).values(blank))
    for version in job.versions:
        of_version = (versions.c.job_id == job_id, versions.c.number == version.number)
        tx.connection.execute(update(versions).where(*of_version).values(error=_numbers_only(measurement(version))))
    of_job = events.c.job_id == job_id
    tx.connection.execute(update(events).where(of_job, events.c.error.is_not(None)).values(error=None))
    tx.connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(deleting=True, request_id=""))
    first = not row.deleting
    return {
        DataKind.JOBS: int(first),
        DataKind.LABELS: labels,
        DataKind.REQUEST_IDS: request_ids,
        DataKind.WEBHOOKS: hooks,
        DataKind.WEBHOOK_DELIVERIES: deliveries,
        DataKind.EVENTS: count_rows(tx.connection, events, of_job) if first else 0,
    }


def _numbers_only(measured: Json | None) -> str | None:
    """The error of a failed re-render by its measurement, which drift reports count and which has no text of the caller."""
    return None if measured is None else json.dumps({"details": [measured]})


def _erase_audit_texts(tx: Transaction, tenant: str, job_id: str) -> int:
    of_job = (audit_rows.c.tenant == tenant, audit_rows.c.job_id == job_id)
    return tx.connection.execute(update(audit_rows).where(*of_job, HAS_TEXTS).values(TEXTS)).rowcount


def _was_there(connection: Connection, tenant: str, job_id: str) -> bool:
    for table in (audit_rows, events):
        of_job = (table.c.tenant == tenant, table.c.job_id == job_id)
        if connection.execute(select(table.c.job_id).where(*of_job).limit(1)).first():
            return True
    return False


def count_remaining(connection: Connection, tenant: str, job_id: str) -> Counts:
    """What an erased job has left, by kind."""

    def of_job(table: Table) -> ColumnElement[bool]:
        return and_(table.c.tenant == tenant, table.c.job_id == job_id)

    return {
        DataKind.AUDIT_ROWS: count_rows(connection, audit_rows, of_job(audit_rows)),
        DataKind.EARLIER_AUDIT_ROWS: audit_chain.count_with_personal_bodies(connection, tenant, job_id),
        DataKind.EVENTS: count_rows(connection, events, of_job(events)),
        DataKind.MEASUREMENTS: count_rows(connection, measured_failures, of_job(measured_failures)),
    }


def count_rows(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    """How many rows of a table meet a condition."""
    found: int = connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
    return found


def _without_prompt(text: str) -> str:
    """JSON text with the value of every key ``prompt`` replaced by ""."""

    def blank(value: Any) -> Any:  # noqa: ANN401  any JSON value
        if isinstance(value, dict):
            return {key: "" if key == "prompt" else blank(inner) for key, inner in value.items()}
        return [blank(inner) for inner in value] if isinstance(value, list) else value

    return json.dumps(blank(json.loads(text)))
