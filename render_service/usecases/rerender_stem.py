"""Where a re-render becomes the next version of a job: base, stem and change checked, planned, and durable before the answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from render_service.api import messages as wire
from render_service.audited import AUDIT_STEMS, audit_row
from render_service.brief import SEED_STREAMS, Source
from render_service.music.harmony import draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from render_service.personas.persona import Persona
from render_service.plan import Plan, plan_from_json, plan_json
from render_service.rerender import Base, Region, Rerender
from render_service.usecases.create_render import RenderAdmission, checked_request_id, request_digest
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.names import StemName
from servicekit.errors import DataLoss, FailedPrecondition, FieldViolation, InvalidFields
from servicekit.journal import AcceptResult, Job, JobState, Journal, NewVersion, OwningService, Request, Version
from servicekit.journal.reading import pick_version

RPC = "RerenderStem"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What the caller wants changed in which stem. Empty and None: as in the base version. ``base_version`` 0: the newest."""

    job_id: str
    base_version: int
    stem: StemName
    persona_id: str
    prompt: str
    seed: int | None
    from_noise: bool
    strength: float
    region: Region | None
    allow_drift: bool
    tempo_map: TempoMap | None
    key: Key | None


@dataclass(frozen=True, kw_only=True)
class RerenderAdmission:
    """Accepts re-renders. ``drums`` is the operator's switch; ``renders`` knows renderer, personas and the queue's limit."""

    renders: RenderAdmission
    drums: bool

    @property
    def journal(self) -> Journal:
        """The installation's journal."""
        return self.renders.journal

    def known(self, tenant: str, request_id: str, text: str) -> tuple[Request, AcceptResult | None]:
        """The request, and what it made before. ``text`` is its content in one spelling. Raises AlreadyExists, InvalidFields."""
        request = Request(
            tenant=tenant,
            rpc=RPC,
            request_id=checked_request_id(request_id) or None,
            digest=request_digest(RPC, text),
        )
        return request, self.journal.find_existing(request)

    def accept(self, request: Request, change: Change) -> AcceptResult:
        """The job with its new version.

        Raises InvalidFields, NotFound, FailedPrecondition SWITCHED_OFF, WRONG_STATE, INPUT_MISSING or UNSUPPORTED_BY_RENDERER,
        DataLoss where row and audit row disagree, AlreadyExists and ResourceExhausted.
        """
        if change.stem is StemName.DRUMS and not self.drums:
            raise FailedPrecondition(
                "drums carry the groove, so they are re-rendered only where the operator's switch drums_rerender is on "
                "(SONICHAOS_DRUMS_RERENDER=true); sonichaos drift-report says whether it may open",
                reason="SWITCHED_OFF",
                metadata={"setting": "drums_rerender"},
            )
        job = self.journal.job(request.tenant, change.job_id)
        version = _base_version(job, change.base_version)
        base = self._base(request.tenant, version)
        before = _plan_of(version, change)
        plan = self._changed(before, change, version)
        _check_region(plan, change.region)
        original = job.versions[0].files
        latents = original.get("latents")
        if not change.from_noise:
            self._refuse_without_start()
        order = Rerender(
            base=base,
            stem=change.stem,
            latents=_kept(latents) if latents and not change.from_noise else None,
            recording=_kept(original["bounce"]) if not latents and not change.from_noise else None,
            strength=1.0 if change.from_noise else change.strength,
            region=change.region,
            allow_drift=change.allow_drift,
        )
        return self.journal.accept_version(
            NewVersion(
                job_id=job.job_id,
                request=request,
                base_version=version.number,
                rerendered_stem=change.stem,
                brief=_brief(version, plan, change),
                plan={**plan_json(plan), "rerender": order.facts()},
                stems_wanted=True,
                stem_mode=version.stem_mode,
                audio_seconds=plan.seconds,
                owner=OwningService.RENDER,
            ),
            limit=self.renders.queue_limit,
        )

    def _refuse_without_start(self) -> None:
        info = self.renders.renderer_info
        if not info.supports_init_latents:
            raise FailedPrecondition(
                f"the renderer {info.name!r} cannot start from an original; ask with from_noise",
                reason="UNSUPPORTED_BY_RENDERER",
                metadata={"field": "from_noise", "renderer": info.name},
            )

    def _base(self, tenant: str, version: Version) -> Base:
        """ZIP and files of the base, each with the digest that the audit row has."""
        row = audit_row(self.journal, tenant, version.job_id, version.number, AUDIT_STEMS)
        body = json.loads(row.body_json)
        audited = {f"{stem}.wav": sha256 for stem, sha256 in body["stems"].items()}
        audited |= {"bounce.wav": body["bounce"]["sha256"], "manifest.json": body["manifestSha256"]}
        stored = version.files["zip"]
        _compare(stored["key"], body["zip"]["sha256"], stored["sha256"])
        entries = []
        for entry in version.files["zipEntries"]:
            _compare(f"{stored['key']} ({entry['name']})", audited[entry["name"]], entry["sha256"])
            size, offset = int(entry["sizeBytes"]), int(entry["offsetBytes"])
            entries.append(
                ZipEntry(name=entry["name"], offset_bytes=offset, size_bytes=size, sha256=audited[entry["name"]])
            )
        return Base(version=version.number, zip=_kept(stored), entries=tuple(entries))

    def _changed(self, before: Plan | None, change: Change, version: Version) -> Plan:
        """The base's plan with what the caller changed; chords, grid and length stay."""
        persona = self.renders.personas.get(change.persona_id) if change.persona_id else None
        seed = secrets.randbits(32) if change.seed is None else change.seed
        info = self.renders.renderer_info
        steps = self.renders.steps or info.default_steps
        if before is None:
            before = _first_plan(change, persona, seed, version)
        prompt = change.prompt or before.prompt
        if not prompt:
            raise FailedPrecondition(
                f"the prompt of v{version.number} was erased; give one",
                reason="INPUT_MISSING",
                metadata={"missing": "prompt"},
            )
        if not info.min_seconds <= before.seconds <= info.max_seconds:
            raise FailedPrecondition(
                f"the renderer {info.name!r} makes {info.min_seconds:g} to {info.max_seconds:g} seconds, "
                f"the version has {before.seconds:g}",
                reason="UNSUPPORTED_BY_RENDERER",
                metadata={"field": "job_id", "renderer": info.name},
            )
        plan = replace(before, prompt=prompt, seed=seed, steps=steps, guidance=info.default_guidance)
        if persona is None:
            return plan
        return replace(
            plan, persona_id=persona.id, persona_prefix=persona.prefix, persona_embedding=tuple(persona.embedding)
        )


