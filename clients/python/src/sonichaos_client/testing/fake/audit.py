"""The audit chain of the fake: rows whose digests chain, with the prompt and personal values beside it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sonichaos.render.v1 import render_pb2
from sonichaos_client.testing.fake.records import TENANT, timestamp

_FIRST_PREVIOUS = "0" * 64


@dataclass(frozen=True)
class ChainReport:
    """Whether the chain is intact, and its newest row."""

    intact: bool
    broken_sequence: int
    detail: str
    head_sequence: int
    head_digest: str


class AuditChain:
    """Append-only rows, oldest first."""

    def __init__(self) -> None:
        self._rows: list[render_pb2.AuditRow] = []

    def append(
        self,
        *,
        job_id: str,
        version: int,
        kind: str,
        body: Mapping[str, Any],
        prompt: str | None,
        personal: Mapping[str, Any],
        now: datetime,
    ) -> str:
        """Write a row; returns its digest. ``personal`` values are in the chain as salted digests only; empty ones are left out."""
        known = {path: value for path, value in personal.items() if value}
        salt = secrets.token_bytes(32)
        facts = {
            "tenant": TENANT,
            "sequence": len(self._rows) + 1,
            "jobId": job_id,
            "version": version,
            "kind": kind,
            "createdAt": now.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z",
            "promptSha256": None if prompt is None else hashlib.sha256(salt + prompt.encode()).hexdigest(),
        }
        if known:
            digests = {
                path: hashlib.sha256(salt + _canonical(value).encode()).hexdigest() for path, value in known.items()
            }
            facts["personalSha256"] = digests
        body_json = _canonical({**body, **facts})
        previous = self._rows[-1].digest if self._rows else _FIRST_PREVIOUS
        row = render_pb2.AuditRow(
            sequence=len(self._rows) + 1,
            job_id=job_id,
            version=version,
            kind=kind,
            body_json=body_json,
            prompt=prompt or "",
            personal_json=_canonical(known) if known else "",
            previous_digest=previous,
            digest=_chained(previous, body_json),
            create_time=timestamp(now),
        )
        self._rows.append(row)
        return row.digest

    def rows(self, job_id: str = "", *, after: int = 0) -> Iterator[render_pb2.AuditRow]:
        """The rows of a job, or of all jobs, after a sequence number."""
        return (row for row in self._rows if row.sequence > after and job_id in {"", row.job_id})

    def erase_prompt(self, job_id: str) -> int:
        """Erase the prompts beside a job's rows; returns how many rows had one."""
        with_prompt = [row for row in self.rows(job_id) if row.prompt]
        for row in with_prompt:
            row.prompt = ""
        return len(with_prompt)

    def erase_texts(self, job_id: str) -> int:
        """Erase all texts beside a job's rows; returns how many rows had one."""
        with_texts = [row for row in self.rows(job_id) if row.prompt or row.personal_json]
        for row in with_texts:
            row.prompt = row.personal_json = ""
        return len(with_texts)

    def verify(self, head_sequence: int, head_digest: str) -> ChainReport:
        """Check the chain, and that it contains an exported head (0: none)."""
        newest = self._rows[-1] if self._rows else render_pb2.AuditRow(digest=_FIRST_PREVIOUS)
        wrong, detail = 0, ""
        if head_sequence:
            found = next((row for row in self._rows if row.sequence == head_sequence), None)
            if found is None:
                wrong, detail = newest.sequence + 1, "the chain ends before the exported head"
            elif found.digest != head_digest:
                wrong, detail = head_sequence, "the digest differs from the exported head's"
        return ChainReport(not wrong, wrong, detail, newest.sequence, newest.digest)

    def clear(self) -> None:
        """Remove all rows."""
        self._rows.clear()


def _chained(previous: str, body_json: str) -> str:
    return hashlib.sha256(previous.encode("ascii") + body_json.encode()).hexdigest()


def _canonical(value: Any) -> str:  # noqa: ANN401  any JSON value
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
