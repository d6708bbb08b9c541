"""Jobs, claims and audit rows for tests of the journal and its users."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from servicekit.clock import Clock, SystemClock
from servicekit.delivery.names import StemMode, StemName
from servicekit.journal import (
    AuditDraft,
    AuditRow,
    Checkpoint,
    Claim,
    Journal,
    NewJob,
    NewVersion,
    OwningService,
    ProgressTrack,
    Request,
    Stage,
)
from servicekit.work import StageWeights
from tests.support.manual_clock import ManualClock

PROMPT = "warm tape piano, sombre, seventy beats"
BOUNCE = {"bounce": {"key": "jobs/x/bounce.wav", "sizeBytes": "44", "sha256": "0" * 64}}
ZIP = {"zip": {"key": "jobs/x/v1.zip", "sizeBytes": "44", "sha256": "1" * 64}}
WEIGHTS: StageWeights = {
    ProgressTrack.RENDER: {Stage.PLAN: 1, Stage.DENOISE: 6, Stage.VOCODE: 2, Stage.BOUNCE: 1},
    ProgressTrack.STEMS: {Stage.HANDOFF: 1, Stage.SEPARATE: 8, Stage.STORE: 1},
}


def request(
    request_id: str | None = None, *, tenant: str = "local", digest: str = "d1", rpc: str = "Create"
) -> Request:
    """A caller's request."""
    return Request(tenant=tenant, rpc=rpc, request_id=request_id, digest=digest)


def new_job(
    asked: Request | None = None,
    *,
    owner: OwningService = OwningService.RENDER,
    stems: bool = True,
    expire_time: datetime | None = None,
    labels: dict[str, str] | None = None,
    persona_id: str = "nova",
    job_id: str | None = None,
    brief: dict[str, Any] | None = None,
) -> NewJob:
    """An eight-second take, with more in its brief if it is given."""
    wanted: dict[str, Any] = {"prompt": PROMPT, "personaId": persona_id, "seed": 7, "seconds": 8.0, "stems": stems}
    return NewJob(
        owner=owner,
        request=asked or request(),
        brief={**wanted, "stemMode": "STEM_MODE_EXACT", **(brief or {})},
        plan={"text": {"prompt": PROMPT}, "seed": 7},
        stems_wanted=stems,
        stem_mode=StemMode.EXACT,
        expire_time=expire_time,
        labels=labels or {},
        persona_id=persona_id,
        audio_seconds=8.0,
        job_id=job_id,
    )


def new_version(job_id: str, asked: Request | None = None, *, brief: dict[str, Any] | None = None) -> NewVersion:
    """A re-render of the vocals."""
    take = new_job(brief=brief)
    return NewVersion(
        job_id=job_id,
        request=asked or request(rpc="Rerender"),
        base_version=1,
        rerendered_stem=StemName.VOCALS,
        brief=take.brief,
        plan=take.plan,
        stems_wanted=True,
        stem_mode=StemMode.EXACT,
        audio_seconds=8.0,
    )


def claimed(journal: Journal, owner: OwningService = OwningService.RENDER, *, lease_s: float = 30.0) -> Claim:
    """A claim on the next version; fails the test where there is none."""
    claim = journal.claim(owner, lease_s=lease_s)
    assert claim is not None
    return claim


def observe_silence(observer: Journal, clock: ManualClock, *, lease_s: float) -> None:
    """Let ``observer`` look on while the other workers of render_service are silent for longer than their lease."""
    for _ in range(6):
        observer.orphaned_versions(OwningService.RENDER)
        clock.advance(lease_s / 4)


def audited(journal: Journal, claim: Claim, kind: str, body: dict[str, Any], prompt: str | None = None) -> AuditRow:
    """The audit row of a checkpoint."""
    row = journal.checkpoint(claim, Checkpoint(audit=AuditDraft(kind=kind, body=body, prompt=prompt)))
    assert row is not None
    return row


def url_of(folder: Path) -> str:
    """The journal of a test's folder."""
    return f"sqlite:///{folder}/journal.sqlite3"


def open_journal(folder: Path, clock: Clock | None = None) -> Journal:
    """Open it."""
    return Journal.open(url_of(folder), clock=clock or SystemClock())
