"""The audit chain: append-only rows; each holds the digest of the row before it in its tenant.

``digest = SHA-256(previous_digest as 64 hex digits in ASCII, then body_json in UTF-8)``. The body repeats tenant, sequence, job,
version, kind and time, so a change of any column shows. The prompt is stored outside the chain: the body holds
``promptSha256 = SHA-256(salt as 32 bytes, then the prompt in UTF-8)``, and erasing prompt and salt leaves the chain intact. So are
other personal values, with a salt of their own (`personal`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from servicekit.clock import from_micros
from servicekit.journal.database import Transaction
from servicekit.journal.personal import DIGESTS, Personal, canonical_json, personal_values, without
from servicekit.journal.rows import AuditDraft, AuditPage, AuditRow, ChainHead, ChainReport
from servicekit.journal.schema import audit_rows
from servicekit.journal.tokens import Sealer

FIRST_PREVIOUS = "0" * 64
_REPEATED = ("tenant", "sequence", "jobId", "version", "kind", "createdAt")
_OWN_KEYS = (*_REPEATED, "promptSha256", DIGESTS)
_SALT_BYTES = 32
_MAX_PAGE = 200
_BATCH = 500


def chained(previous_digest: str, body_json: str) -> str:
    """The digest of a row, 64 lower-case hex digits."""
    return hashlib.sha256(previous_digest.encode("ascii") + body_json.encode()).hexdigest()


def append(tx: Transaction, tenant: str, job_id: str, version: int, draft: AuditDraft) -> AuditRow:
    """Write a row. If there is one for the same job, version and kind, return that one."""
    same = (audit_rows.c.job_id == job_id, audit_rows.c.version == version, audit_rows.c.kind == draft.kind)
    written = tx.connection.execute(select(audit_rows).where(audit_rows.c.tenant == tenant, *same)).one_or_none()
    if written is not None:
        return _to_row(written)
    _check_body(draft.body)
    newest = _newest(tx.connection, tenant)
    sequence = newest.sequence + 1
    salt = secrets.token_bytes(_SALT_BYTES) if draft.prompt is not None else None
    values = personal_values(draft.body)
    personal = Personal.of(values)
    facts: dict[str, Any] = {
        "tenant": tenant,
        "sequence": sequence,
        "jobId": job_id,
        "version": version,
        "kind": draft.kind,
        "createdAt": _iso(tx.now_us),
        "promptSha256": _prompt_digest(salt, draft.prompt),
    }
    if personal is not None:
        facts[DIGESTS] = personal.digests()
    body_json = canonical_json({**without(draft.body, values), **facts})
    values = {
        "tenant": tenant,
        "sequence": sequence,
        "job_id": job_id,
        "version": version,
        "kind": draft.kind,
        "body_json": body_json,
        "salt": None if salt is None else salt.hex(),
        "prompt": draft.prompt,
        "personal": None if personal is None else personal.json(),
        "previous_digest": newest.digest,
        "digest": chained(newest.digest, body_json),
        "create_us": tx.now_us,
    }
    return _to_row(tx.connection.execute(insert(audit_rows).values(values).returning(audit_rows)).one())


def read_rows(
    connection: Connection, sealer: Sealer, tenant: str, job_id: str, *, page_size: int, page_token: str
) -> AuditPage:
    """A page of at most ``page_size`` (and at most 200) rows, oldest first, of a job or ("") of all jobs. Raises InvalidToken."""
    if "\0" in job_id:  # which PostgreSQL refuses
        return AuditPage((), "")
    bound = ("audit", tenant, job_id)
    size = min(page_size, _MAX_PAGE)
    after = int(sealer.open(page_token, *bound)) if page_token else 0
    query = select(audit_rows).where(audit_rows.c.tenant == tenant, audit_rows.c.sequence > after)
    if job_id:
        query = query.where(audit_rows.c.job_id == job_id)
    found = connection.execute(query.order_by(audit_rows.c.sequence).limit(size + 1)).all()
    token = sealer.seal(found[size - 1].sequence, *bound) if len(found) > size else ""
    return AuditPage(tuple(_to_row(row) for row in found[:size]), token)


def count_with_personal_bodies(connection: Connection, tenant: str, job_id: str = "") -> int:
    """How many rows, of a job or ("") of a tenant, have personal values in the chained body, as earlier releases wrote them."""
    rows = _chain(connection, tenant, job_id)
    return sum(bool(personal_values(json.loads(row.body_json))) for row in rows)


def verify(connection: Connection, tenant: str, head: ChainHead | None) -> ChainReport:
    """Check the whole chain of a tenant, and that it contains the exported ``head``, if given."""
    at = ChainHead(0, FIRST_PREVIOUS)
    head_seen = head is None or head.sequence == 0
    for row in _chain(connection, tenant):
        wrong = _problem(row, at)
        if not wrong and head is not None and row.sequence == head.sequence:
            head_seen = hmac.compare_digest(row.digest.encode(), head.digest.encode())
            wrong = "" if head_seen else "the digest differs from the exported head's"
        if wrong:
            return ChainReport(False, at.sequence + 1, wrong, _newest(connection, tenant))  # noqa: FBT003
        at = ChainHead(row.sequence, row.digest)
    if not head_seen:
        return ChainReport(False, at.sequence + 1, "the chain ends before the exported head", at)  # noqa: FBT003
    return ChainReport(True, 0, "", at)  # noqa: FBT003


def _chain(connection: Connection, tenant: str, job_id: str = "") -> Iterator[Row[Any]]:
    """The rows of a tenant, or of a job, in order, read in batches: PostgreSQL's driver holds the whole result of a statement."""
    query = select(audit_rows).where(audit_rows.c.tenant == tenant).order_by(audit_rows.c.sequence).limit(_BATCH)
    if job_id:
        query = query.where(audit_rows.c.job_id == job_id)
    batch = connection.execute(query).all()
    while batch:
        yield from batch
        batch = connection.execute(query.where(audit_rows.c.sequence > batch[-1].sequence)).all()


