"""What creates jobs and versions: idempotent requests, and what is checked before work is accepted."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from grpc import StatusCode

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos_client.errors import FieldViolation
from sonichaos_client.testing.fake import briefs, music
from sonichaos_client.testing.fake.checks import (
    check_persona_id,
    check_priority,
    check_request_id,
    check_text,
)
from sonichaos_client.testing.fake.records import JobRecord, VersionRecord, timestamp
from sonichaos_client.testing.fake.refusals import Refusal, check, invalid, wrong_state
from sonichaos_client.testing.fake.requests import Accepted, Requests, Usage, digest_of
from sonichaos_client.testing.fake.sounds import RerenderedSound
from sonichaos_client.testing.fake.studio import Studio
from sonichaos_client.testing.fake.tones import RATE_HZ, STEMS, MixSound, StemSound
from sonichaos_client.testing.fake.workers import Workers

MAX_VERSIONS = 500
_MIN_STRENGTH = 0.001
_STEM_NAMES = ", ".join(brief_pb2.Stem.keys()[1:])


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Turns requests into jobs and versions. ``workers`` are those of render_service."""

    studio: Studio
    workers: Workers
    requests: Requests
    usage: Usage

    def create_render(self, request: render_pb2.CreateRenderRequest) -> JobRecord:
        """A take; for a repeated request the job that it created before."""
        check(check_request_id(request.request_id))
        digest = digest_of("CreateRender", request.brief)
        earlier = self.requests.find("CreateRender", request.request_id, digest)
        if earlier is not None:
            return earlier.job
        now = self.studio.clock.now()
        brief = briefs.resolve(request.brief, now=now, priority=request.priority)
        briefs.check_supported(request.brief)
        self.studio.personas.get(brief.persona_id)
        self.workers.check_room()
        stems = tuple(
            StemSound.of(stem, seed=brief.seed, prompt=brief.prompt, persona_id=brief.persona_id) for stem in STEMS
        )
        sound = MixSound(stems, round(brief.seconds * RATE_HZ)).at(brief.target_lufs)
        message = job_pb2.Version(
            number=1,
            brief=brief,
            stems_wanted=brief.stems,
            create_time=timestamp(now),
            priority=request.priority,
            files=job_pb2.VersionFiles(),
        )
        version = VersionRecord(message, sound, brief.seconds)
        job = JobRecord(
            self.studio.records.job_ids.new(self.studio.clock.now_us()),
            job_pb2.OWNING_SERVICE_RENDER,
            request.request_id,
            now,
            [version],
        )
        self.studio.records.add(job)
        self.requests.record("CreateRender", request.request_id, digest, Accepted(job, 1))
        self.usage.of_day(now.date().isoformat()).audio_s += brief.seconds
        self.workers.enqueue(job, version)
        return job

    def rerender_stem(self, request: render_pb2.RerenderStemRequest) -> Accepted:
        """The next version of a job; for a repeated request the one that it created before."""
        check(check_request_id(request.request_id))
        content = render_pb2.RerenderStemRequest()
        content.CopyFrom(request)
        content.ClearField("request_id")
        content.ClearField("priority")
        digest = digest_of("RerenderStem", content)
        earlier = self.requests.find("RerenderStem", request.request_id, digest)
        if earlier is not None:
            return earlier
        tempo_map, key = read_change(request)
        if request.stem == brief_pb2.STEM_DRUMS:
            raise _drums_switched_off()
        job = self.studio.records.get(request.job_id)
        if len(job.versions) >= MAX_VERSIONS:
            advice = f"a job has at most {MAX_VERSIONS} versions; render a new take"
            raise _no_base(job, job.versions[-1], advice)
        base = _base_version(job, request.base_version)
        brief = self._brief(job, base, request, tempo_map, key)
        if request.new_part:
            raise briefs.unsupported("new_part", "plays no scores; leave new_part unset or load another renderer")
        _check_region(brief, request)
        self.workers.check_room()
        return self._accept(job, base, request, brief, digest)

    def _brief(
        self,
        job: JobRecord,
        base: VersionRecord,
        request: render_pb2.RerenderStemRequest,
        tempo_map: brief_pb2.TempoMap | None,
        key: str,
    ) -> brief_pb2.ResolvedBrief:
        """The base version's brief with the changes, without the original's expiry."""
        old = base.message.brief
        prompt = request.prompt if request.prompt.strip() else ""
        is_upload = job.is_upload and not old.persona_id
        if not is_upload:
            _check_change(base, request, prompt, tempo_map, key)
        if request.persona_id:
            self.studio.personas.get(request.persona_id)
        if is_upload:
            _check_upload(request, prompt, tempo_map, key)
        if not prompt and not old.prompt:
            raise Refusal(
                StatusCode.FAILED_PRECONDITION,
                "INPUT_MISSING",
                f"the prompt of v{base.number} was erased; give one",
                metadata={"missing": "prompt"},
            )
        brief = brief_pb2.ResolvedBrief()
        brief.CopyFrom(old)
        brief.ClearField("expire_time")
        brief.prompt = prompt or old.prompt
        brief.persona_id = request.persona_id or old.persona_id
        brief.seed = request.seed if request.HasField("seed") else secrets.randbits(32)
        brief.seed_source = "caller" if request.HasField("seed") else "drawn"
        brief.stems = True
        if tempo_map is not None:
            brief.tempo_map.CopyFrom(tempo_map)
            brief.key = key
            brief.tempo_source = brief.key_source = "caller"
        return brief

    def _accept(
        self,
        job: JobRecord,
        base: VersionRecord,
        request: render_pb2.RerenderStemRequest,
        brief: brief_pb2.ResolvedBrief,
        digest: str,
    ) -> Accepted:
        if job.owner != self.workers.owner:  # an upload passes to render_service, once all of its versions have ended
            unended = next((version for version in job.versions if not version.ended), None)
            if unended is not None:
                raise job.wrong_state(unended, "wait until it ends, then re-render a stem of it")
            job.owner = self.workers.owner
        now = self.studio.clock.now()
        message = job_pb2.Version(
            number=job.versions[-1].number + 1,
            brief=brief,
            stems_wanted=True,
            create_time=timestamp(now),
            priority=request.priority,
            files=job_pb2.VersionFiles(),
            base_version=base.number,
            rerendered_stem=request.stem,
        )
        version = VersionRecord(message, _new_sound(base, request.stem, brief), base.seconds)
        job.versions.append(version)
        accepted = Accepted(job, version.number)
        self.requests.record("RerenderStem", request.request_id, digest, accepted)
        self.usage.of_day(now.date().isoformat()).audio_s += base.seconds
        self.workers.enqueue(job, version)
        return accepted


