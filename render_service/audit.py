"""What the audit rows of takes and re-renders hold, and how they are found.

A row holds, or names by digest, every input of its version: `BounceFacts` are read from it again, and so is a replay's plan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from pydantic import Field, PlainSerializer

from jobs_service.journal_json import labels_and_licence
from render_service.music.tempo_map import tempo_map_json
from render_service.plan import Plan, plan_from_json, plan_json
from render_service.renderers.renderer import RendererInfo
from render_service.rerender import Rerender
from servicekit.audio.loudness import Loudness
from servicekit.delivery.audit_body import AUDIT_BOUNCE, AUDIT_STEMS, BounceBody, FileDigest, StemsBody, stem_digests
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.manifest import FileFacts, Licence, Manifest, ModelFacts, Origin, PersonaFacts, SeparatorFacts
from servicekit.errors import NotFound
from servicekit.journal import AuditDraft, AuditRow, Journal, Version
from servicekit.json_codec import JsonCodec
from servicekit.work import Assignment

_PAGE = 200


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _is_none(value: object) -> bool:
    return value is None


OptionalDigest = Annotated[FileDigest | None, Field(exclude_if=_is_none)]
"""Left out of a row without the file, as in rows of releases without the field."""


@dataclass(frozen=True, kw_only=True)
class _TakeBody:
    """The part of a row that only what was rendered here has. ``plan`` is a plan's JSON without its prompt."""

    accepted_at: Annotated[datetime, PlainSerializer(_iso)]
    plan: Mapping[str, Any]
    renderer: ModelFacts
    fingerprint: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TakeBounceBody(_TakeBody, BounceBody):
    """The row of a take's bounce. ``latents`` are what its re-renders start from; ``midi``, its notes, None without a score."""

    latents: FileDigest
    processing: tuple[str, ...]
    midi: OptionalDigest = None


@dataclass(frozen=True, kw_only=True)
class TakeStemsBody(_TakeBody, StemsBody):
    """The row of a take's stems."""


@dataclass(frozen=True, kw_only=True)
class RerenderBody(TakeStemsBody):
    """The one row of a re-render. ``mix_sha256`` is of the new mix; ``rerender`` is the manifest's, without the onsets.

    ``midi``, its notes, is None without a score.
    """

    processing: tuple[str, ...]
    order: Rerender
    mix_sha256: str
    rerender: Mapping[str, Any]
    midi: OptionalDigest = None


TAKE_BOUNCE, TAKE_STEMS, RERENDER = JsonCodec(TakeBounceBody), JsonCodec(TakeStemsBody), JsonCodec(RerenderBody)


@dataclass(frozen=True, kw_only=True)
class StoredStems:
    """What separation_service stored of a version's stems, and what separated them. ``manifest_json`` is the completed manifest."""

    zip: StoredFile
    zip_entries: tuple[ZipEntry, ...]
    manifest: StoredFile
    manifest_json: str
    separator: SeparatorFacts
    fingerprint: Mapping[str, str]

    def fields(self) -> dict[str, Any]:
        """Those of `StemsBody` that no bounce has."""
        return {
            "zip": FileDigest.of(self.zip),
            "stems": stem_digests(self.zip_entries),
            "manifest_sha256": self.manifest.sha256,
            "separator": self.separator,
            "separation_fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, kw_only=True)
class BounceFacts:
    """One version's facts. ``model`` and ``fingerprint`` are those that made the sound, also when it is read back later.

    ``rerender`` is what the manifest of a re-render begins with.
    """

    tenant: str
    job_id: str
    version: int
    created_at: datetime
    plan: Plan
    labels: Mapping[str, str]
    licence: Licence
    model: ModelFacts
    fingerprint: Mapping[str, str]
    processing: tuple[str, ...] = ()
    rerender: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, assignment: Assignment, renderer: RendererInfo, fingerprint: Mapping[str, str]) -> BounceFacts:
        """The facts of a version that this renderer is about to make."""
        labels, licence = labels_and_licence(assignment.brief)
        return cls(
            tenant=assignment.job.tenant,
            job_id=assignment.job.job_id,
            version=assignment.version.number,
            created_at=assignment.version.create_time.replace(microsecond=0),
            plan=plan_from_json(assignment.plan),
            labels=labels,
            licence=licence,
            model=ModelFacts(
                name=renderer.name, licence=renderer.licence, digests={m.role: m.sha256 for m in renderer.models}
            ),
            fingerprint=fingerprint,
            processing=renderer.processing,
        )

    def with_rerender(self, rerender: Rerender) -> BounceFacts:
        """The facts of a re-render's new mix."""
        facts = rerender.manifest_facts(persona_id=self.plan.persona_id, seed=self.plan.seed)
        return replace(self, rerender=facts)

    @classmethod
    def audited(cls, row: AuditRow, body: TakeBounceBody | RerenderBody, prompt: str) -> BounceFacts:
        """The facts of a stored bounce from its audit row, whose ``body`` was read."""
        return cls(
            tenant=row.tenant,
            job_id=row.job_id,
            version=row.version,
            created_at=body.accepted_at,
            plan=plan_from_json({**body.plan, "prompt": prompt}),
            labels=body.labels,
            licence=body.licence,
            model=body.renderer,
            fingerprint=body.fingerprint,
            processing=body.processing,
        )


