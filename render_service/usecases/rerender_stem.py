"""RerenderStem: base version, stem and change are checked, planned and stored as the next version of a job."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from jobs_service.admission_hook import ProposedWork
from jobs_service.journal_json import VersionFiles, tempo_and_key_json
from render_service.audit import audit_row
from render_service.brief import DEFAULT_TARGET_LUFS, SEED_STREAMS, Source
from render_service.composer.new_part import with_part_of
from render_service.composer.planner import ScoreRequest
from render_service.composer.score import Score
from render_service.music.harmony import draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from render_service.personas.persona import Persona
from render_service.plan import Plan, plan_from_json, plan_json
from render_service.rerender import DEFAULT_STRENGTH, BarRange, Base, Rerender
from render_service.usecases.admission import Admission
from servicekit.access.limits import limits_of_current_caller
from servicekit.delivery.audit_body import AUDIT_STEMS, STEMS_BODY
from servicekit.delivery.names import StemName
from servicekit.errors import DataLoss, FailedPrecondition, FieldViolation, InvalidFields
from servicekit.journal import AcceptResult, Job, JobState, Journal, NewVersion, OwningService, Request, Version
from servicekit.journal.admission import check_not_deleted
from servicekit.journal.reading import pick_version

_METHOD = "/sonichaos.render.v1.RenderService/RerenderStem"
_MORE_PART_SEEDS = 7

MAX_VERSIONS = 500


@dataclass(frozen=True, kw_only=True)
class StemChange:
    """What the caller changes about one stem. An empty or None value stays as in the base version.

    ``base_version`` 0 is the newest version with stems. ``strength`` is the share of noise in the init latents; None: the service
    decides. ``new_part``: the stem's notes are composed anew.
    """

    job_id: str
    base_version: int
    stem: StemName
    persona_id: str
    prompt: str
    seed: int | None
    from_noise: bool
    strength: float | None
    region: BarRange | None
    allow_drift: bool
    tempo_map: TempoMap | None
    key: Key | None
    new_part: bool = False

    def starts_from_noise(self, plan: Plan) -> bool:
        """Whether denoising of ``plan`` starts from noise alone: if asked to, or by default where the score gives the notes.

        The original's latents would only add its persona's sound (docs/decisions/0014-rerender.md).
        """
        return self.from_noise or (self.strength is None and plan.score is not None)


@dataclass(frozen=True, kw_only=True)
class RerenderAdmission(Admission):
    """Turns changes of a stem into versions. ``allow_drums`` is the operator's setting drums_rerender.

    A job has at most ``max_versions``: with all of them it is one response, which has a limit of bytes.
    """

    rpc: ClassVar[str] = "RerenderStem"

    allow_drums: bool
    max_versions: int = MAX_VERSIONS

    def rerender_stem(self, request: Request, change: StemChange, *, priority: int = 0) -> AcceptResult:
        """Accept a re-render as the job's next version. A retry of ``request`` returns the version that it created.

        Raises InvalidFields, NotFound, FailedPrecondition SWITCHED_OFF, WRONG_STATE, INPUT_MISSING or UNSUPPORTED_BY_RENDERER,
        DataLoss where row and audit row disagree, AlreadyExists, ResourceExhausted, and as the hook.
        """
        if change.stem is StemName.DRUMS and not self.allow_drums:
            raise _drums_switched_off()
        job = self.journal.job(request.tenant, change.job_id)
        if len(job.versions) >= self.max_versions:
            advice = f"a job has at most {self.max_versions} versions; render a new take"
            raise _wrong_state(job.versions[-1], advice)
        version = _pick_base_version(job, change.base_version)
        base = _read_base(self.journal, request.tenant, version)
        plan = self._make_plan(request.tenant, version, change)
        self._check_renderer(plan, change)
        self._check_score(version, plan, change)
        _check_region(plan, change.region)
        if change.new_part:
            plan = self.with_new_part(plan, change, original=job.versions[0])
        rerender = _make_rerender(base, change, plan, original=job.versions[0])
        new = NewVersion(
            job_id=job.job_id,
            request=request,
            base_version=version.number,
            rerendered_stem=change.stem,
            brief=_make_brief(version, plan, change),
            plan={**plan_json(plan), "rerender": rerender.facts()},
            stems_wanted=True,
            stem_mode=version.stem_mode,
            audio_seconds=plan.seconds,
            owner=OwningService.RENDER,
            priority=priority,
        )
        self.hook.check(ProposedWork.of_rerender(_METHOD, new))
        return self.journal.accept_version(
            new, limit=self.queue_limit, tenant_limits=limits_of_current_caller(self.limits)
        )

    def _make_plan(self, tenant: str, version: Version, change: StemChange) -> Plan:
        """The base version's plan with what the caller changes. Chords, tempo map, key and length stay."""
        base_plan = None if "upload" in version.plan else plan_from_json(version.plan)
        if base_plan is not None:
            _check_change(base_plan, version, change)
        persona = self.personas.get(tenant, change.persona_id) if change.persona_id else None
        seed = secrets.randbits(32) if change.seed is None else change.seed
        plan = _plan_upload(change, persona, seed, version) if base_plan is None else base_plan
        prompt = change.prompt or plan.prompt
        if not prompt:
            raise FailedPrecondition(
                f"the prompt of v{version.number} was erased; give one",
                reason="INPUT_MISSING",
                metadata={"missing": "prompt"},
            )
        guidance = self.renderer_info.default_guidance
        plan = replace(plan, prompt=prompt, seed=seed, steps=self.render_steps, guidance=guidance)
        if self.planner is None:
            plan = replace(
                plan, score=None
            )  # the loaded renderer does not play the notes of the one that made the take
        if persona is None:
            return plan
        return replace(
            plan, persona_id=persona.id, persona_prefix=persona.prefix, persona_embedding=tuple(persona.embedding)
        )

    def _check_renderer(self, plan: Plan, change: StemChange) -> None:
        """Refuse what the loaded renderer cannot honour: it may be another one than that of the base version."""
        info = self.renderer_info
        if not change.starts_from_noise(plan) and not info.supports_init_latents:
            raise self.unsupported("from_noise", "cannot start from the original's latents; ask with from_noise")
        if not info.min_seconds <= plan.seconds <= info.max_seconds:
            limits = f"{info.min_seconds:g} to {info.max_seconds:g} seconds"
            raise self.unsupported("brief.seconds", f"makes takes of {limits}, the base version has {plan.seconds:g}")
        field = "tempo_map" if change.tempo_map is not None else "brief.tempo_map"
        self.check_tempo_map(plan.tempo_map, field=field)
        size = len(plan.persona_embedding)
        if size != info.embedding_size:
            raise self.unsupported(
                "persona_id",
                f"needs persona embeddings of {info.embedding_size} values, the base version has {size}; name a persona",
            )

    def _check_score(self, version: Version, plan: Plan, change: StemChange) -> None:
        """Refuse a new part without a score, and the caller's score where the loaded renderer plays none."""
        if self.planner is None and change.new_part:
            raise self.unsupported("new_part", "plays no scores; leave new_part unset or load another renderer")
        if change.new_part and plan.score is None:
            text = f"must be false: v{version.number} has no score, as uploads and takes of renderers that play none"
            raise InvalidFields([FieldViolation("new_part", text)])
        if self.planner is None and "score" in version.brief:
            raise self.unsupported("brief.score", "plays no scores, and the take was made from the caller's")

    def with_new_part(self, plan: Plan, change: StemChange, *, original: Version) -> Plan:
        """The plan with the stem's notes composed anew, in the form of the original and within the region.

        A seed that gives the old notes again is followed by others drawn from it, so that the part is another one where the rules
        have one: a bass has few patterns.
        """
        old, planner = plan.score, self.planner
        if old is None or planner is None:
            return plan
        request = ScoreRequest(
            prompt=plan.prompt,
            persona_embedding=plan.persona_embedding,
            seed=plan.seed,
            form_seed=plan_from_json(original.plan).seed,
            seconds=plan.seconds,
            tempo_map=plan.tempo_map,
            key=plan.key,
            chords=plan.chords,
            ending_s=old.ending_s,
            instrumental=plan.instrumental,
        )
        rng = np.random.default_rng([plan.seed, SEED_STREAMS["new part"]])
        span, tones = _span_s(plan, change.region), _tones(old, change.stem)
        for seed in (plan.seed, *rng.integers(1 << 32, size=_MORE_PART_SEEDS)):
            composed = planner.write_score(replace(request, seed=int(seed)))
            score = with_part_of(old, composed, change.stem, span)
            if _tones(score, change.stem) != tones:
                return replace(plan, score=score)
        return plan


