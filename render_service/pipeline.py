"""The road of a take: brief -> plan -> denoise -> vocode -> bounce -> handoff. Each stage takes what the one before it made.

A re-render takes the same road with a changed plan; its new mix is lent, and one stem of it becomes part of the next version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from render_service.audit import BounceFacts, audited_facts
from render_service.bounce import Bounce, make_bounce, read_bounce, store_bounce
from render_service.denoise import denoise
from render_service.plan import Plan
from render_service.renderers.renderer import InitLatents, Latents, Renderer, Waveform
from render_service.rerender import Rerender, read_start
from render_service.separation.client import SeparationClient, hand_over
from render_service.separation.replace import make_mix, replace_stem
from render_service.vocode import vocode
from servicekit.audio.loudness import measure
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.keys import VersionKeys
from servicekit.gpu_lock import GpuLock
from servicekit.journal import Journal, OrphanedVersion, ProgressTrack, Stage
from servicekit.store.object_store import ObjectStore
from servicekit.work import Assignment, Progress, StagedFiles, StageWeights

# Usual shares of each track's time on two CPU cores (docs/measurements.md).
WEIGHTS: StageWeights = {
    ProgressTrack.RENDER: {Stage.PLAN: 1, Stage.DENOISE: 60, Stage.VOCODE: 35, Stage.BOUNCE: 4},
    ProgressTrack.STEMS: {
        Stage.HANDOFF: 1,
        Stage.RECEIVE: 1,
        Stage.SEPARATE: 80,
        Stage.ALIGN: 4,
        Stage.PACKAGE: 10,
        Stage.STORE: 4,
    },
}


@dataclass(frozen=True, kw_only=True)
class RenderPipeline:
    """What a take is made with. Built once, by ``__main__``; called by a worker thread for each assignment."""

    renderer: Renderer
    gpu_lock: GpuLock
    journal: Journal
    store: ObjectStore
    separation: SeparationClient
    fingerprint: Mapping[str, str]

    def warm(self) -> None:
        """Pay once for what the first take would otherwise wait for."""
        self.renderer.warm()
        measure(np.zeros((2, SAMPLE_RATE_HZ), dtype=np.int32))

    def __call__(self, assignment: Assignment) -> None:
        """Take one version to its end, from the last kept stage on."""
        version = assignment.version
        if version.rerendered_stem:
            self._rerender(assignment)
            return
        if version.checkpointed_stage is Stage.STORE:  # a crash came after all was kept
            return
        if version.checkpointed_stage is None:
            assignment.progress.stage(Stage.PLAN)
            facts = BounceFacts.of(assignment, self.renderer.info, self.fingerprint)
            bounce = self._render(facts.plan, facts, assignment)
        elif version.stems_wanted:
            assignment.progress.stage(Stage.HANDOFF)
            facts = audited_facts(version, assignment.job.tenant, self.journal)
            bounce = read_bounce(version, facts, self.store)
        if version.stems_wanted:
            hand_over(bounce, facts, self.separation, self.store, assignment)

    def _render(self, plan: Plan, facts: BounceFacts, assignment: Assignment) -> Bounce:
        progress = assignment.progress
        latents, waveform = self._sound(plan, progress)
        progress.stage(Stage.BOUNCE, 2)
        bounce = make_bounce(waveform, facts)
        progress.step(1)
        store_bounce(bounce, latents, facts, self.store, progress)
        return bounce

    def _sound(self, plan: Plan, progress: Progress, start: InitLatents | None = None) -> tuple[Latents, Waveform]:
        """Sound is made while this thread has the device; the rest needs none."""
        with self.gpu_lock.held(check=progress.check):
            latents = denoise(plan, self.renderer, progress, start)
            return latents, vocode(latents, plan, self.renderer, progress)

    def _rerender(self, assignment: Assignment) -> None:
        """The next version, whole or not at all: nothing is kept on the way, so a later attempt begins anew."""
        progress, version = assignment.progress, assignment.version
        progress.stage(Stage.PLAN)
        order = Rerender.read(assignment.plan["rerender"])
        facts = BounceFacts.of(assignment, self.renderer.info, self.fingerprint)
        with self.gpu_lock.held(check=progress.check):
            start = read_start(order, self.renderer, self.store)
        _, waveform = self._sound(facts.plan, progress, start)
        progress.stage(Stage.BOUNCE)
        mix = make_mix(waveform, facts, order)
        with StagedFiles(self.store, _keys_of_rerender(version.job_id, version.number)):
            replace_stem(mix, facts, order, separation=self.separation, store=self.store, progress=progress)


def stored_keys(left: OrphanedVersion) -> list[str]:
    """The keys that an attempt at a version of this service may store."""
    if left.rerendered_stem:
        return _keys_of_rerender(left.job_id, left.version)
    keys = VersionKeys(left.job_id, left.version)
    return [keys.bounce, keys.manifest, keys.latents, keys.zip]


def _keys_of_rerender(job_id: str, number: int) -> list[str]:
    keys = VersionKeys(job_id, number)
    return [keys.zip, keys.manifest, keys.bounce]
