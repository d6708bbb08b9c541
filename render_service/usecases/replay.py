"""ReplayTake: a version is rendered again from what its audit row holds or names, and compared with the stored bounce."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from jobs_service.journal_json import VersionFiles
from render_service.audit import RERENDER, TAKE_BOUNCE, BounceFacts, RerenderBody, TakeBounceBody, audit_row
from render_service.bounce import Bounce, make_bounce, read_bounce
from render_service.denoise import denoise
from render_service.renderers.renderer import Renderer, no_report
from render_service.rerender import Rerender, read_init_latents
from render_service.separation.client import SeparationClient
from render_service.separation.replace import compare_rerender
from render_service.vocode import vocode
from servicekit.delivery.audit_body import AUDIT_BOUNCE, AUDIT_STEMS
from servicekit.delivery.manifest import SeparatorFacts
from servicekit.errors import FailedPrecondition
from servicekit.gpu_lock import GpuLock
from servicekit.journal import AuditRow, Journal, Version
from servicekit.journal.reading import pick_version
from servicekit.store.object_store import ObjectStore

CLOSE_DBFS = -60.0
"""Largest difference of a sample for the outcome CLOSE (docs/decisions/0007-determinism.md)."""


class ReplayOutcome(Enum):
    """How a replayed bounce compares with the stored one."""

    EXACT = "exact"
    CLOSE = "close"
    DIFFERENT = "different"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """``difference_dbfs`` is the largest difference of a sample in dBFS, None where all samples are equal."""

    outcome: ReplayOutcome
    difference_dbfs: float | None
    stored_sha256: str
    replayed_sha256: str
    fingerprint_differences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Replayer:
    """Replays versions on the loaded renderer. It shares the GPU lock with the jobs."""

    journal: Journal
    store: ObjectStore
    renderer: Renderer
    gpu_lock: GpuLock
    fingerprint: Mapping[str, str]
    separation: SeparationClient

    def replay(self, tenant: str, job_id: str, number: int) -> Replay:
        """Replay a version; 0 is the newest that has an audit row.

        Raises NotFound, FailedPrecondition INPUT_MISSING naming what is missing, and DataLoss for a changed bounce.
        """
        version = pick_version(self.journal.job(tenant, job_id), number, lambda version: bool(version.audit_digests))
        if version.rerendered_stem:
            return self._replay_rerender(tenant, version)
        return self._replay_take(tenant, version)

    def _replay_take(self, tenant: str, version: Version) -> Replay:
        row = audit_row(self.journal, tenant, version.job_id, version.number, AUDIT_BOUNCE)
        if "upload" in version.plan:
            raise _input_missing("a renderer: the version is an upload")
        body = TAKE_BOUNCE.read(json.loads(row.body_json))
        facts = self._check_inputs(row, body)
        if "bounce" not in version.files:
            raise _input_missing("the stored bounce")
        stored, replayed = read_bounce(version, facts, self.store), self._render(facts)
        return _make_replay(
            _largest_difference(stored, replayed),
            stored_sha256=stored.sha256,
            replayed_sha256=replayed.sha256,
            fingerprint_differences=_differences(body.fingerprint, self.fingerprint),
        )

    def _replay_rerender(self, tenant: str, version: Version) -> Replay:
        """Render the new mix again; separation_service replaces the stem again and compares the bounce."""
        row = audit_row(self.journal, tenant, version.job_id, version.number, AUDIT_STEMS)
        body = RERENDER.read(json.loads(row.body_json))
        facts = self._check_inputs(row, body)
        rerender = replace(body.order, allow_drift=True)
        stored = VersionFiles.read(version.files).bounce
        if stored is None:
            raise _input_missing("the stored bounce")
        for file in rerender.input_files:
            if self.store.stat(file.key) is None:
                raise _input_missing(file.key)
        self._check_separator(body.separator)
        mix = self._render(facts.with_rerender(rerender), rerender)
        found = compare_rerender(mix, rerender, stored, separation=self.separation, work=_NeverStopped())
        recorded = {**body.fingerprint, **_prefixed(body.separation_fingerprint)}
        return _make_replay(
            found.largest_difference,
            stored_sha256=found.stored_sha256,
            replayed_sha256=found.replayed_sha256,
            fingerprint_differences=_differences(recorded, {**self.fingerprint, **_prefixed(found.fingerprint)}),
        )

    def _render(self, facts: BounceFacts, rerender: Rerender | None = None) -> Bounce:
        with self.gpu_lock.held():
            init_latents = read_init_latents(rerender, self.renderer, self.store) if rerender else None
            latents = denoise(self.renderer, facts.plan, no_report, init_latents)
            waveform = vocode(self.renderer, latents, facts.plan, no_report)
        return make_bounce(waveform, replace(facts, processing=self.renderer.info.processing))

    def _check_inputs(self, row: AuditRow, body: TakeBounceBody | RerenderBody) -> BounceFacts:
        """The facts of a row whose prompt is there and whose weights are loaded. Raises FailedPrecondition INPUT_MISSING."""
        if row.prompt is None:
            raise _input_missing("the prompt, which was erased")
        loaded = {model.role: model.sha256 for model in self.renderer.info.models}
        recorded = body.renderer.digests
        changed = sorted(role for role in recorded if loaded.get(role) != recorded[role])
        if changed:
            raise _input_missing(f"the weights of {body.renderer.name!r} for {', '.join(changed)}: others are loaded")
        return BounceFacts.audited(row, body, row.prompt)

    def _check_separator(self, recorded: SeparatorFacts) -> None:
        loaded = self.separation.separator()
        if loaded.weights_sha256 != recorded.weights_sha256:
            raise _input_missing(f"the weights of the separator {recorded.name!r}: those of {loaded.name!r} are loaded")


class _NeverStopped:
    """A replay ends with its call; nothing else cancels it."""

    def check(self) -> None:
        """Never raises."""

    def on_stop(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """Never calls ``callback``."""
        _ = callback
        return nullcontext()


def _make_replay(
    largest_difference: int, *, stored_sha256: str, replayed_sha256: str, fingerprint_differences: tuple[str, ...]
) -> Replay:
    """``largest_difference`` of a sample is in units of 2^-23."""
    dbfs = 20.0 * float(np.log10(largest_difference / 2**23)) if largest_difference else None
    close = ReplayOutcome.CLOSE if dbfs is not None and dbfs <= CLOSE_DBFS else ReplayOutcome.DIFFERENT
    return Replay(
        outcome=ReplayOutcome.EXACT if dbfs is None else close,
        difference_dbfs=dbfs,
        stored_sha256=stored_sha256,
        replayed_sha256=replayed_sha256,
        fingerprint_differences=fingerprint_differences,
    )


def _largest_difference(stored: Bounce, replayed: Bounce) -> int:
    if stored.pcm.shape != replayed.pcm.shape:
        return 2**24
    return int(np.abs(stored.pcm.astype(np.int64) - replayed.pcm).max())


def _prefixed(separation_fingerprint: Mapping[str, str]) -> dict[str, str]:
    return {f"separation.{name}": value for name, value in separation_fingerprint.items()}


def _differences(recorded: Mapping[str, str], current: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in {*recorded, *current} if recorded.get(name) != current.get(name)))


def _input_missing(what: str) -> FailedPrecondition:
    return FailedPrecondition(f"a replay needs {what}", reason="INPUT_MISSING", metadata={"missing": what})
