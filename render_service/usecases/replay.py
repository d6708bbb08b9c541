"""ReplayTake: a version is rendered again from what its audit row holds or names, and compared with the stored bounce."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from jobs_service.journal_json import VersionFiles
from render_service.audit import RERENDER, TAKE_BOUNCE, BounceFacts, RerenderBody, TakeBounceBody, audit_row
from render_service.bounce import Bounce, make_bounce, read_bounce
from render_service.denoise import denoise
from render_service.renderers.renderer import Renderer
from render_service.rerender import Rerender, read_init_latents
from render_service.separation.client import SeparationClient
from render_service.separation.replace import compare_rerender
from render_service.vocode import vocode
from servicekit.audio.difference import Difference, difference
from servicekit.delivery.audit_body import AUDIT_BOUNCE, AUDIT_STEMS
from servicekit.delivery.manifest import SeparatorFacts
from servicekit.errors import Cancelled, FailedPrecondition, ServiceError
from servicekit.gpu_lock import GpuLock
from servicekit.journal import AuditRow, Job, Journal, Version
from servicekit.journal.reading import pick_version
from servicekit.store.object_store import ObjectStore

CLOSE_DBFS = -60.0
"""Largest difference of a sample for the outcome CLOSE (docs/decisions/0007-determinism.md)."""
CLOSE_SPECTRAL_DB = -40.0
CLOSE_LOUDNESS_LU = 0.2
"""The same for spectra and loudness, where the fingerprint says that the execution differs. Other threads or instructions can turn
the phase of a partial, which changes samples much and the sound not at all."""


class ReplayOutcome(Enum):
    """How a replayed bounce compares with the stored one."""

    EXACT = "exact"
    CLOSE = "close"
    DIFFERENT = "different"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """``difference_dbfs`` is the largest difference of a sample in dBFS, None where all samples are equal.

    ``spectral_db`` and ``loudness_lu`` are those of `servicekit.audio.difference.Difference`.
    """

    outcome: ReplayOutcome
    difference_dbfs: float | None
    spectral_db: float | None
    loudness_lu: float | None
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

    def replay(self, tenant: str, job_id: str, number: int, *, stopped: Callable[[], bool] = lambda: False) -> Replay:
        """Replay a version; 0 is the newest that has an audit row and its files. Once ``stopped`` is true it ends within a step.

        Raises NotFound, FailedPrecondition INPUT_MISSING naming what is missing, and DataLoss for a changed bounce.
        """
        job = self.journal.job(tenant, job_id)
        version = pick_version(job, number, lambda version: bool(version.audit_digests) and version.delete_time is None)
        _check_not_deleted(job, version)
        work = _Stoppable(stopped)
        try:
            if version.rerendered_stem:
                return self._replay_rerender(tenant, version, work)
            return self._replay_take(tenant, version, work)
        except ServiceError:  # a file that is missing because it was deleted meanwhile is no damage
            _check_not_deleted(self.journal.job(tenant, job_id), version)
            raise

    def _replay_take(self, tenant: str, version: Version, work: _Stoppable) -> Replay:
        row = audit_row(self.journal, tenant, version.job_id, version.number, AUDIT_BOUNCE)
        if "upload" in version.plan:
            raise _input_missing("a renderer: the version is an upload")
        body = TAKE_BOUNCE.read(row.body())
        facts = self._check_inputs(row, body)
        if "bounce" not in version.files:
            raise _input_missing("the stored bounce")
        stored, replayed = read_bounce(version, facts, self.store), self._render(facts, work)
        return _make_replay(
            difference(stored.pcm, replayed.pcm),
            stored_sha256=stored.sha256,
            replayed_sha256=replayed.sha256,
            fingerprint_differences=_differences(body.fingerprint, self.fingerprint),
        )

    def _replay_rerender(self, tenant: str, version: Version, work: _Stoppable) -> Replay:
        """Render the new mix again; separation_service replaces the stem again and compares the bounce."""
        row = audit_row(self.journal, tenant, version.job_id, version.number, AUDIT_STEMS)
        body = RERENDER.read(row.body())
        facts = self._check_inputs(row, body)
        rerender = replace(body.order, allow_drift=True)
        stored = VersionFiles.read(version.files).bounce
        if stored is None:
            raise _input_missing("the stored bounce")
        for file in rerender.input_files:
            if self.store.stat(file.key) is None:
                raise _input_missing(file.key)
        self._check_separator(body.separator)
        mix = self._render(facts.with_rerender(rerender), work, rerender)
        found = compare_rerender(mix, rerender, stored, separation=self.separation, work=work)
        recorded = {**body.fingerprint, **_prefixed(body.separation_fingerprint)}
        return _make_replay(
            found.difference,
            stored_sha256=found.stored_sha256,
            replayed_sha256=found.replayed_sha256,
            fingerprint_differences=_differences(recorded, {**self.fingerprint, **_prefixed(found.fingerprint)}),
        )

    def _render(self, facts: BounceFacts, work: _Stoppable, rerender: Rerender | None = None) -> Bounce:
        with self.gpu_lock.held():
            work.check()  # the call may have ended while it waited for its turn
            init_latents = read_init_latents(rerender, self.renderer, self.store) if rerender else None
            latents = denoise(self.renderer, facts.plan, work.report, init_latents)
            waveform = vocode(self.renderer, latents, facts.plan, work.report)
        return make_bounce(waveform, replace(facts, processing=self.renderer.info.processing))

    def _check_inputs(self, row: AuditRow, body: TakeBounceBody | RerenderBody) -> BounceFacts:
        """The facts of a row whose prompt is there and whose weights are loaded. Raises FailedPrecondition INPUT_MISSING."""
        if row.prompt is None:
            raise _input_missing("the prompt, which was erased")
        loaded = {model.role: model.sha256 for model in self.renderer.info.models}
        recorded = body.renderer.digests
        changed = sorted(role for role in loaded.keys() | recorded.keys() if loaded.get(role) != recorded.get(role))
        if changed:
            raise _input_missing(f"the weights of {body.renderer.name!r} for {', '.join(changed)}: others are loaded")
        return BounceFacts.audited(row, body, row.prompt)

    def _check_separator(self, recorded: SeparatorFacts) -> None:
        loaded = self.separation.separator()
        if loaded.weights_sha256 != recorded.weights_sha256:
            raise _input_missing(f"the weights of the separator {recorded.name!r}: those of {loaded.name!r} are loaded")


class _Stoppable:
    """Ends a replay whose call has ended: nobody waits for it, and others wait for the device."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped

    def check(self) -> None:
        """Raise Cancelled once the call has ended."""
        if self._stopped():
            raise Cancelled("the replay's call has ended")

    def report(self, _done: int, _total: int) -> None:
        """A `StepReport`."""
        self.check()

    def on_stop(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """Never calls ``callback``: the comparison is short."""
        _ = callback
        return nullcontext()


def _make_replay(
    found: Difference, *, stored_sha256: str, replayed_sha256: str, fingerprint_differences: tuple[str, ...]
) -> Replay:
    dbfs = 20.0 * float(np.log10(found.largest / 2**23)) if found.largest else None
    return Replay(
        outcome=_outcome(found, dbfs, same_execution=not fingerprint_differences),
        difference_dbfs=dbfs,
        spectral_db=found.spectral_db,
        loudness_lu=found.loudness_lu,
        stored_sha256=stored_sha256,
        replayed_sha256=replayed_sha256,
        fingerprint_differences=fingerprint_differences,
    )


def _outcome(found: Difference, dbfs: float | None, *, same_execution: bool) -> ReplayOutcome:
    if dbfs is None:
        return ReplayOutcome.EXACT
    if dbfs <= CLOSE_DBFS:
        return ReplayOutcome.CLOSE
    sounds_the_same = (
        found.spectral_db is not None
        and found.spectral_db <= CLOSE_SPECTRAL_DB
        and found.loudness_lu is not None
        and found.loudness_lu <= CLOSE_LOUDNESS_LU
    )
    return ReplayOutcome.CLOSE if sounds_the_same and not same_execution else ReplayOutcome.DIFFERENT


def _prefixed(separation_fingerprint: Mapping[str, str]) -> dict[str, str]:
    return {f"separation.{name}": value for name, value in separation_fingerprint.items()}


def _differences(recorded: Mapping[str, str], current: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in {*recorded, *current} if recorded.get(name) != current.get(name)))


def _check_not_deleted(job: Job, replayed: Version) -> None:
    """Raise FailedPrecondition INPUT_MISSING if DeleteVersion has deleted the version, or the one that it is made from."""
    needed = {replayed.number: "files", **({replayed.base_version: "ZIP"} if replayed.rerendered_stem else {})}
    for number, files in needed.items():
        version = job.version(number)
        if version is not None and version.delete_time is not None:
            raise _input_missing(f"the {files} of version {number}, which was deleted")


def _input_missing(what: str) -> FailedPrecondition:
    return FailedPrecondition(f"a replay needs {what}", reason="INPUT_MISSING", metadata={"missing": what})