def audited_facts(version: Version, tenant: str, journal: Journal) -> BounceFacts:
    """The facts of a take's stored bounce, from its audit row. Raises NotFound VERSION_NOT_FOUND."""
    row = audit_row(journal, tenant, version.job_id, version.number, AUDIT_BOUNCE)
    return BounceFacts.audited(row, TAKE_BOUNCE.read(row.body()), version.plan["prompt"])


def manifest_of(facts: BounceFacts, *, frames: int, bounce: FileFacts) -> Manifest:
    """The manifest of a version without stems."""
    plan = facts.plan
    embedding = np.asarray(plan.persona_embedding, dtype="<f4").tobytes()
    return Manifest(
        job_id=facts.job_id,
        version=facts.version,
        created_at=facts.created_at,
        origin=Origin(
            prompt=plan.prompt,
            persona=PersonaFacts(
                id=plan.persona_id,
                prefix=plan.persona_prefix,
                embedding_sha256=hashlib.sha256(embedding).hexdigest(),
            ),
            seed=plan.seed,
            model=facts.model,
        ),
        tempo_map=tempo_map_json(plan.tempo_map),
        key=str(plan.key),
        frames=frames,
        bounce=bounce,
        licence=facts.licence,
        labels=facts.labels,
        fingerprint=facts.fingerprint,
        processing=facts.processing,
        rerender=facts.rerender,
    )


def bounce_draft(
    manifest: Manifest, facts: BounceFacts, bounce: StoredFile, latents: StoredFile, midi: StoredFile | None
) -> AuditDraft:
    """The row of a stored bounce. ``manifest`` is its own, ``facts`` those that it was made from."""
    body = TakeBounceBody(
        **_common(facts, FileDigest.of(bounce), manifest.bounce.loudness),
        latents=FileDigest.of(latents),
        processing=manifest.processing,
        midi=_digest(midi),
    )
    return AuditDraft(kind=AUDIT_BOUNCE, body=TAKE_BOUNCE.write(body), prompt=facts.plan.prompt)


def stems_draft(manifest: Manifest, facts: BounceFacts, bounce: StoredFile, stems: StoredStems) -> AuditDraft:
    """The row of a take's stems. ``manifest`` is that of its ``bounce``."""
    body = TakeStemsBody(
        **_common(facts, FileDigest.of(bounce), manifest.bounce.loudness),
        **stems.fields(),
    )
    return AuditDraft(kind=AUDIT_STEMS, body=TAKE_STEMS.write(body), prompt=facts.plan.prompt)


def rerender_draft(
    mix: Manifest,
    facts: BounceFacts,
    order: Rerender,
    *,
    bounce: StoredFile,
    loudness: Loudness,
    stems: StoredStems,
    midi: StoredFile | None,
) -> AuditDraft:
    """The one row of a re-render. ``mix`` is the manifest of the new mix; the rest is the version's.

    The onsets, which the version's manifest lists for pictures, are left out.
    """
    measured: Mapping[str, Any] = json.loads(stems.manifest_json)["rerender"]
    body = RerenderBody(
        **_common(facts, FileDigest.of(bounce), loudness),
        **stems.fields(),
        processing=mix.processing,
        order=order,
        mix_sha256=mix.bounce.sha256,
        rerender={name: value for name, value in measured.items() if name != "onsets"},
        midi=_digest(midi),
    )
    return AuditDraft(kind=AUDIT_STEMS, body=RERENDER.write(body), prompt=facts.plan.prompt)


def audit_row(journal: Journal, tenant: str, job_id: str, version: int, kind: str) -> AuditRow:
    """Raises NotFound VERSION_NOT_FOUND if there is no such row."""
    token: str | None = ""
    while token is not None:
        page = journal.audit_rows(tenant, job_id, page_size=_PAGE, page_token=token)
        for row in page.rows:
            if (row.version, row.kind) == (version, kind):
                return row
        token = page.next_token or None
    raise NotFound(
        f"{job_id} v{version} has no audit row of the kind {kind!r}",
        reason="VERSION_NOT_FOUND",
        metadata={"job_id": job_id, "version": str(version)},
    )


def _digest(file: StoredFile | None) -> FileDigest | None:
    return None if file is None else FileDigest.of(file)


def _common(facts: BounceFacts, bounce: FileDigest, loudness: Loudness) -> dict[str, Any]:
    """The fields that all rows of a version rendered here share."""
    return {
        "accepted_at": facts.created_at,
        "licence": facts.licence,
        "plan": {name: value for name, value in plan_json(facts.plan).items() if name != "prompt"},
        "labels": facts.labels,
        "renderer": facts.model,
        "fingerprint": facts.fingerprint,
        "bounce": bounce,
        "lufs": loudness.lufs,
        "true_peak_dbtp": loudness.true_peak_dbtp,
    }