def _base_version(job: Job, number: int) -> Version:
    """The version named, or the newest that will do. Raises NotFound and FailedPrecondition WRONG_STATE."""
    version = pick_version(job, number, _usable)
    if not _usable(version):
        raise _wrong_state(
            version, "a re-render starts from a version that is done and has stems; add stems first (AddStems)"
        )
    return version


def _usable(version: Version) -> bool:
    return version.state is JobState.DONE and "zip" in version.files


def _plan_of(version: Version, change: Change) -> Plan | None:
    """The plan that a take's version was made by; None for an upload. Raises InvalidFields where nothing would change."""
    if "upload" in version.plan:
        return None
    given = [("tempo_map", change.tempo_map), ("key", change.key)]
    wrong = [
        FieldViolation(name, "a take keeps its own grid and key; give it only for an upload, which has none")
        for name, value in given
        if value is not None
    ]
    plan = plan_from_json(version.plan)
    # A later version's plan made one of its stems; of the others it may well be something new.
    made_by_plan = version.rerendered_stem in {None, change.stem}
    same = change.persona_id in {"", plan.persona_id} and change.prompt in {"", plan.prompt}
    nothing = not change.persona_id and not change.prompt
    if change.seed is None and (nothing or (same and made_by_plan)):
        wrong.append(
            FieldViolation("persona_id", f"wants another persona, prompt or a seed; all are those of v{version.number}")
        )
    if wrong:
        raise InvalidFields(wrong)
    return plan


def _first_plan(change: Change, persona: Persona | None, seed: int, version: Version) -> Plan:
    """The plan of an upload's first re-render: the caller says what it cannot know, and chords are drawn in the key."""
    wanted = (
        ("persona_id", persona, "an upload has no persona: name one"),
        ("prompt", change.prompt, "an upload has no prompt: give one"),
        (
            "tempo_map",
            change.tempo_map,
            "an upload has no grid: give bpm or tempo_map (sonichaos analyze estimates it)",
        ),
        ("key", change.key, "an upload has no key: give one (sonichaos analyze estimates it)"),
    )
    missing = [FieldViolation(name, words) for name, value, words in wanted if not value]
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
    )


def _check_region(plan: Plan, region: Region | None) -> None:
    if region is None:
        return
    bars = len(plan.tempo_map.bars_s(plan.seconds))
    if not 1 <= region.from_bar <= region.to_bar <= bars:
        raise InvalidFields(
            [
                FieldViolation(
                    "from_bar", f"wants bars of 1 to {bars}, both included, got {region.from_bar} to {region.to_bar}"
                )
            ]
        )


def _brief(version: Version, plan: Plan, change: Change) -> dict[str, Any]:
    """The base's ResolvedBrief as proto-JSON, with what was changed. The original's expiry is not this version's."""
    brief = {key: value for key, value in version.brief.items() if key != "expireTime"}
    brief |= {
        "prompt": plan.prompt,
        "personaId": plan.persona_id,
        "seed": plan.seed,
        "seedSource": Source.DRAWN.value if change.seed is None else Source.CALLER.value,
        "stems": True,
    }
    if change.tempo_map is not None:
        brief |= wire.grid_brief_json(plan.tempo_map, plan.key)
    return brief


def _kept(stored: Mapping[str, Any]) -> StoredFile:
    return StoredFile(key=stored["key"], sha256=stored["sha256"], size_bytes=int(stored["sizeBytes"]))


def _compare(what: str, audited: str, stored: str) -> None:
    if audited != stored:
        raise DataLoss(
            f"the row says that {what} has SHA-256 {stored}, the audit row {audited}; restore the journal from a copy",
            metadata={"key": what, "expected_sha256": audited, "found_sha256": stored},
        )


def _wrong_state(version: Version, advice: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"version {version.number} of job {version.job_id} is {version.state} "
        f"and has {'a' if 'zip' in version.files else 'no'} ZIP: {advice}",
        reason="WRONG_STATE",
        metadata={"job_id": version.job_id, "version": str(version.number), "state": str(version.state)},
    )
