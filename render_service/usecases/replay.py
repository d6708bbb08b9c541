"""Render a take again from what its audit row holds or names, and compare."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from jobs_service.journal_json import VersionFiles
from render_service.audit import RERENDER, TAKE_BOUNCE, BounceFacts, RerenderBody, TakeBounceBody, audit_row
from render_service.bounce import make_bounce, read_bounce
from render_service.plan import Plan
from render_service.renderers.renderer import Renderer, Waveform
from render_service.rerender import Rerender, read_start
from render_service.separation.client import SeparationClient
from render_service.separation.replace import compare_replacement, make_mix
from servicekit.delivery.audit_body import AUDIT_BOUNCE, AUDIT_STEMS
from servicekit.delivery.manifest import SeparatorFacts
from servicekit.errors import FailedPrecondition
from servicekit.gpu_lock import GpuLock
from servicekit.journal import AuditRow, Journal, Version
from servicekit.journal.reading import pick_version
from servicekit.store.object_store import ObjectStore

CLOSE_DBFS = -60.0
"""Difference up to which another machine's render counts as the same take; chosen, see docs/decisions/0007-determinism.md."""


class ReplayOutcome(Enum):
    """How a replay compares."""

    EXACT = "exact"
    CLOSE = "close"
    DIFFERENT = "different"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """``difference_dbfs`` is the largest difference of a sample against full scale, None when there is none."""

    outcome: ReplayOutcome
    difference_dbfs: float | None
    stored_sha256: str
    replayed_sha256: str
    fingerprint_differences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Replayer:
    """Renders again on this service's renderer, one at a time, sharing the device with the jobs."""

    journal: Journal
    store: ObjectStore
    renderer: Renderer
    gpu_lock: GpuLock
    fingerprint: Mapping[str, str]
    separation: SeparationClient

    def replay(self, tenant: str, job_id: str, number: int) -> Replay:
        """Replay a version; 0 is the newest that has an audit row.

        Raises NotFound, FailedPrecondition INPUT_MISSING naming what is missing, DataLoss for a changed bounce.
        """
        version = pick_version(self.journal.job(tenant, job_id), number, lambda version: bool(version.audit_digests))
        if version.rerendered_stem:
            return self._replay_rerender(tenant, version)
        row = audit_row(self.journal, tenant, job_id, version.number, AUDIT_BOUNCE)
        if "upload" in version.plan:
            raise _missing("a renderer that made it: it is an upload")
        body = TAKE_BOUNCE.read(json.loads(row.body_json))
        prompt = self._prompt(row, body)
        if "bounce" not in version.files:
            raise _missing("the stored bounce")
        facts = BounceFacts.audited(row, body, prompt)
        stored = read_bounce(version, facts, self.store)
        waveform = self._sound(facts.plan)
        replayed = make_bounce(waveform, replace(facts, processing=self.renderer.info.processing))
        same_shape = stored.pcm.shape == replayed.pcm.shape
        largest = int(np.abs(stored.pcm.astype(np.int64) - replayed.pcm).max()) if same_shape else 2**24
        return _compared(largest, stored.sha256, replayed.sha256, _differences(body.fingerprint, self.fingerprint))

    def _replay_rerender(self, tenant: str, version: Version) -> Replay:
        """The new mix is rendered again, and its stem put into the base version again, over there."""
        row = audit_row(self.journal, tenant, version.job_id, version.number, AUDIT_STEMS)
        body = RERENDER.read(json.loads(row.body_json))
        prompt = self._prompt(row, body)
        order = replace(body.order, allow_drift=True)
        for file in order.needs:
            if self.store.stat(file.key) is None:
                raise _missing(file.key)
        self._refuse_other_separator(body.separator)
        facts = BounceFacts.audited(row, body, prompt)
        waveform = self._sound(facts.plan, order)
        mix = make_mix(waveform, replace(facts, processing=self.renderer.info.processing), order)
        bounce = VersionFiles.read(version.files).bounce
        if bounce is None:
            raise _missing("the stored bounce")
        found = compare_replacement(mix, facts, order, bounce, separation=self.separation, progress=_Unstopped())
        then = {**body.fingerprint, **{f"separation.{k}": v for k, v in body.separation_fingerprint.items()}}
        now = {**self.fingerprint, **{f"separation.{k}": v for k, v in found.fingerprint.items()}}
        return _compared(found.largest, found.stored_sha256, found.replayed_sha256, _differences(then, now))

    def _sound(self, plan: Plan, order: Rerender | None = None) -> Waveform:
        with self.gpu_lock.held():
            start = None if order is None else read_start(order, self.renderer, self.store)
            return self.renderer.vocode(self.renderer.denoise(plan, _silently, start), plan, _silently)

    def _refuse_other_separator(self, wanted: SeparatorFacts) -> None:
        loaded = self.separation.model()
        if loaded.weights_sha256 != wanted.weights_sha256:
            raise _missing(f"the weights of the separator {wanted.name!r}; those of {loaded.name!r} are loaded")

    def _prompt(self, row: AuditRow, body: TakeBounceBody | RerenderBody) -> str:
        """The prompt, once everything that the row names is known to be there."""
        if row.prompt is None:
            raise _missing("the prompt, which was erased")
        loaded = {model.role: model.sha256 for model in self.renderer.info.models}
        wanted = body.renderer.digests
        changed = sorted(role for role in wanted if loaded.get(role) != wanted[role])
        if changed:
            raise _missing(f"{body.renderer.name}'s weights for {', '.join(changed)}; other ones are loaded")
        return row.prompt


class _Unstopped:
    """A replay belongs to its call: nobody orders it to stop."""

    def check(self) -> None:
        """Never raises."""

    def on_stop(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """Never calls."""
        _ = callback
        return nullcontext()


def _compared(largest: int, stored_sha256: str, replayed_sha256: str, differences: tuple[str, ...]) -> Replay:
    """``largest`` is the largest difference of a sample in units of 24 bits."""
    dbfs = 20.0 * float(np.log10(largest / 2**23)) if largest else None
    close = ReplayOutcome.CLOSE if dbfs is not None and dbfs <= CLOSE_DBFS else ReplayOutcome.DIFFERENT
    return Replay(
        outcome=ReplayOutcome.EXACT if dbfs is None else close,
        difference_dbfs=dbfs,
        stored_sha256=stored_sha256,
        replayed_sha256=replayed_sha256,
        fingerprint_differences=differences,
    )


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(key for key in {*then, *now} if then.get(key) != now.get(key)))


def _missing(what: str) -> FailedPrecondition:
    return FailedPrecondition(f"cannot replay: it lacks {what}", reason="INPUT_MISSING", metadata={"missing": what})


def _silently(done: int, total: int) -> None:
    """Nobody follows a replay step by step."""
