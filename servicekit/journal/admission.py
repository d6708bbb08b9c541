"""Accepts jobs, re-renders and requests for stems into the queue."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from servicekit.clock import from_micros, to_micros
from servicekit.delivery.names import StemMode, StemName
from servicekit.errors import AlreadyExists, FailedPrecondition, ResourceExhausted, expiry_too_soon
from servicekit.ids import is_job_id, new_job_id
from servicekit.journal import event_log
from servicekit.journal.database import Transaction
from servicekit.journal.estimates import Queue
from servicekit.journal.reading import pick_version, read_job, version_not_found
from servicekit.journal.rows import AcceptResult, EventDraft, Job, Json, NewJob, NewVersion, Request, Version
from servicekit.journal.schema import audit_rows, events, job_labels, jobs, requests, versions
from servicekit.journal.states import CLAIMED, EventKind, JobState, OwningService

_RETRY_AFTER_S = 10.0


def accept(tx: Transaction, new: NewJob, limit: int) -> AcceptResult:
    """Accept a job with its version 1; see `Journal.accept`."""
    earlier = find_existing(tx, new.request)
    if earlier is not None:
        return earlier
    _check_queue_limit(tx, new.owner, limit)
    _check_expiry(tx, new.owner, new)
    job_id = new.job_id or new_job_id(from_micros(tx.now_us))
    if new.job_id is not None:
        _check_unused(tx, job_id)
    row = {
        "job_id": job_id,
        "tenant": new.request.tenant,
        "owner": new.owner,
        "request_id": new.request.request_id or "",
        "persona_id": new.persona_id,
        "create_us": tx.now_us,
        "last_sequence": 0,
        "next_version": 2,
        "deleting": False,
    }
    tx.connection.execute(insert(jobs), row)
    if new.labels:
        rows = [{"job_id": job_id, "name": name, "value": value} for name, value in new.labels.items()]
        tx.connection.execute(insert(job_labels), rows)
    _insert_version(tx, new.owner, job_id, 1, new, base_version=0, rerendered_stem=None)
    return AcceptResult(read_job(tx.connection, new.request.tenant, job_id, tx.now_us), 1, created=True)


def accept_version(tx: Transaction, new: NewVersion, limit: int) -> AcceptResult:
    """Accept the next version of a job; see `Journal.accept_version`."""
    earlier = find_existing(tx, new.request)
    if earlier is not None:
        return earlier
    tenant = new.request.tenant
    job = read_job(tx.connection, tenant, new.job_id, tx.now_us)
    if job.version(new.base_version) is None:
        raise version_not_found(job.job_id, new.base_version)
    owner = new.owner or job.owner
    _check_queue_limit(tx, owner, limit)
    _check_expiry(tx, owner, new)
    if owner is not job.owner:
        _change_owner(tx, job, owner)
    numbered = update(jobs).where(jobs.c.job_id == job.job_id).values(next_version=jobs.c.next_version + 1)
    number = tx.connection.execute(numbered.returning(jobs.c.next_version)).scalar_one() - 1
    base, stem = new.base_version, new.rerendered_stem
    _insert_version(tx, owner, job.job_id, number, new, base_version=base, rerendered_stem=stem)
    return AcceptResult(read_job(tx.connection, tenant, job.job_id, tx.now_us), number, created=True)


def _change_owner(tx: Transaction, job: Job, owner: OwningService) -> None:
    """Pass a job whose versions have all ended to the other service, so that only one service writes it at any time.

    Its earlier events stay in the feed of the service that published them.
    """
    for version in job.versions:
        if not version.state.ended:
            raise wrong_state(job, version, "wait until it ends, then re-render a stem of it")
    tx.connection.execute(update(jobs).where(jobs.c.job_id == job.job_id).values(owner=owner))
    tx.connection.execute(update(versions).where(versions.c.job_id == job.job_id).values(owner=owner))


def add_stems(tx: Transaction, tenant: str, job_id: str, number: int, *, stem_mode: StemMode | None, limit: int) -> Job:
    """Queue an ended version again to make its stems; see `Journal.add_stems`."""
    job = read_job(tx.connection, tenant, job_id, tx.now_us)
    version = pick_version(job, number, _lacks_only_stems)
    if not version.state.ended:
        raise wrong_state(job, version, "wait until it ends, then request its stems")
    if "bounce" not in version.files:
        raise wrong_state(job, version, "it has no bounce to separate; create a new job")
    if "zip" in version.files:
        raise wrong_state(job, version, "it already has stems; download its ZIP")
    _check_queue_limit(tx, job.owner, limit)
    mode = stem_mode or version.stem_mode
    brief = {**version.brief, "stems": True, "stemMode": f"STEM_MODE_{mode.name}"}
    tx.connection.execute(
        update(versions)
        .where(versions.c.job_id == job_id, versions.c.number == version.number)
        .values(
            stems_wanted=True,
            stem_mode=mode.name,
            brief=json.dumps(brief),
            files=json.dumps(_keeping_manifest(version.files)),
            error=None,
            end_us=None,
            expire_us=None,  # the brief's expiry was for the first run
            crashes=0,
            lost_token=None,
            queued_us=_next_place_us(tx, job.owner),
        )
    )
    event_log.change_state(tx, job_id, version.number, JobState.QUEUED)
    return read_job(tx.connection, tenant, job_id, tx.now_us)


def retry_version(tx: Transaction, tenant: str, job_id: str, number: int, *, limit: int) -> Job:
    """Queue a failed version again; see `Journal.retry_version`."""
    job = read_job(tx.connection, tenant, job_id, tx.now_us)
    version = pick_version(job, number, lambda version: version.state is JobState.FAILED)
    if version.state is not JobState.FAILED:
        raise wrong_state(job, version, "only a failed version is retried")
    if measurement(version) is not None:
        raise wrong_state(
            job, version, "its failure is a measurement that drift reports count; re-render the stem instead"
        )
    of_version = (versions.c.job_id == job_id, versions.c.number == version.number)
    if tx.connection.execute(select(versions.c.prompt_erased).where(*of_version)).scalar_one():
        raise wrong_state(job, version, "its prompt was erased; create a new job")
    _check_queue_limit(tx, job.owner, limit)
    place_us = _next_place_us(tx, job.owner)
    anew = {
        "files": json.dumps(_keeping_manifest(version.files)),
        "error": None,
        "end_us": None,
        "expire_us": None,
        "crashes": 0,
        "lost_token": None,
        "queued_us": place_us,
    }
    tx.connection.execute(update(versions).where(*of_version).values(anew))
    event_log.change_state(tx, job_id, version.number, JobState.QUEUED)
    return read_job(tx.connection, tenant, job_id, tx.now_us)


def measurement(version: Version) -> Json | None:
    """The ErrorInfo of a re-render that failed by its measured drift: reason and numbers, no text of the caller."""
    for detail in (version.error or {}).get("details", ()):
        if detail.get("reason") == "DRIFT_EXCEEDED":
            found: Json = detail
            return found
    return None


def _keeping_manifest(files: Json) -> Json:
    """The files of an ended version, whose manifest stays when one with stems replaces it."""
    kept = files.get("kept", [])
    manifest = files.get("manifest")
    return files if manifest is None or manifest in kept else {**files, "kept": [*kept, manifest]}


def _lacks_only_stems(version: Version) -> bool:
    return version.state.ended and "bounce" in version.files and "zip" not in version.files


def _insert_version(
    tx: Transaction,
    owner: OwningService,
    job_id: str,
    number: int,
    new: NewJob | NewVersion,
    *,
    base_version: int,
    rerendered_stem: StemName | None,
) -> None:
    values: dict[str, Any] = {
        "job_id": job_id,
        "number": number,
        "owner": owner,
        "state": JobState.QUEUED,
        "attempt": 0,
        "crashes": 0,
        "stems_wanted": new.stems_wanted,
        "stem_mode": new.stem_mode.name,
        "base_version": base_version,
        "rerendered_stem": "" if rerendered_stem is None else rerendered_stem.name,
        "brief": json.dumps(new.brief),
        "plan": json.dumps(new.plan),
        "files": "{}",
        "timings": "[]",
        "audio_s": new.audio_seconds,
        "expire_us": None if new.expire_time is None else to_micros(new.expire_time),
        "create_us": tx.now_us,
        "queued_us": _next_place_us(tx, owner),
    }
    tx.connection.execute(insert(versions), values)
    if new.request.request_id:
        row = {"tenant": new.request.tenant, "rpc": new.request.rpc, "request_id": new.request.request_id}
        of_job = {"digest": new.request.digest, "job_id": job_id, "version": number}
        tx.connection.execute(insert(requests), {**row, **of_job})
    event_log.append(tx, job_id, number, JobState.QUEUED, EventDraft(kind=EventKind.STATE))


def _next_place_us(tx: Transaction, owner: OwningService) -> int:
    """The time now, but behind every version that is queued or may be queued again, even if the clock was set back."""
    queued = select(versions.c.queued_us).where(versions.c.owner == owner, versions.c.state == JobState.QUEUED)
    order = (versions.c.queued_us.desc(), versions.c.job_id.desc(), versions.c.number.desc())
    last_us = tx.connection.execute(queued.order_by(*order).limit(1)).scalar_one_or_none()
    claimed = select(versions.c.queued_us).where(versions.c.owner == owner, versions.c.state.in_(sorted(CLAIMED)))
    places_us: list[int] = [0 if last_us is None else last_us, *tx.connection.execute(claimed).scalars()]
    return max(tx.now_us, max(places_us) + 1)


def find_existing(tx: Transaction, request: Request) -> AcceptResult | None:
    """The result of an earlier call of the same request; see `Journal.find_existing`."""
    if not request.request_id:
        return None
    found: Row[Any] | None = tx.connection.execute(
        select(requests).where(
            requests.c.tenant == request.tenant,
            requests.c.rpc == request.rpc,
            requests.c.request_id == request.request_id,
        )
    ).one_or_none()
    if found is None:
        return None
    # An empty digest means that the prompt was erased; then there is nothing to compare.
    if found.digest not in {request.digest, ""}:
        raise AlreadyExists(
            f"request id {request.request_id!r} was used for other content, by job {found.job_id}; use a new id for a new request",
            reason="REQUEST_ID_REUSED",
            metadata={"request_id": request.request_id, "job_id": found.job_id},
        )
    job = read_job(tx.connection, request.tenant, found.job_id, tx.now_us, even_deleting=True)
    return AcceptResult(job, found.version, created=False)


def _check_queue_limit(tx: Transaction, owner: OwningService, limit: int) -> None:
    waiting = select(func.count()).where(versions.c.owner == owner, versions.c.state == JobState.QUEUED)
    queued = int(tx.connection.execute(waiting).scalar_one())
    if queued >= limit:
        wait_s = Queue.read(tx.connection, owner, tx.now_us).wait_s()
        raise ResourceExhausted(
            f"the queue is full: at most {limit} versions may wait, {queued} do; retry later",
            reason="QUEUE_FULL",
            metadata={"queued": str(queued), "limit": str(limit)},
            retry_after_s=_RETRY_AFTER_S if wait_s is None else max(wait_s, 1.0),
        )


def _check_expiry(tx: Transaction, owner: OwningService, new: NewJob | NewVersion) -> None:
    """Raise FailedPrecondition EXPIRY_TOO_SOON where even the best measured speed would not finish before the expiry."""
    if new.expire_time is None:
        return
    queue = Queue.read(tx.connection, owner, tx.now_us)
    needed_s = queue.min_duration_s(new.audio_seconds, stems_wanted=new.stems_wanted)
    left_s = (to_micros(new.expire_time) - tx.now_us) / 1e6
    if needed_s is not None and needed_s > left_s:
        raise expiry_too_soon(needed_s=needed_s, left_s=left_s, queued=len(queue.order))


def _check_unused(tx: Transaction, job_id: str) -> None:
    if not is_job_id(job_id):
        raise ValueError(f"a job id must come from ids.new_job_id, got {job_id!r}")
    for table in (jobs, events, audit_rows):
        if tx.connection.execute(select(table.c.job_id).where(table.c.job_id == job_id).limit(1)).first():
            raise ValueError(f"job id {job_id} was used before")


def wrong_state(job: Job, version: Version, advice: str) -> FailedPrecondition:
    """The error for a call that the version's state does not allow; ``advice`` says what to do."""
    return FailedPrecondition(
        f"version {version.number} of job {job.job_id} is {version.state}: {advice}",
        reason="WRONG_STATE",
        metadata={"job_id": job.job_id, "version": str(version.number), "state": str(version.state)},
    )
