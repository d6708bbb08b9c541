"""Lists a tenant's jobs page by page, newest first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, literal, select, tuple_

from servicekit.clock import to_micros
from servicekit.journal.reading import to_listed_jobs
from servicekit.journal.rows import JobFilter, JobPage
from servicekit.journal.schema import job_labels, jobs, versions
from servicekit.journal.tokens import Sealer

_MAX_PAGE = 200
EXAMINED_JOBS = 2000
"""Jobs that a page of a list looks at, at most."""
_PROMPTS = 200
"""Prompts that are read at once."""
_ORDER = (jobs.c.create_us.desc(), jobs.c.job_id.desc())


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
    examined = [jobs.c.tenant == tenant, *_indexed_conditions(job_filter)]
    if page_token:
        examined.append(_older_than(*sealer.open(page_token, *bound)))
    others = _other_conditions(job_filter)
    in_order = select(jobs.c.create_us, jobs.c.job_id).where(*examined).order_by(*_ORDER)
    is_bounded = others or job_filter.prompt_contains
    last_examined = connection.execute(in_order.offset(EXAMINED_JOBS - 1).limit(1)).first() if is_bounded else None
    if last_examined is not None:
        examined.append(~_older_than(last_examined.create_us, last_examined.job_id))
    matching = select(jobs).where(*examined, jobs.c.deleting.is_(False), *others)
    if job_filter.prompt_contains:
        rows = _with_prompt(connection, matching, job_filter.prompt_contains, size + 1)
    else:
        rows = connection.execute(matching.order_by(*_ORDER).limit(size + 1)).all()
    last = rows[size - 1] if len(rows) > size else last_examined
    token = "" if last is None else sealer.seal([last.create_us, last.job_id], *bound)
    return JobPage(tuple(to_listed_jobs(connection, rows[:size], now_us)), token)


def _older_than(create_us: int, job_id: str) -> ColumnElement[bool]:
    return tuple_(jobs.c.create_us, jobs.c.job_id) < tuple_(literal(create_us), literal(job_id))


def _with_prompt(connection: Connection, matching: Select[Any], text: str, limit: int) -> Sequence[Row[Any]]:
    """The first rows of ``matching`` whose first version's prompt contains ``text``, in any case.

    Compared here, because the databases fold the case of other letters than a to z differently, or not at all.
    """
    first = versions.alias()  # the conditions of ``matching`` may look at versions too
    of_job = and_(first.c.job_id == jobs.c.job_id, first.c.number == 1)
    candidates = matching.join(first, of_job).add_columns(first.c.brief).order_by(*_ORDER).limit(_PROMPTS)
    folded, found = text.casefold(), []
    rows = connection.execute(candidates).all()
    while rows:
        found += [row for row in rows if folded in str(json.loads(row.brief).get("prompt", "")).casefold()]
        if len(found) >= limit or len(rows) < _PROMPTS:
            break
        rest = candidates.where(_older_than(rows[-1].create_us, rows[-1].job_id))
        rows = connection.execute(rest).all()
    return found[:limit]


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
        *([job_filter.prompt_contains] if job_filter.prompt_contains else []),  # tokens of earlier releases stay valid
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
