"""Numbered events. ``sequence`` counts the events of one job, ``position`` orders those of all jobs.

The journal has one writer at a time, so both orders are the order of the commits: a reader that goes on after a number misses
nothing.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from servicekit.clock import from_micros
from servicekit.journal.database import Transaction
from servicekit.journal.rows import Event, EventDraft, EventPage, Json
from servicekit.journal.schema import events, jobs, versions
from servicekit.journal.states import CLAIMED, EventKind, JobState, OwningService, ProgressTrack, Stage

_INSERT = insert(events).returning(events.c.position)
_POSITION_COLUMN = {ProgressTrack.RENDER: versions.c.render_position, ProgressTrack.STEMS: versions.c.stems_position}


def change_state(tx: Transaction, job_id: str, number: int, state: JobState, *, error: Json | None = None) -> None:
    """Set a version's state and append its STATE event. A state without a worker clears the claim, a final state sets the end."""
    values: dict[str, Any] = {"state": state}
    if state is not JobState.CANCELLING:
        values |= {"waiting": None}
    if state not in CLAIMED:
        values |= {"claim_token": None, "worker": None, "lease_s": None}
    if state.ended:
        values |= {"end_us": tx.now_us, "error": None if error is None else json.dumps(error)}
        values |= {"waits": "{}", "suspect": False}
    attempt = tx.connection.execute(
        update(versions)
        .where(versions.c.job_id == job_id, versions.c.number == number)
        .values(values)
        .returning(versions.c.attempt)
    ).scalar_one()
    append(tx, job_id, number, state, EventDraft(kind=EventKind.STATE, attempt=attempt, error=error))


def append(tx: Transaction, job_id: str, version: int, state: JobState, draft: EventDraft) -> Event:
    """Append an event to an existing job. An event of a track becomes that track's newest."""
    job = tx.connection.execute(
        update(jobs)
        .where(jobs.c.job_id == job_id)
        .values(last_sequence=jobs.c.last_sequence + 1)
        .returning(jobs.c.tenant, jobs.c.owner, jobs.c.last_sequence)
    ).one()
    values = {
        "job_id": job_id,
        "sequence": job.last_sequence,
        "tenant": job.tenant,
        "owner": job.owner,
        "version": version,
        "kind": draft.kind,
        "state": state,
        "track": draft.track,
        "stage": draft.stage,
        "attempt": draft.attempt,
        "steps_done": draft.steps_done,
        "steps_total": draft.steps_total,
        "fraction": draft.fraction,
        "time_left_s": draft.time_left_s,
        "error": None if draft.error is None else json.dumps(draft.error),
        "time_us": tx.now_us,
    }
    position = tx.connection.execute(_INSERT, values).scalar_one()
    event = Event(
        **{field.name: getattr(draft, field.name) for field in fields(draft)},
        position=position,
        job_id=job_id,
        sequence=job.last_sequence,
        tenant=job.tenant,
        owner=OwningService(job.owner),
        version=version,
        state=state,
        time=from_micros(tx.now_us),
    )
    if draft.track is not None:
        tx.connection.execute(
            update(versions)
            .where(versions.c.job_id == job_id, versions.c.number == version)
            .values({_POSITION_COLUMN[draft.track]: event.position})
        )
    tx.events.append(event)
    return event


def to_event(row: Row[Any]) -> Event:
    """An event from a row of ``events``."""
    return Event(
        position=row.position,
        job_id=row.job_id,
        sequence=row.sequence,
        tenant=row.tenant,
        owner=OwningService(row.owner),
        version=row.version,
        kind=EventKind(row.kind),
        state=JobState(row.state),
        track=ProgressTrack(row.track) if row.track else None,
        stage=Stage(row.stage) if row.stage else None,
        attempt=row.attempt,
        steps_done=row.steps_done,
        steps_total=row.steps_total,
        fraction=row.fraction,
        time_left_s=row.time_left_s,
        error=json.loads(row.error) if row.error else None,
        time=from_micros(row.time_us),
    )


def head(connection: Connection) -> int:
    """The position of the newest event; 0 where there is none."""
    return int(connection.execute(select(func.coalesce(func.max(events.c.position), 0))).scalar_one())


def of_job(connection: Connection, job_id: str, after_sequence: int, limit: int) -> EventPage:
    """At most ``limit`` events of a job with a sequence number above ``after_sequence``, in order."""
    query = select(events).where(events.c.job_id == job_id, events.c.sequence > after_sequence)
    return _page(connection, query.order_by(events.c.sequence).limit(limit), limit)


def of_feed(
    connection: Connection, owner: OwningService, tenant: str | None, after_position: int, limit: int
) -> EventPage:
    """At most ``limit`` events after a position, in order, of an owner's jobs; of one tenant or (None) of all."""
    query = select(events).where(events.c.owner == owner, events.c.position > after_position)
    if tenant is not None:
        query = query.where(events.c.tenant == tenant)
    return _page(connection, query.order_by(events.c.position).limit(limit), limit)


def _page(connection: Connection, query: Any, limit: int) -> EventPage:  # noqa: ANN401  a select of events.*
    found = tuple(to_event(row) for row in connection.execute(query))
    return EventPage(found, found[-1].position if len(found) == limit else head(connection))
