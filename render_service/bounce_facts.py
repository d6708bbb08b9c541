"""What manifest and audit row say of a bounce besides its samples; read from the assignment, or again from the audit row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from jobs_service.journal_json import labels_and_licence
from render_service.music.tempo_map import tempo_map_json
from render_service.plan import Plan, plan_from_json, plan_json
from render_service.renderers.renderer import RendererInfo
from servicekit.delivery.manifest import FileFacts, Licence, Manifest, ModelFacts, Origin, PersonaFacts
from servicekit.delivery.names import LicenceCoverage
from servicekit.work import Assignment


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

    @classmethod
    def from_audit(cls, tenant: str, job_id: str, version: int, body: Mapping[str, Any], prompt: str) -> BounceFacts:
        """The facts of a stored bounce, from the body of its audit row. The inverse of :meth:`audit_body`."""
        return cls(
            tenant=tenant,
            job_id=job_id,
            version=version,
            created_at=datetime.fromisoformat(body["acceptedAt"]),
            plan=plan_from_json({**body["plan"], "prompt": prompt}),
            labels=body["labels"],
            licence=Licence(**{**body["licence"], "covers": LicenceCoverage(body["licence"]["covers"])}),
            model=ModelFacts(**body["renderer"]),
            fingerprint=body["fingerprint"],
            processing=tuple(body["processing"]),
        )

    def audit_body(self) -> dict[str, Any]:
        """What both audit rows of a version hold. The prompt is chained by the journal, as a salted digest."""
        plan = plan_json(self.plan)
        del plan["prompt"]
        return {
            "acceptedAt": self.created_at.isoformat(),
            "licence": {
                "tier": self.licence.tier,
                "licensee": self.licence.licensee,
                "terms": self.licence.terms,
                "covers": self.licence.covers,
            },
            "plan": plan,
            "labels": dict(self.labels),
            "renderer": {"name": self.model.name, "licence": self.model.licence, "digests": dict(self.model.digests)},
            "fingerprint": dict(self.fingerprint),
        }


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