def _tones(score: Score, stem: StemName) -> set[tuple[float, int]]:
    return {(event.start_s, event.pitch) for event in score.events if event.stem == stem}


def _drums_switched_off() -> FailedPrecondition:
    return FailedPrecondition(
        "drums carry the groove, so they are re-rendered only if the operator sets drums_rerender "
        "(SONICHAOS_DRUMS_RERENDER=true); sonichaos drift-report shows whether the measurements support it",
        reason="SWITCHED_OFF",
        metadata={"setting": "drums_rerender"},
    )


def _pick_base_version(job: Job, number: int) -> Version:
    """The version named, or the newest that is done and has stems. Raises NotFound and FailedPrecondition WRONG_STATE."""
    version = pick_version(job, number, _has_stems)
    check_not_deleted(job, version, "re-render a stem of another version")
    if not _has_stems(version):
        raise _wrong_state(
            version, "a re-render needs a version that is DONE and has stems; add stems first (AddStems)"
        )
    return version


def _has_stems(version: Version) -> bool:
    return version.state is JobState.DONE and "zip" in version.files


def _read_base(journal: Journal, tenant: str, version: Version) -> Base:
    """The base version's ZIP and its entries, checked against the audit row. Raises DataLoss, NotFound."""
    row = audit_row(journal, tenant, version.job_id, version.number, AUDIT_STEMS)
    body = STEMS_BODY.read(row.body())
    audited = {f"{stem}.wav": sha256 for stem, sha256 in body.stems.items()}
    audited |= {"bounce.wav": body.bounce.sha256, "manifest.json": body.manifest_sha256}
    files = VersionFiles.read(version.files)
    if files.zip is None:
        raise _wrong_state(version, "a re-render needs stems; add stems first (AddStems)")
    _check_digest(files.zip.key, body.zip.sha256, files.zip.sha256)
    for entry in files.zip_entries:
        _check_digest(f"{files.zip.key} ({entry.name})", audited[entry.name], entry.sha256)
    return Base(version=version.number, zip=files.zip, entries=files.zip_entries)


