"""What the audit rows of an upload hold: the fields that all rows share, and the uploaded file in place of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import PlainSerializer

from separation_service.engine import SeparatorInfo
from separation_service.store import StoredPackage
from servicekit.delivery.audit_body import AUDIT_BOUNCE, AUDIT_STEMS, BounceBody, FileDigest, StemsBody, stem_digests
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest import Manifest, SeparatorFacts, utc_seconds
from servicekit.delivery.names import StemMode
from servicekit.journal import AuditDraft
from servicekit.json_codec import JsonCodec


@dataclass(frozen=True, kw_only=True)
class _UploadBody:
    """The part of a row that only an upload has. What a take has instead is null."""

    accepted_at: Annotated[datetime, PlainSerializer(utc_seconds)]
    upload: Mapping[str, Any]
    frames: int
    stem_mode: StemMode
    persona: None = None
    seed: None = None
    plan: None = None
    model: None = None


@dataclass(frozen=True, kw_only=True)
class UploadBounceBody(_UploadBody, BounceBody):
    """The row of an upload's bounce."""


@dataclass(frozen=True, kw_only=True)
class UploadStemsBody(_UploadBody, StemsBody):
    """The row of an upload's stems."""


UPLOAD_BOUNCE, UPLOAD_STEMS = JsonCodec(UploadBounceBody), JsonCodec(UploadStemsBody)


@dataclass(frozen=True, kw_only=True)
class UploadFacts:
    """What both rows are made of. ``manifest`` is that of the stored ``bounce``; ``upload`` has the file's name, size, digest."""

    manifest: Manifest
    bounce: StoredFile
    upload: Mapping[str, Any]
    stem_mode: StemMode

    def bounce_draft(self) -> AuditDraft:
        """The row of the stored bounce."""
        return AuditDraft(kind=AUDIT_BOUNCE, body=UPLOAD_BOUNCE.write(UploadBounceBody(**self._fields())), prompt=None)

    def stems_draft(self, stored: StoredPackage, separator: SeparatorInfo) -> AuditDraft:
        """The row of the stored stems, which has all of the bounce's too."""
        body = UploadStemsBody(
            **self._fields(),
            zip=FileDigest.of(stored.zip),
            stems=stem_digests(stored.entries),
            manifest_sha256=stored.manifest.sha256,
            separator=SeparatorFacts(name=separator.name, weights_sha256=separator.weights_sha256),
            separation_fingerprint=stored.fingerprint,
        )
        return AuditDraft(kind=AUDIT_STEMS, body=UPLOAD_STEMS.write(body), prompt=None)

    def _fields(self) -> dict[str, Any]:
        manifest = self.manifest
        return {
            "accepted_at": manifest.created_at,
            "licence": manifest.licence,
            "labels": manifest.labels,
            "upload": self.upload,
            "bounce": FileDigest.of(self.bounce),
            "lufs": manifest.bounce.lufs,
            "true_peak_dbtp": manifest.bounce.true_peak_dbtp,
            "frames": manifest.frames,
            "stem_mode": self.stem_mode,
        }
