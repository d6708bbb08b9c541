"""The work on one version, stage by stage: a generator that yields how long to wait, or what to compute meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.testing.fake import manifests
from sonichaos_client.testing.fake.audit import AuditChain
from sonichaos_client.testing.fake.clock import VirtualClock
from sonichaos_client.testing.fake.faults import Faults, scripted_failure, seconds_of
from sonichaos_client.testing.fake.files import Content, FileStore, WavFacts, wav, zip_file
from sonichaos_client.testing.fake.personas import Personas
from sonichaos_client.testing.fake.records import JobRecord, Records, VersionRecord
from sonichaos_client.testing.fake.sounds import NAMES
from sonichaos_client.testing.fake.tones import STEMS

RENDER, STEMS_TRACK = job_pb2.PROGRESS_TRACK_RENDER, job_pb2.PROGRESS_TRACK_STEMS
PARKED = math.inf
"""Yielded to wait until the faults are cleared."""

_LATENTS = b"\x02\0\0\0\0\0\0\0{}"
"""A safetensors file without tensors."""

Step = float | Callable[[], Any]
Work = Generator[Step, Any, None]


@dataclass(frozen=True)
class StagePlan:
    """A stage: the share of the track's time before it, its own share, and its steps."""

    stage: job_pb2.Stage.ValueType
    before: float
    share: float
    steps: int


_RENDER_STAGES = (
    StagePlan(job_pb2.STAGE_PLAN, 0.0, 0.01, 1),
    StagePlan(job_pb2.STAGE_DENOISE, 0.01, 0.60, 8),
    StagePlan(job_pb2.STAGE_VOCODE, 0.61, 0.35, 1),
    StagePlan(job_pb2.STAGE_BOUNCE, 0.96, 0.04, 2),
)
_STEMS_STAGES = (
    StagePlan(job_pb2.STAGE_HANDOFF, 0.0, 0.01, 1),
    StagePlan(job_pb2.STAGE_RECEIVE, 0.01, 0.01, 1),
    StagePlan(job_pb2.STAGE_SEPARATE, 0.02, 0.80, 4),
    StagePlan(job_pb2.STAGE_ALIGN, 0.82, 0.04, 4),
    StagePlan(job_pb2.STAGE_PACKAGE, 0.86, 0.10, 8),
    StagePlan(job_pb2.STAGE_STORE, 0.96, 0.04, 2),
)
_RECEIVE = StagePlan(job_pb2.STAGE_RECEIVE, 0.0, 0.01, 1)
_UPLOAD_STAGES = (
    StagePlan(job_pb2.STAGE_SEPARATE, 0.01, 0.84, 4),
    StagePlan(job_pb2.STAGE_PACKAGE, 0.85, 0.10, 8),
    StagePlan(job_pb2.STAGE_STORE, 0.95, 0.05, 2),
)
_SPEED_SECONDS = 10.0
_STORING = (job_pb2.STAGE_BOUNCE, job_pb2.STAGE_STORE)


class CrashError(Exception):
    """A scripted crash of the service. ``down_s`` is how long it is down."""

    def __init__(self, down_s: float) -> None:
        super().__init__()
        self.down_s = down_s


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """Seconds of the clock that each track takes for ten seconds of audio or less; longer takes take longer in proportion."""

    render_s: float = 1.0
    stems_s: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Studio:
    """What all work of the fake shares."""

    clock: VirtualClock
    records: Records
    files: FileStore
    audit: AuditChain
    personas: Personas
    faults: Faults
    speeds: Speeds


@dataclass
class _Track:
    """Where an attempt is on a track."""

    number: job_pb2.ProgressTrack.ValueType
    seconds: float
    attempt: int
    done: float = 0.0


