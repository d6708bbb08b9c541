"""Ended jobs whose every text is one that a test can look for, in the journal's files, the store and the log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servicekit.clock import SystemClock
from servicekit.journal import (
    AuditDraft,
    Checkpoint,
    EventDraft,
    EventKind,
    Journal,
    NewJob,
    OwningService,
    ProgressTrack,
    Request,
)
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from sonichaos.jobs.v1 import erasure_pb2
from tests.support.journal_rows import claimed, new_job
from tests.support.work_runs import MANY

FILES = ("bounce.wav", "v1.json", "v1.zip")


@dataclass(frozen=True)
class Texts:
    """The texts of one tenant's jobs; no other tenant has them."""

    tenant: str

    def __getattr__(self, name: str) -> str:
        return f"{name} that only {self.tenant} has"

    @property
    def all(self) -> tuple[str, ...]:
        """Every text of a job."""
        names = ("prompt", "licensee", "label", "prefix", "file", "failure")
        return (*(getattr(self, name) for name in names), self.request_id)

    @property
    def request_id(self) -> str:
        """A request id has no spaces."""
        return f"request-of-{self.tenant}"


def store_in(folder: Path) -> FolderStore:
    """A folder store."""
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)
    return FolderStore(folder / "store", signer)


def audit_body(texts: Texts) -> dict[str, Any]:
    """The body of an audit row as the services write it."""
    return {
        "labels": {"album": texts.label},
        "licence": {"tier": "sync", "licensee": texts.licensee, "terms": "", "covers": "bounce"},
        "plan": {"personaId": "nova", "personaPrefix": texts.prefix, "seed": 7},
        "upload": {"fileName": texts.file, "sha256": "0" * 64, "sizeBytes": 44},
    }


def work_of(texts: Texts, *, owner: OwningService = OwningService.RENDER, number: int = 1) -> NewJob:
    """A job to accept, with all of the texts."""
    asked = Request(tenant=texts.tenant, rpc="Create", request_id=f"{texts.request_id}-{number}", digest="d" * 64)
    brief = {"prompt": texts.prompt, "labels": {"album": texts.label}, "licence": {"licensee": texts.licensee}}
    work = new_job(asked, owner=owner, labels={"album": texts.label}, brief=brief)
    plan = {"prompt": texts.prompt, "personaPrefix": texts.prefix, "upload": {"fileName": texts.file}}
    return NewJob(**{**vars(work), "plan": plan})


def ended_job(
    journal: Journal, store: FolderStore, tenant: str, *, owner: OwningService = OwningService.RENDER, number: int = 1
) -> str:
    """The id of a failed job of a tenant, with files, events, an error and an audit row."""
    texts = Texts(tenant)
    job_id = journal.accept(work_of(texts, owner=owner, number=number), limit=MANY).job.job_id
    claim = claimed(journal, owner)
    assert claim.job.job_id == job_id
    for name in FILES:
        store.put_bytes(f"jobs/{job_id}/{name}", texts.prompt.encode(), content_type="application/octet-stream")
    refused = EventDraft(kind=EventKind.PROGRESS, track=ProgressTrack.RENDER, error={"message": texts.failure})
    audit = AuditDraft(kind="bounce", body=audit_body(texts), prompt=texts.prompt)
    journal.checkpoint(claim, Checkpoint(audit=audit, events=[refused]))
    journal.fail(claim, {"code": 13, "message": texts.failure})
    return job_id


def found_in(folder: Path, texts: Texts, *more: str) -> set[str]:
    """The texts that any file below a folder has: the database with its log, the store. ``more`` are looked for too."""
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return {text for text in (*texts.all, *more) if any(text.encode() in content for content in contents)}


def erased(report: erasure_pb2.ErasureReport) -> dict[str, int]:
    """What a report says was erased."""
    return {_name(item.kind): item.count for item in report.erased}


def remaining(report: erasure_pb2.ErasureReport) -> dict[str, int | None]:
    """What a report says remains."""
    return {_name(item.kind): item.count if item.HasField("count") else None for item in report.remaining}


def _name(kind: erasure_pb2.DataKind.ValueType) -> str:
    return erasure_pb2.DataKind.Name(kind).removeprefix("DATA_KIND_")
