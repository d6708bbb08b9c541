"""The work on an accepted upload: the same road as a lent bounce, its story told in the journal."""

from __future__ import annotations

from typing import Any

from separation_service.api import messages as wire
from separation_service.pipeline import SeparationPipeline
from separation_service.receive import Received, receive_stored
from separation_service.scratch import Scratch
from separation_service.store import Delivered, put_manifest
from servicekit.delivery.files import StoredFile
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.manifest import Manifest
from servicekit.delivery.manifest_json import manifest_text, read_manifest
from servicekit.journal import AuditDraft, OrphanedVersion, Stage
from servicekit.work import Assignment, StagedFiles

AUDIT_BOUNCE = "bounce"
AUDIT_STEMS = "stems"


class UploadWork:
    """Called by the runner's thread for each attempt at an accepted upload."""

    def __init__(self, pipeline: SeparationPipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, assignment: Assignment) -> None:
        """Take one version to its end; the bounce is kept from acceptance on."""
        if assignment.version.checkpointed_stage is Stage.STORE:  # a crash came after all was kept
            return
        bounce = StoredFile(**assignment.plan["bounce"])
        manifest = read_manifest(assignment.plan["manifest"])

        def receive(scratch: Scratch) -> Received:
            received = receive_stored(manifest, bounce, self._pipeline.store, scratch)
            if assignment.version.checkpointed_stage is None:
                self._keep_bounce(assignment, manifest, bounce)
            return received

        store, keys = self._pipeline.store, manifest.keys
        with StagedFiles(store, [keys.zip], overwritten={keys.manifest: manifest_text(manifest)}):
            delivered = self._pipeline(receive, assignment.version.stem_mode, assignment.progress)
            put_manifest(delivered, store)
            assignment.progress.stems_ready(
                files=wire.stems_files_json(delivered), audit=self._stems_audit(assignment, manifest, bounce, delivered)
            )

    def _keep_bounce(self, assignment: Assignment, manifest: Manifest, bounce: StoredFile) -> None:
        """The bounce can be played from now on."""
        text = manifest_text(manifest).encode()
        stored = self._pipeline.store.put_bytes(manifest.keys.manifest, text, content_type="application/json")
        assignment.progress.bounce_ready(
            files=wire.bounce_files_json(bounce, stored),
            loudness=wire.loudness_json(manifest.bounce.loudness),
            audit=AuditDraft(kind=AUDIT_BOUNCE, body=_audit_body(assignment, manifest, bounce), prompt=None),
        )

    def _stems_audit(
        self, assignment: Assignment, manifest: Manifest, bounce: StoredFile, delivered: Delivered
    ) -> AuditDraft:
        info = self._pipeline.separator.info
        body = _audit_body(assignment, manifest, bounce) | {
            "zip": _named(delivered.zip),
            "stems": {
                entry.name.removesuffix(".wav"): entry.sha256
                for entry in delivered.entries
                if entry.name.endswith(".wav") and entry.name != "bounce.wav"
            },
            "manifestSha256": delivered.manifest.sha256,
            "separator": {"name": info.name, "weightsSha256": info.weights_sha256},
            "separationFingerprint": dict(sorted(delivered.fingerprint.items())),
        }
        return AuditDraft(kind=AUDIT_STEMS, body=body, prompt=None)


def stored_keys(left: OrphanedVersion) -> list[str]:
    """The keys that an attempt at an upload may store; its bounce was stored when it was accepted."""
    return [VersionKeys(left.job_id, left.version).zip]


def _audit_body(assignment: Assignment, manifest: Manifest, bounce: StoredFile) -> dict[str, Any]:
    """What both rows say (docs/contract.md, section 5); what an upload lacks is null."""
    licence = manifest.licence
    return {
        "acceptedAt": manifest.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "licence": {
            "tier": licence.tier,
            "licensee": licence.licensee,
            "terms": licence.terms,
            "covers": licence.covers,
        },
        "labels": dict(manifest.labels),
        "upload": dict(assignment.plan["upload"]),
        "bounce": {"key": bounce.key, "sha256": bounce.sha256},
        "lufs": manifest.bounce.loudness.lufs,
        "truePeakDbtp": manifest.bounce.loudness.true_peak_dbtp,
        "frames": manifest.frames,
        "stemMode": assignment.version.stem_mode,
        "persona": None,
        "seed": None,
        "plan": None,
        "model": None,
    }


def _named(stored: StoredFile) -> dict[str, str]:
    return {"key": stored.key, "sha256": stored.sha256}
