"""Render a take again from what its audit row holds or names, and compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from render_service.audited import AUDIT_BOUNCE, audit_row
from render_service.bounce import make_bounce, read_bounce
from render_service.bounce_facts import BounceFacts
from render_service.plan import Plan
from render_service.renderer import Renderer
from servicekit.errors import FailedPrecondition
from servicekit.gpu_turn import GpuTurn
from servicekit.journal import AuditRow, Journal
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
    turn: GpuTurn
    fingerprint: Mapping[str, str]

    def replay(self, tenant: str, job_id: str, number: int) -> Replay:
        """Raises NotFound, FailedPrecondition INPUT_MISSING naming what is missing, DataLoss for a changed bounce."""
        row = audit_row(self.journal, tenant, job_id, number, AUDIT_BOUNCE)
        body = json.loads(row.body_json)
        prompt = self._prompt(row, body)
        version = self.journal.job(tenant, job_id).version(number)
        if version is None or "bounce" not in version.files:
            raise _missing("the stored bounce")
        facts = BounceFacts.from_audit(tenant, row.job_id, row.version, body, prompt)
        stored = read_bounce(version, facts, self.store)
        with self.turn.taken():
            waveform = _render(facts.plan, self.renderer)
        replayed = make_bounce(waveform, replace(facts, processing=self.renderer.info.processing))
        return _compare(stored.pcm, replayed.pcm, stored.sha256, replayed.sha256, _differences(body, self.fingerprint))

    def _prompt(self, row: AuditRow, body: Mapping[str, Any]) -> str:
        """The prompt, once everything that the row names is known to be there."""
        if row.prompt is None:
            raise _missing("the prompt, which was erased")
        loaded = {model.role: model.sha256 for model in self.renderer.info.models}
        wanted: dict[str, str] = body["renderer"]["digests"]
        changed = sorted(role for role in wanted if loaded.get(role) != wanted[role])
        if changed:
            raise _missing(f"{body['renderer']['name']}'s weights for {', '.join(changed)}; other ones are loaded")
        return row.prompt


def _render(plan: Plan, renderer: Renderer) -> np.ndarray[Any, np.dtype[np.float32]]:
    return renderer.vocode(renderer.denoise(plan, _silently), plan, _silently)


def _compare(
    stored: np.ndarray[Any, np.dtype[np.int32]],
    replayed: np.ndarray[Any, np.dtype[np.int32]],
    stored_sha256: str,
    replayed_sha256: str,
    differences: tuple[str, ...],
) -> Replay:
    same_shape = stored.shape == replayed.shape
    largest = int(np.abs(stored.astype(np.int64) - replayed).max()) if same_shape else 2**24
    dbfs = 20.0 * float(np.log10(largest / 2**23)) if largest else None
    close = ReplayOutcome.CLOSE if dbfs is not None and dbfs <= CLOSE_DBFS else ReplayOutcome.DIFFERENT
    return Replay(
        outcome=ReplayOutcome.EXACT if dbfs is None else close,
        difference_dbfs=dbfs,
        stored_sha256=stored_sha256,
        replayed_sha256=replayed_sha256,
        fingerprint_differences=differences,
    )


def _differences(body: Mapping[str, Any], fingerprint: Mapping[str, str]) -> tuple[str, ...]:
    then = body["fingerprint"]
    return tuple(sorted(key for key in {*then, *fingerprint} if then.get(key) != fingerprint.get(key)))


def _missing(what: str) -> FailedPrecondition:
    return FailedPrecondition(f"cannot replay: it lacks {what}", reason="INPUT_MISSING", metadata={"missing": what})


def _silently(done: int, total: int) -> None:
    """Nobody follows a replay step by step."""