def _new_sound(
    base: VersionRecord, stem: brief_pb2.Stem.ValueType, brief: brief_pb2.ResolvedBrief
) -> MixSound | RerenderedSound:
    name = STEMS[stem - 1]
    new = StemSound.of(name, seed=brief.seed, prompt=brief.prompt, persona_id=brief.persona_id)
    if isinstance(base.sound, MixSound):
        return base.sound.with_stem(new)
    stems = tuple(replace(new, stem=one) for one in STEMS)
    return RerenderedSound(base.sound, MixSound(stems, base.sound.frames), name)


def read_change(request: render_pb2.RerenderStemRequest) -> tuple[brief_pb2.TempoMap | None, str]:
    """Tempo and key of the change. Raises INVALID_FIELD with every field that is wrong."""
    found = check_priority(request.priority)
    if request.stem not in brief_pb2.Stem.values()[1:]:
        found.append(FieldViolation("stem", f"must be one of {_STEM_NAMES}, got {request.stem}"))
    found += check_text(request.prompt, "prompt", max_characters=briefs.MAX_PROMPT_CHARACTERS)
    if request.persona_id:
        found += check_persona_id(request.persona_id, "persona_id")
    strength, first, last = request.strength, request.from_bar, request.to_bar
    if strength and not _MIN_STRENGTH <= strength <= 1.0:
        found.append(FieldViolation("strength", f"must be {_MIN_STRENGTH:g} to 1, got {strength:g}"))
    elif strength and request.from_noise:
        found.append(FieldViolation("strength", f"must not be set together with from_noise, got {strength:g}"))
    if (first or last) and not 1 <= first <= last:
        text = f"from_bar must be 1 or more and to_bar at least as much, or both 0 for the whole take, got {first} to {last}"
        found.append(FieldViolation("from_bar", text))
    tempo_map = music.read_tempo(request, found, root="")
    key = music.read_key(request.key, found, root="")
    check(found)
    return tempo_map, key