def _check_change(base_plan: Plan, version: Version, change: StemChange) -> None:
    """Raise InvalidFields where a take would get another grid or key, or where nothing would change."""
    given = [("tempo_map", change.tempo_map), ("key", change.key)]
    violations = [
        FieldViolation(name, "must be empty for a take, which keeps its own; only an upload has none")
        for name, value in given
        if value is not None
    ]
    # The plan of a later version made one of its stems; for the other stems the same values are a change.
    made_by_plan = version.rerendered_stem in {None, change.stem}
    same = change.persona_id in {"", base_plan.persona_id} and change.prompt in {"", base_plan.prompt}
    nothing_given = not change.persona_id and not change.prompt and not change.new_part
    if change.seed is None and (nothing_given or (same and made_by_plan and not change.new_part)):
        text = f"persona, prompt, seed or new_part must differ from v{version.number}, got the same"
        violations.append(FieldViolation("persona_id", text))
    if violations:
        raise InvalidFields(violations)


def _plan_upload(change: StemChange, persona: Persona | None, seed: int, version: Version) -> Plan:
    """The plan of an upload's first re-render. The caller supplies what it lacks; chords are drawn in the key."""
    analyze = "(sonichaos analyze estimates it)"
    required = (
        ("persona_id", persona, "must name a persona: an upload has none"),
        ("prompt", change.prompt, "must not be empty: an upload has no prompt"),
        ("tempo_map", change.tempo_map, f"must be given, or bpm: an upload has no tempo map {analyze}"),
        ("key", change.key, f"must be given: an upload has no key {analyze}"),
    )
    missing = [FieldViolation(name, text) for name, value, text in required if not value]
    if missing or persona is None or change.tempo_map is None or change.key is None:
        raise InvalidFields(missing)
    rng = np.random.default_rng([seed, SEED_STREAMS["chords"]])
    seconds = version.audio_seconds
    return Plan(
        prompt=change.prompt,
        persona_id=persona.id,
        persona_prefix=persona.prefix,
        persona_embedding=tuple(persona.embedding),
        seed=seed,
        seconds=seconds,
        tempo_map=change.tempo_map,
        key=change.key,
        chords=draw_chords(rng, key=change.key, tempo_map=change.tempo_map, seconds=seconds),
        instrumental=False,
        steps=1,
        guidance=1.0,
        target_lufs=DEFAULT_TARGET_LUFS,
    )


