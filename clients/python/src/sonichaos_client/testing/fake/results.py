"""What a version stores: WAVs, manifest, ZIP, latents and audit rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sonichaos_client.testing.fake import manifests
from sonichaos_client.testing.fake.files import Content, WavFacts, wav, zip_file
from sonichaos_client.testing.fake.records import JobRecord, VersionRecord
from sonichaos_client.testing.fake.sounds import NAMES
from sonichaos_client.testing.fake.studio import Studio
from sonichaos_client.testing.fake.tones import STEMS

_LATENTS = b"\x02\0\0\0\0\0\0\0{}"
"""A safetensors file without tensors."""

Storing = Generator[Callable[[], Any], Any, None]
"""Yields what is computed meanwhile, in another thread."""


@dataclass
class VersionResults:
    """The files of one version, made from its sound."""

    studio: Studio
    job: JobRecord
    version: VersionRecord
    _wavs: dict[str, Content] = field(default_factory=dict)

    def store_bounce(self, *, audited: bool = True) -> Storing:
        """Store bounce, manifest and, of a take's first version, latents."""
        message, studio, name = self.version.message, self.studio, self._key_name
        bounce = yield lambda: self.wav_of("bounce")
        key = f"jobs/{self.job.job_id}/{'bounce' if self.version.number == 1 else name}.wav"
        now = studio.clock.now()
        message.files.bounce.CopyFrom(studio.files.put(key, bounce, "audio/wav", now))
        message.loudness.CopyFrom(self.version.sound.level("bounce").message())
        self._store_manifest(self._manifest())
        if not self.job.is_upload and self.version.number == 1:
            latents = Content(_LATENTS)
            key = f"jobs/{self.job.job_id}/{name}.latents.safetensors"
            message.files.latents.CopyFrom(studio.files.put(key, latents, "application/octet-stream", now))
        if audited:
            self._write_audit_row("bounce", {})

    def store_stems(self) -> Storing:
        """Store the ZIP and the completed manifest."""
        message, studio = self.version.message, self.studio
        wavs = yield lambda: {name: self.wav_of(name) for name in NAMES}
        facts = {stem: manifests.file_facts(stem, wavs[stem], self.version.sound.level(stem)) for stem in STEMS}
        manifest = manifests.with_stems(self._manifest(), message.brief.stem_mode, facts)
        folder = f"sonichaos-{self.job.job_id}" + (f"-v{self.version.number}" if self.version.number > 1 else "")
        text = Content(manifests.text(manifest))
        files = [*((f"{name}.wav", wavs[name]) for name in NAMES), ("manifest.json", text)]
        zipped, entries = yield lambda: zip_file(folder, files)
        key = f"jobs/{self.job.job_id}/{self._key_name}.zip"
        message.files.zip.CopyFrom(studio.files.put(key, zipped, "application/zip", studio.clock.now()))
        del message.files.zip_entries[:]
        message.files.zip_entries.extend(entries)
        self._store_manifest(manifest)
        body = {
            "zip": {"key": key, "sha256": zipped.sha256},
            "stems": {stem: wavs[stem].sha256 for stem in STEMS},
            "manifestSha256": text.sha256,
            "separator": manifests.SEPARATOR,
            "separationFingerprint": manifests.FINGERPRINT,
        }
        if "rerender" in manifest:
            body["rerender"] = manifest["rerender"]
        self._write_audit_row("stems", body)

    @cached_property
    def _samples(self) -> Mapping[str, Sequence[bytes]]:
        return self.version.sound.samples()

    @property
    def _key_name(self) -> str:
        return f"v{self.version.number}"

    def wav_of(self, name: str) -> Content:
        """A WAV of this version. A stem that a re-render keeps is the base version's file."""
        if name not in self._wavs:
            version = self.version
            if _base_with(self.job, version, name) is not None:
                self._wavs[name] = self._base_work.wav_of(name)
                return self._wavs[name]
            facts = WavFacts(
                job_id=self.job.job_id,
                version=version.number,
                name=name,
                created_at=manifests.created_at(version),
                source="separated" if self._is_separated(version) else "generated",
            )
            self._wavs[name] = wav(facts, version.sound.level(name), self._samples[name])
        return self._wavs[name]

    @cached_property
    def _base_work(self) -> VersionResults:
        return VersionResults(self.studio, self.job, self.job.version(self.version.message.base_version))

    def _is_separated(self, version: VersionRecord) -> bool:
        return self.job.is_upload and not version.message.rerendered_stem

    def _manifest(self) -> dict[str, Any]:
        """Of this version without stems."""
        version, brief = self.version, self.version.message.brief
        persona = None if self._is_separated(version) else self.studio.personas.recorded(brief.persona_id)
        bounce = manifests.file_facts("bounce", self.wav_of("bounce"), version.sound.level("bounce"))
        manifest = manifests.bounce_manifest(self.job, version, persona, bounce)
        return manifest | self._rerender_facts()

    def _rerender_facts(self) -> dict[str, Any]:
        message = self.version.message
        if not message.rerendered_stem:
            return {}
        stem = STEMS[message.rerendered_stem - 1]
        timing = {"onsets": 8, "matched": 1.0, "medianMs": 0.0, "madMs": 0.0, "p95Ms": 0.0, "maxMs": 0.0}
        drift = {"grid": timing | {"slopeMsPerMinute": 0.0, "slopeErrorMsPerMinute": 0.0}, "drums": None, "bass": None}
        facts = {
            "baseVersion": message.base_version,
            "stem": stem,
            "persona": message.brief.persona_id,
            "seed": message.brief.seed,
            "fresh": False,
            "strength": 0.9,
            "kept": {other: self._origin(other) for other in STEMS if other != stem},
            "keptSeparator": manifests.SEPARATOR,
            "verdict": "within",
            "judgedAgainst": "grid",
            "exceeded": [],
            "accepted": False,
            "region": None,
            "rendered": drift,
            "delivered": drift,
        }
        return {"rerender": facts}

    def _origin(self, stem: str) -> Mapping[str, Any]:
        """Which version made a kept stem."""
        version = self.version
        while (base := _base_with(self.job, version, stem)) is not None:
            version = base
        source = "separated" if self._is_separated(version) else "generated"
        created_at = manifests.utc_seconds(manifests.created_at(version))
        return {"version": version.number, "createdAt": created_at, "source": source}

    def _store_manifest(self, manifest: dict[str, Any]) -> None:
        key = f"jobs/{self.job.job_id}/{self._key_name}.json"
        content = Content(manifests.text(manifest))
        stored = self.studio.files.put(key, content, "application/json", self.studio.clock.now())
        self.version.message.files.manifest.CopyFrom(stored)

    def _write_audit_row(self, kind: str, body: Mapping[str, Any]) -> None:
        message, brief = self.version.message, self.version.message.brief
        is_take = not self._is_separated(self.version)
        persona = self.studio.personas.recorded(brief.persona_id) if is_take else None
        licence = manifests.licence_facts(brief.licence)
        licensee = licence.pop("licensee")
        level = self.version.sound.level("bounce")
        facts = {
            "acceptedAt": manifests.utc_seconds(manifests.created_at(self.version)),
            "licence": licence,
            "bounce": {"key": message.files.bounce.key, "sha256": message.files.bounce.sha256},
            "lufs": level.lufs,
            "truePeakDbtp": level.true_peak_dbtp,
            "renderer": manifests.RENDERER if is_take else None,
            "fingerprint": manifests.FINGERPRINT,
            "seed": brief.seed if is_take else None,
            "personaId": brief.persona_id or None,
        }
        if self.job.is_upload:
            facts["upload"] = {"sha256": self.job.digest, "sizeBytes": self.job.size_bytes}
        digest = self.studio.audit.append(
            job_id=self.job.job_id,
            version=self.version.number,
            kind=kind,
            body={**facts, **body},
            prompt=brief.prompt if is_take else None,
            personal={
                "labels": dict(brief.labels),
                "licence.licensee": licensee,
                "plan.personaPrefix": persona.prefix if persona is not None else "",
                "upload.fileName": brief.file_name,
            },
            now=self.studio.clock.now(),
        )
        message.audit_digests.append(digest)


def _base_with(job: JobRecord, version: VersionRecord, name: str) -> VersionRecord | None:
    """The base of a version, if it keeps this stem of it."""
    message = version.message
    stem = STEMS[message.rerendered_stem - 1] if message.rerendered_stem else ""
    return job.version(message.base_version) if stem and name not in {"bounce", stem} else None