def _drums_switched_off() -> Refusal:
    return Refusal(
        StatusCode.FAILED_PRECONDITION,
        "SWITCHED_OFF",
        "drums carry the groove, so they are re-rendered only if the operator sets drums_rerender "
        "(SONICHAOS_DRUMS_RERENDER=true); sonichaos drift-report shows whether the measurements support it",
        metadata={"setting": "drums_rerender"},
    )


def _base_version(job: JobRecord, number: int) -> VersionRecord:
    """The version named, or the newest that is done and has stems."""

    def qualifies(version: VersionRecord) -> bool:
        return version.message.state == job_pb2.JOB_STATE_DONE and version.has_stems

    version = job.pick(number, [version for version in job.versions if qualifies(version)])
    job.check_not_deleted(version, "re-render a stem of another version")
    if not qualifies(version):
        advice = "a re-render needs a version that is DONE and has stems; add stems first (AddStems)"
        raise _no_base(job, version, advice)
    return version


def _no_base(job: JobRecord, version: VersionRecord, advice: str) -> Refusal:
    text = (
        f"version {version.number} of job {job.job_id} is {version.state_name} "
        f"and has {'a' if version.has_stems else 'no'} ZIP: {advice}"
    )
    return wrong_state(job.job_id, version.number, version.state_name, text)


def _check_change(
    base: VersionRecord,
    request: render_pb2.RerenderStemRequest,
    prompt: str,
    tempo_map: brief_pb2.TempoMap | None,
    key: str,
) -> None:
    """Raise INVALID_FIELD where a take would get another grid or key, or where nothing would change."""
    found = [
        FieldViolation(name, "must be empty for a take, which keeps its own; only an upload has none")
        for name, value in (("tempo_map", tempo_map), ("key", key))
        if value
    ]
    old = base.message
    made_by_plan = old.rerendered_stem in {brief_pb2.STEM_UNSPECIFIED, request.stem}
    same = request.persona_id in {"", old.brief.persona_id} and prompt in {"", old.brief.prompt}
    nothing_given = not request.persona_id and not prompt and not request.new_part
    if not request.HasField("seed") and (nothing_given or (same and made_by_plan and not request.new_part)):
        text = f"persona, prompt, seed or new_part must differ from v{base.number}, got the same"
        found.append(FieldViolation("persona_id", text))
    check(found)


def _check_upload(
    request: render_pb2.RerenderStemRequest, prompt: str, tempo_map: brief_pb2.TempoMap | None, key: str
) -> None:
    """The caller supplies what an upload lacks."""
    analyze = "(sonichaos analyze estimates it)"
    required = (
        ("persona_id", request.persona_id, "must name a persona: an upload has none"),
        ("prompt", prompt, "must not be empty: an upload has no prompt"),
        ("tempo_map", tempo_map, f"must be given, or bpm: an upload has no tempo map {analyze}"),
        ("key", key, f"must be given: an upload has no key {analyze}"),
    )
    check([FieldViolation(name, text) for name, value, text in required if not value])


def _check_region(brief: brief_pb2.ResolvedBrief, request: render_pb2.RerenderStemRequest) -> None:
    if not request.from_bar:
        return
    bars = len(music.bars_s(brief.tempo_map, brief.seconds))
    if not 1 <= request.from_bar <= request.to_bar <= bars:
        text = f"from_bar and to_bar must be bars from 1 to {bars}, got {request.from_bar} to {request.to_bar}"
        raise invalid("from_bar", text)
