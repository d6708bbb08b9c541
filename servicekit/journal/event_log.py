"""Numbered events. ``sequence`` counts the events of one job, ``position`` orders those of all jobs.

The journal has one writer at a time, so both orders are the order of the commits: a reader that goes on after a number misses
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from servicekit.clock import from_micros
from servicekit.journal.database import Transaction
from servicekit.journal.rows import Event, EventDraft, EventPage, Json
from servicekit.journal.schema import events, jobs, versions
from servicekit.journal.states import CLAIMED, EventKind, JobState, OwningService, ProgressTrack, Stage

_OF_VERSION = (versions.c.job_id == bindparam("of_job"), versions.c.number == bindparam("of_version"))


def _to_state(state: JobState) -> Any:  # noqa: ANN401  an UPDATE with RETURNING has no short type
    """Sets a version's state. One without a worker clears the claim, a final one sets the end."""
    values: dict[str, Any] = {"state": state}
    if state is not JobState.CANCELLING:
        values |= {"waiting": None}
    if state not in CLAIMED:
        values |= {"claim_token": None, "worker": None, "lease_s": None}
    if state.ended:
        values |= {"end_us": bindparam("now_us"), "error": bindparam("new_error"), "waits": "{}", "suspect": False}
    return update(versions).where(*_OF_VERSION).values(values).returning(versions)


# Statements are built once: building one takes four times as long as sending it.
_TO_STATE = {state: _to_state(state) for state in JobState}
_NUMBERED = (
    update(jobs)
    .where(jobs.c.job_id == bindparam("of_job"))
    .values(last_sequence=jobs.c.last_sequence + bindparam("more"))
    .returning(jobs)
)
_INSERT = insert(events).returning(events.c.position)
_NEWEST_OF_TRACK = {
    track: update(versions).where(*_OF_VERSION).values({column: bindparam("newest")})
    for track, column in (
        (ProgressTrack.RENDER, versions.c.render_position),
        (ProgressTrack.STEMS, versions.c.stems_position),
    )
}
_HEAD = select(func.coalesce(func.max(events.c.position), 0))
_OF_JOB = (
    select(events)
    .where(events.c.job_id == bindparam("of_job"), events.c.sequence > bindparam("after"))
    .order_by(events.c.sequence)
    .limit(bindparam("rows"))
)
_FEED = select(events).where(events.c.owner == bindparam("of_owner"), events.c.position > bindparam("after"))
_FEED_OF_ALL = _FEED.order_by(events.c.position).limit(bindparam("rows"))
_FEED_OF_TENANT = (
    _FEED.where(events.c.tenant == bindparam("of_tenant")).order_by(events.c.position).limit(bindparam("rows"))
)


class Changed(NamedTuple):
    """The rows of ``jobs`` and ``versions`` as a change of state left them."""

    job: Row[Any]
    version: Row[Any]


def change_state(tx: Transaction, job_id: str, number: int, *states: JobState, error: Json | None = None) -> Changed:
    """Take a version through ``states``, with a STATE event for each; ``error`` is that of a final state."""
    last = states[-1]
    of_end = {"now_us": tx.now_us, "new_error": None if error is None else json.dumps(error)} if last.ended else {}
    row = tx.connection.execute(_TO_STATE[last], {"of_job": job_id, "of_version": number, **of_end}).one()
    return Changed(append_states(tx, row, *states, error=error), row)


def append_states(tx: Transaction, version: Row[Any], *states: JobState, error: Json | None = None) -> Row[Any]:
    """Append STATE events of a version whose row was changed; returns the row of its job."""
    draft = EventDraft(kind=EventKind.STATE, attempt=version.attempt, error=error)
    return _append(tx, version.job_id, version.number, [(state, draft) for state in states])


def append(tx: Transaction, job_id: str, version: int, state: JobState, drafts: Sequence[EventDraft]) -> None:
    """Append events to an existing job. An event of a track becomes that track's newest."""
    if drafts:
        _append(tx, job_id, version, [(state, draft) for draft in drafts])


def _append(tx: Transaction, job_id: str, version: int, drafts: Sequence[tuple[JobState, EventDraft]]) -> Row[Any]:
    job = tx.connection.execute(_NUMBERED, {"of_job": job_id, "more": len(drafts)}).one()
    newest = {}
    for sequence, (state, draft) in enumerate(drafts, start=job.last_sequence - len(drafts) + 1):
        event = write(tx, job, version, state, draft, sequence=sequence)
        if draft.track is not None:
            newest[draft.track] = event.position
    for track, position in newest.items():
        tx.connection.execute(_NEWEST_OF_TRACK[track], {"of_job": job_id, "of_version": version, "newest": position})
    return job


def write(tx: Transaction, job: Row[Any], version: int, state: JobState, draft: EventDraft, *, sequence: int) -> Event:
    """Write an event of a job whose row, of ``jobs``, counts it already. It does not become its track's newest."""
    values = {
        "job_id": job.job_id,
        "sequence": sequence,
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
    event = Event(
        **vars(draft),
        position=tx.connection.execute(_INSERT, values).scalar_one(),
        job_id=job.job_id,
        sequence=sequence,
        tenant=job.tenant,
        owner=OwningService(job.owner),
        version=version,
        state=state,
        time=from_micros(tx.now_us),
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
    return int(connection.execute(_HEAD).scalar_one())


def of_job(connection: Connection, job_id: str, after_sequence: int, limit: int) -> EventPage:
    """At most ``limit`` events of a job with a sequence number above ``after_sequence``, in order."""
    return _page(connection, _OF_JOB, {"of_job": job_id, "after": after_sequence, "rows": limit})


def of_feed(
    connection: Connection, owner: OwningService, tenant: str | None, after_position: int, limit: int
) -> EventPage:
    """At most ``limit`` events after a position, in order, of an owner's jobs; of one tenant or (None) of all."""
    given = {"of_owner": owner, "after": after_position, "rows": limit}
    if tenant is None:
        return _page(connection, _FEED_OF_ALL, given)
    return _page(connection, _FEED_OF_TENANT, {**given, "of_tenant": tenant})


def _page(connection: Connection, query: Any, given: dict[str, Any]) -> EventPage:  # noqa: ANN401  a select of events.*
    found = tuple(to_event(row) for row in connection.execute(query, given))
    return EventPage(found, found[-1].position if len(found) == given["rows"] else head(connection))
