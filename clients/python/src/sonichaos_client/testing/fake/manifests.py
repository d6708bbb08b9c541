"""The manifest of a fake version, by the published schema."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

import numpy as np

from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos_client.testing.fake.files import Content
from sonichaos_client.testing.fake.loudness import Level
from sonichaos_client.testing.fake.music import tempo_map_json
from sonichaos_client.testing.fake.records import JobRecord, VersionRecord
from sonichaos_client.testing.fake.tones import STEMS

MODEL_SHA256 = hashlib.sha256(b"sonichaos fake model").hexdigest()
LICENCE = "Apache-2.0"
FINGERPRINT = {"device": "fake", "threads": "1"}
SEPARATOR = {"name": "fake", "weightsSha256": MODEL_SHA256}
RENDERER_DIGESTS = {"denoiser": MODEL_SHA256, "persona": MODEL_SHA256}
RENDERER = {"name": "fake", "licence": LICENCE, "digests": RENDERER_DIGESTS}
_COVERAGE = {
    brief_pb2.LICENCE_COVERAGE_BOUNCE: "bounce",
    brief_pb2.LICENCE_COVERAGE_BOUNCE_AND_STEMS: "bounce_and_stems",
}


def utc_seconds(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds."""
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def created_at(version: VersionRecord) -> datetime:
    """When a version was accepted, in whole seconds."""
    message = version.message.create_time
    return message.ToDatetime().replace(microsecond=0)


def file_facts(name: str, wav: Content, level: Level) -> dict[str, Any]:
    """What the manifest says about one WAV."""
    return {"file": f"{name}.wav", "sha256": wav.sha256, "lufs": level.lufs, "truePeakDbtp": level.true_peak_dbtp}


def bounce_manifest(
    job: JobRecord, version: VersionRecord, persona: render_pb2.Persona | None, bounce: dict[str, Any]
) -> dict[str, Any]:
    """The manifest of a version without stems. Uploads have no ``persona``."""
    brief = version.message.brief
    taken = persona is not None
    return {
        "schema": "sonichaos.manifest.v1",
        "jobId": job.job_id,
        "version": version.number,
        "createdAt": utc_seconds(created_at(version)),
        "prompt": brief.prompt if taken else None,
        "persona": None if persona is None else persona_facts(persona),
        "seed": brief.seed if taken else None,
        "model": RENDERER if taken else None,
        "tempoMap": tempo_map_json(brief.tempo_map) if taken else None,
        "key": brief.key if taken else None,
        "sampleRate": 44100,
        "bitDepth": 24,
        "frames": version.sound.frames,
        "lufs": bounce["lufs"],
        "truePeakDbtp": bounce["truePeakDbtp"],
        "bounce": bounce,
        "stems": None,
        "stemMode": None,
        "residualDbfs": None,
        "excessSamples": None,
        "processing": list(job.processing),
        "licence": licence_facts(brief.licence),
        "labels": dict(brief.labels),
        "fingerprint": FINGERPRINT if taken else {},
    }


def with_stems(
    manifest: dict[str, Any], mode: brief_pb2.StemMode.ValueType, files: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """The manifest of a bounce, completed. ``files`` has :func:`file_facts` of each stem."""
    exact = mode == brief_pb2.STEM_MODE_EXACT
    added = {f"separation.{key}": value for key, value in FINGERPRINT.items()}
    return manifest | {
        "stems": {
            "files": {stem: files[stem] for stem in STEMS},
            "separator": SEPARATOR,
            "residualRule": "none: the fake's stems sum exactly" if exact else None,
        },
        "stemMode": "exact" if exact else "raw",
        "residualDbfs": None,
        "excessSamples": 0,
        "fingerprint": manifest["fingerprint"] | added,
    }


def text(manifest: dict[str, Any]) -> bytes:
    """As stored."""
    return (json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def persona_facts(persona: render_pb2.Persona) -> dict[str, Any]:
    """What the manifest says about a persona."""
    embedding = np.asarray(persona.embedding, dtype="<f4").tobytes()
    return {
        "id": persona.id,
        "prefix": persona.prefix,
        "embeddingSha256": hashlib.sha256(embedding).hexdigest(),
    }


def licence_facts(licence: brief_pb2.Licence) -> dict[str, Any]:
    """What manifest and audit row say about a licence."""
    return {
        "tier": licence.tier,
        "licensee": licence.licensee,
        "terms": licence.terms,
        "covers": _COVERAGE[licence.covers],
    }