@dataclass
class VersionWork:
    """The work on one version. ``stage`` is the current one."""

    studio: Studio
    job: JobRecord
    version: VersionRecord
    stage: job_pb2.Stage.ValueType = job_pb2.STAGE_UNSPECIFIED
    _tracks: dict[int, _Track] = field(default_factory=dict)
    _wavs: dict[str, Content] = field(default_factory=dict)

    def run(self) -> Work:
        """The whole work, from what is stored on. Raises Refusal for a scripted failure, and CrashError."""
        if self.version.message.rerendered_stem:
            yield from self._rerender()
        elif self.job.is_upload:
            yield from self._separate_upload()
        else:
            yield from self._render()

    def _render(self) -> Work:
        if not self.version.has_bounce:
            for plan in _RENDER_STAGES[:-1]:
                yield from self._run_stage(RENDER, plan)
            yield from self._run_stage(RENDER, _RENDER_STAGES[-1], publish_end=False)
            yield from self._store_bounce()
            self._publish(job_pb2.EVENT_KIND_BOUNCE_READY, RENDER, _RENDER_STAGES[-1], 2)
        if self.version.message.stems_wanted:
            stages = [plan for plan in _STEMS_STAGES if plan.stage != job_pb2.STAGE_ALIGN]
            for plan in stages:
                yield from self._run_stage(STEMS_TRACK, plan)
            yield from self._store_stems()
            self._publish(job_pb2.EVENT_KIND_STEMS_READY, STEMS_TRACK, stages[-1], 2)

    def _rerender(self) -> Work:
        for plan in _RENDER_STAGES:
            yield from self._run_stage(RENDER, plan)
        for plan in _STEMS_STAGES:
            yield from self._run_stage(STEMS_TRACK, plan)
        yield from self._store_bounce(audited=False)
        yield from self._store_stems()
        for kind in (job_pb2.EVENT_KIND_BOUNCE_READY, job_pb2.EVENT_KIND_STEMS_READY):
            self._publish(kind, STEMS_TRACK, _STEMS_STAGES[-1], 2)

    def _separate_upload(self) -> Work:
        if not self.version.has_bounce:
            yield from self._run_stage(STEMS_TRACK, _RECEIVE, publish_end=False)
            yield from self._store_bounce()
            self._publish(job_pb2.EVENT_KIND_BOUNCE_READY, STEMS_TRACK, _RECEIVE, 1)
        for plan in _UPLOAD_STAGES:
            yield from self._run_stage(STEMS_TRACK, plan)
        yield from self._store_stems()
        self._publish(job_pb2.EVENT_KIND_STEMS_READY, STEMS_TRACK, _UPLOAD_STAGES[-1], 2)

    def _run_stage(self, number: job_pb2.ProgressTrack.ValueType, plan: StagePlan, *, publish_end: bool = True) -> Work:
        """One stage. Without ``publish_end`` the caller publishes its last step, with what it stored."""
        self.stage = plan.stage
        track = self._track(number)
        started_us = self.studio.clock.now_us()
        track.done = max(track.done, plan.before)
        step_s = track.seconds * plan.share / plan.steps
        self._publish(job_pb2.EVENT_KIND_PROGRESS, number, plan, 0)
        for done in range(1, plan.steps + 1):
            if done == (plan.steps + 1) // 2:
                yield step_s / 2
                yield from self._occurring_faults()
                yield step_s / 2
            else:
                yield step_s
            track.done = plan.before + plan.share * done / plan.steps
            if publish_end or done < plan.steps:
                self._publish(job_pb2.EVENT_KIND_PROGRESS, number, plan, done)
        duration = Duration()
        duration.FromMicroseconds(self.studio.clock.now_us() - started_us)
        self.version.message.timings.append(
            job_pb2.StageTiming(stage=plan.stage, duration=duration, attempt=track.attempt)
        )

    def _occurring_faults(self) -> Work:
        faults, owner, stage = self.studio.faults, self.job.owner, self.stage
        stall = faults.take("stall", owner, stage=stage)
        if stall is not None:
            yield seconds_of(stall.stall.duration) if stall.stall.HasField("duration") else PARKED
        slow = faults.take("slow_store", owner) if stage in _STORING else None
        if slow is not None:
            yield seconds_of(slow.slow_store.delay)
        crash = faults.take("crash", owner, stage=stage)
        if crash is not None:
            raise CrashError(seconds_of(crash.crash.down_time))
        failure = faults.take("fail_stage", owner, stage=stage)
        if failure is not None:
            raise scripted_failure(failure.fail_stage.reason)

    def _track(self, number: job_pb2.ProgressTrack.ValueType) -> _Track:
        if number not in self._tracks:
            attempts = self.version.attempts
            attempts[number] = attempts.get(number, 0) + 1
            speeds = self.studio.speeds
            of_ten_s = speeds.render_s if number == RENDER else speeds.stems_s
            seconds = of_ten_s * max(self.version.seconds / _SPEED_SECONDS, 1.0)
            self._tracks[number] = _Track(number, seconds, attempts[number])
        return self._tracks[number]

    def _publish(
        self,
        kind: job_pb2.EventKind.ValueType,
        number: job_pb2.ProgressTrack.ValueType,
        plan: StagePlan,
        steps_done: int,
    ) -> None:
        track = self._track(number)
        event = job_pb2.JobEvent(
            kind=kind,
            track=number,
            stage=plan.stage,
            attempt=track.attempt,
            steps_done=steps_done,
            steps_total=plan.steps,
            fraction=min(round(track.done, 9), 1.0),
        )
        if track.done > 0.0:
            event.estimated_time_left.FromMicroseconds(round(max(1.0 - track.done, 0.0) * track.seconds * 1e6))
        self.studio.records.append(self.job, self.version, event)

    def _store_bounce(self, *, audited: bool = True) -> Work:
        """Store bounce, manifest and, of a take's first version, latents."""
        message, studio, name = self.version.message, self.studio, self._key_name
        bounce = yield lambda: self._wav("bounce")
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

    def _store_stems(self) -> Work:
        """Store the ZIP and the completed manifest."""
        message, studio = self.version.message, self.studio
        wavs = yield lambda: {name: self._wav(name) for name in NAMES}
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

    @property
    def _key_name(self) -> str:
        return f"v{self.version.number}"

    def _wav(self, name: str) -> Content:
        """A WAV of this version. A stem that a re-render keeps is the base version's file."""
        if name not in self._wavs:
            version, base = self.version, self._base_with(name)
            if base is not None:
                self._wavs[name] = VersionWork(self.studio, self.job, base)._wav(name)  # noqa: SLF001  another of this class
                return self._wavs[name]
            facts = WavFacts(
                job_id=self.job.job_id,
                version=version.number,
                name=name,
                created_at=manifests.created_at(version),
                source="separated" if self._is_separated(version) else "generated",
            )
            self._wavs[name] = wav(facts, version.sound.level(name), version.sound.samples()[name])
        return self._wavs[name]

    def _base_with(self, name: str) -> VersionRecord | None:
        """The base version, if the stem is kept from it."""
        message = self.version.message
        stem = STEMS[message.rerendered_stem - 1] if message.rerendered_stem else ""
        return self.job.version(message.base_version) if stem and name not in {"bounce", stem} else None

    def _is_separated(self, version: VersionRecord) -> bool:
        return self.job.is_upload and not version.message.rerendered_stem

    def _manifest(self) -> dict[str, Any]:
        """Of this version without stems."""
        version, brief = self.version, self.version.message.brief
        persona = None if self._is_separated(version) else self.studio.personas.recorded(brief.persona_id)
        bounce = manifests.file_facts("bounce", self._wav("bounce"), version.sound.level("bounce"))
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
        while (base := VersionWork(self.studio, self.job, version)._base_with(f"{stem}")) is not None:  # noqa: SLF001  see _wav
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