def _check_region(plan: Plan, region: BarRange | None) -> None:
    bars = len(plan.tempo_map.bars_s(plan.seconds))
    if region is not None and not 1 <= region.from_bar <= region.to_bar <= bars:
        text = f"from_bar and to_bar must be bars from 1 to {bars}, got {region.from_bar} to {region.to_bar}"
        raise InvalidFields([FieldViolation("from_bar", text)])


def _span_s(plan: Plan, region: BarRange | None) -> tuple[float, float]:
    """Start and end of what is replaced; the whole take also has what comes before its first downbeat."""
    if region is None:
        return 0.0, plan.seconds
    edges = [float(second) for second in plan.tempo_map.bars_s(plan.seconds)] + [plan.seconds]
    return edges[region.from_bar - 1], edges[region.to_bar]


def _make_rerender(base: Base, change: StemChange, plan: Plan, *, original: Version) -> Rerender:
    """Unless denoising starts from noise, it starts from the original's latents. An upload has none: its recording is encoded."""
    from_noise = change.starts_from_noise(plan)
    files = VersionFiles() if from_noise else VersionFiles.read(original.files)
    return Rerender(
        base=base,
        stem=change.stem,
        latents=files.latents,
        recording=files.bounce if files.latents is None else None,
        strength=1.0 if from_noise else change.strength or DEFAULT_STRENGTH,
        region=change.region,
        allow_drift=change.allow_drift,
        match_mix=True,
        new_part=change.new_part,
        loop=plan.loop,
        prefer_new_sound=True,
    )


def _make_brief(version: Version, plan: Plan, change: StemChange) -> dict[str, Any]:
    """The base version's ResolvedBrief as proto-JSON with the changes, without the original's expiry."""
    brief = {key: value for key, value in version.brief.items() if key != "expireTime"}
    brief |= {
        "prompt": plan.prompt,
        "personaId": plan.persona_id,
        "seed": plan.seed,
        "seedSource": Source.DRAWN.value if change.seed is None else Source.CALLER.value,
        "stems": True,
    }
    if change.tempo_map is not None:
        brief |= tempo_and_key_json(plan.tempo_map, str(plan.key), source=Source.CALLER.value)
    return brief


def _check_digest(what: str, audited: str, stored: str) -> None:
    if audited != stored:
        raise DataLoss(
            f"the journal's row must have the SHA-256 {audited} of the audit row for {what}, got {stored}; restore the journal "
            "from a backup",
            metadata={"key": what, "expected_sha256": audited, "found_sha256": stored},
        )


def _wrong_state(version: Version, advice: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"version {version.number} of job {version.job_id} is {version.state} "
        f"and has {'a' if 'zip' in version.files else 'no'} ZIP: {advice}",
        reason="WRONG_STATE",
        metadata={"job_id": version.job_id, "version": str(version.number), "state": str(version.state)},
    )
