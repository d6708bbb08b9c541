"""Sound becomes the stored 24-bit bounce, with its manifest and its audit row.

Letters: ``C`` channels (2), ``T`` samples a channel.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from safetensors.numpy import save

from jobs_service.journal_json import VersionFiles, loudness_json
from render_service.audited import AUDIT_BOUNCE, AUDIT_STEMS, audit_row
from render_service.bounce_facts import BounceFacts, manifest_of
from render_service.renderers.renderer import Latents, Waveform
from servicekit.audio.loudness import Loudness, measure
from servicekit.audio.pcm24 import Pcm24, from_pcm24, to_pcm24
from servicekit.audio.true_peak import limit_true_peak
from servicekit.audio.wav import Wav, read_wav
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest import FileFacts, Manifest
from servicekit.delivery.manifest_json import manifest_text
from servicekit.journal import AuditDraft, Journal, Version
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import read_verified
from servicekit.work import Progress

MAX_TRUE_PEAK_DBTP = -1.0
_MAX_WAV_BYTES = 64 * 1024 * 1024  # 180 s are 47.6 MB


@dataclass(frozen=True, kw_only=True)
class Bounce:
    """A bounce whose samples ``wav.pcm`` are ``(2, T)`` int32; ``manifest`` is that of its version without stems."""

    wav: Wav
    manifest: Manifest

    @property
    def pcm(self) -> Pcm24:
        """The samples ``(2, T)``."""
        return self.wav.pcm

    @property
    def sha256(self) -> str:
        """Of the WAV."""
        return self.wav.digest.sha256

    @property
    def loudness(self) -> Loudness:
        """Of the rounded samples."""
        return self.wav.facts.loudness

    @property
    def key(self) -> str:
        """Where the WAV is stored: v1's is the original, later ones lie beside it."""
        return self.manifest.keys.bounce

    def samples(self) -> Waveform:
        """``(2, T)`` float32, exact multiples of 2^-23: what is lent."""
        return from_pcm24(self.wav.pcm)

    @property
    def stored_file(self) -> StoredFile:
        """The WAV in the store."""
        return StoredFile(self.key, self.wav.size_bytes, self.sha256)


def make_bounce(waveform: Waveform, facts: BounceFacts) -> Bounce:
    """Bring the true peak to at most -1 dBTP by one gain, round, measure. Raises Internal NOT_FINITE."""
    limited, gain_db = limit_true_peak(waveform, MAX_TRUE_PEAK_DBTP)
    processing = (f"gain {gain_db:.2f} dB for a true peak of at most {MAX_TRUE_PEAK_DBTP:g} dBTP",) if gain_db else ()
    return _bounce(to_pcm24(limited, stage="BOUNCE"), replace(facts, processing=facts.processing + processing))


def _bounce(pcm: Pcm24, facts: BounceFacts) -> Bounce:
    loudness = measure(pcm)
    draft = manifest_of(facts, frames=pcm.shape[1], bounce=FileFacts.draft("bounce", loudness))
    wav = Wav(pcm, draft.wav_facts("bounce", loudness))
    return Bounce(wav=wav, manifest=replace(draft, bounce=FileFacts.of(wav)))


def store_bounce(bounce: Bounce, latents: Latents, facts: BounceFacts, store: ObjectStore, progress: Progress) -> None:
    """Store bounce, manifest and latents; then keep them, with the audit row and the event, all or nothing."""
    with store.writer(bounce.key, content_type="audio/wav") as sink:
        bounce.wav.write_to(sink)
    keys = bounce.manifest.keys
    text = manifest_text(bounce.manifest).encode()
    manifest = store.put_bytes(keys.manifest, text, content_type="application/json")
    metadata = {"frontEnd": latents.front_end_id, "samples": str(latents.samples)}
    data = save({"latents": latents.values}, metadata=metadata)
    kept = store.put_bytes(keys.latents, data, content_type="application/octet-stream")
    progress.bounce_ready(
        files=VersionFiles(bounce=bounce.stored_file, manifest=manifest, latents=kept).json(),
        loudness=loudness_json(bounce.loudness),
        audit=_bounce_audit(bounce, facts, kept),
    )


def read_bounce(version: Version, facts: BounceFacts, store: ObjectStore) -> Bounce:
    """The bounce as it was stored. ``facts`` are those of its audit row. Raises DataLoss where it was changed."""
    stored = version.files["bounce"]
    data = read_verified(store, stored["key"], stored["sha256"], max_bytes=_MAX_WAV_BYTES)
    return _bounce(read_wav(io.BytesIO(data), name=stored["key"]), facts)


def audited_facts(version: Version, tenant: str, journal: Journal) -> BounceFacts:
    """The facts of a stored bounce, from the audit row that was kept together with it."""
    row = audit_row(journal, tenant, version.job_id, version.number, AUDIT_BOUNCE)
    return BounceFacts.from_audit(tenant, row.job_id, row.version, json.loads(row.body_json), version.plan["prompt"])


def _bounce_audit(bounce: Bounce, facts: BounceFacts, latents: StoredFile) -> AuditDraft:
    body = facts.audit_body() | {
        "bounce": {"key": bounce.key, "sha256": bounce.sha256},
        "latents": {"key": latents.key, "sha256": latents.sha256},
        "lufs": bounce.loudness.lufs,
        "truePeakDbtp": bounce.loudness.true_peak_dbtp,
        "processing": list(bounce.manifest.processing),
    }
    return AuditDraft(kind=AUDIT_BOUNCE, body=body, prompt=facts.plan.prompt)


def stems_audit(bounce: Bounce, facts: BounceFacts, separated: Mapping[str, Any]) -> AuditDraft:
    """The row that is written once a version has stems; ``separated`` is what separation_service answered."""
    body = facts.audit_body() | {
        "bounce": {"key": bounce.key, "sha256": bounce.sha256},
        "lufs": bounce.loudness.lufs,
        "truePeakDbtp": bounce.loudness.true_peak_dbtp,
        **separated,
    }
    return AuditDraft(kind=AUDIT_STEMS, body=body, prompt=facts.plan.prompt)