def heads(connection: Connection) -> dict[str, ChainHead]:
    """The newest row of each tenant's chain."""
    found: dict[str, ChainHead] = {}
    tenants = (
        select(audit_rows.c.tenant).order_by(audit_rows.c.tenant).limit(1)
    )  # one tenant after the other, by the index
    tenant = connection.execute(tenants).scalar_one_or_none()
    while tenant is not None:
        found[tenant] = _newest(connection, tenant)
        tenant = connection.execute(tenants.where(audit_rows.c.tenant > tenant)).scalar_one_or_none()
    return found


def has_row(connection: Connection, tenant: str, head: ChainHead) -> bool:
    """Whether a chain has the row that ``head`` was once."""
    of_row = (audit_rows.c.tenant == tenant, audit_rows.c.sequence == head.sequence)
    return connection.execute(select(audit_rows.c.digest).where(*of_row)).scalar_one_or_none() == head.digest


def _problem(row: Row[Any], before: ChainHead) -> str:
    """Why a row is not a valid successor of ``before``; empty where it is."""
    if row.sequence != before.sequence + 1:
        return f"row {before.sequence + 1} is missing; the next row is {row.sequence}"
    if row.previous_digest != before.digest:
        return "previous_digest differs from the digest of the row before"
    if chained(row.previous_digest, row.body_json) != row.digest:
        return "the digest does not match the body"
    body = json.loads(row.body_json)
    in_body = [body.get(key) for key in _REPEATED]
    if in_body != [row.tenant, row.sequence, row.job_id, row.version, row.kind, _iso(row.create_us)]:
        return "a column differs from the chained body"
    return _text_problem(row, body)


def _text_problem(row: Row[Any], body: Mapping[str, Any]) -> str:
    """Why the texts beside the chain do not match their digests in the chained body; empty where they do."""
    if row.prompt is not None:
        salt = bytes.fromhex(row.salt or "")
        if _prompt_digest(salt, row.prompt) != body.get("promptSha256"):
            return "the prompt does not match its chained digest"
    personal = Personal.parse(row.personal)
    if personal is not None and personal.digests() != body.get(DIGESTS):
        return "personal data does not match its chained digests"
    return ""


def _newest(connection: Connection, tenant: str) -> ChainHead:
    query = select(audit_rows.c.sequence, audit_rows.c.digest).where(audit_rows.c.tenant == tenant)
    row = connection.execute(query.order_by(audit_rows.c.sequence.desc()).limit(1)).one_or_none()
    return ChainHead(0, FIRST_PREVIOUS) if row is None else ChainHead(row.sequence, row.digest)


def _prompt_digest(salt: bytes | None, prompt: str | None) -> str | None:
    return None if prompt is None else hashlib.sha256((salt or b"") + prompt.encode()).hexdigest()


def _check_body(body: Any) -> None:  # noqa: ANN401  any JSON value
    reserved = sorted(set(_OWN_KEYS) & set(body))
    if reserved:
        raise ValueError(f"an audit body must not contain {reserved}: the journal writes these keys itself")
    if _has_prompt(body):
        raise ValueError(
            "an audit body must not contain the prompt; pass it as AuditDraft.prompt, so that it can be erased"
        )


def _has_prompt(value: Any) -> bool:  # noqa: ANN401  any JSON value
    if isinstance(value, dict):
        return any((key == "prompt" and inner) or _has_prompt(inner) for key, inner in value.items())
    return isinstance(value, list | tuple) and any(_has_prompt(inner) for inner in value)


def _iso(micros: int) -> str:
    return from_micros(micros).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _to_row(row: Row[Any]) -> AuditRow:
    personal = Personal.parse(row.personal)
    return AuditRow(
        tenant=row.tenant,
        sequence=row.sequence,
        job_id=row.job_id,
        version=row.version,
        kind=row.kind,
        body_json=row.body_json,
        prompt=row.prompt,
        personal={} if personal is None else personal.values,
        previous_digest=row.previous_digest,
        digest=row.digest,
        create_time=from_micros(row.create_us),
    )
