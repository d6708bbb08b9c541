"""The pipeline of a take: plan -> denoise -> vocode -> bounce -> handoff. Each stage is a function of what the one before made.

A re-render runs the same stages on a changed plan. Its new mix is not stored: one stem of it replaces that of the base version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jobs_service.journal_json import VersionFiles
from render_service.audit import BounceFacts, audited_facts
from render_service.bounce import make_bounce, read_bounce, store_bounce
from render_service.denoise import denoise
from render_service.plan import Plan
from render_service.renderers.renderer import Latents, Renderer, Waveform
from render_service.rerender import Rerender, read_init_latents
from render_service.separation.client import SeparationClient
from render_service.separation.replace import store_rerender
from render_service.separation.separate import store_stems
from render_service.vocode import vocode
from servicekit.audio.loudness import measure
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.gpu_lock import DeviceLock
from servicekit.journal import Journal, ProgressTrack, Stage
from servicekit.store.object_store import ObjectStore
from servicekit.work import Assignment, Progress, StageWeights

# Typical shares of each track's time on two CPU cores (docs/measurements.md).
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
    """Runs versions. A worker thread calls it for each assignment."""

    renderer: Renderer
    gpu_lock: DeviceLock
    journal: Journal
    store: ObjectStore
    separation: SeparationClient
    fingerprint: Mapping[str, str]

    def warm(self) -> None:
        """Pay the one-time costs of the stages before the first take."""
        self.renderer.warm()
        measure(np.zeros((2, SAMPLE_RATE_HZ), dtype=np.int32))

    def __call__(self, assignment: Assignment) -> None:
        """Run one version to its end, from its last checkpoint on."""
        version = assignment.version
        if version.rerendered_stem:
            self._rerender(assignment)
        elif version.checkpointed_stage is not Stage.STORE:  # after STORE only the end of the version is missing
            self._render(assignment)

    def _render(self, assignment: Assignment) -> None:
        """A take. The stored bounce is a checkpoint: an attempt after a crash resumes at the handoff."""
        version, progress = assignment.version, assignment.progress
        bounce, files = None, VersionFiles.read(version.files)
        if version.checkpointed_stage is None:
            progress.stage(Stage.PLAN)
            facts = BounceFacts.of(assignment, self.renderer.info, self.fingerprint)
            latents, waveform = self._make_waveform(facts.plan, progress)
            progress.stage(Stage.BOUNCE, 2)
            bounce = rendered = make_bounce(waveform, facts)
            progress.step(1)
            files = progress.retrying(
                lambda: store_bounce(rendered, latents, self.store, progress, stems_wanted=version.stems_wanted)
            )
        if version.stems_wanted:
            progress.stage(Stage.HANDOFF)
            if bounce is None:
                self.separation.check_serving()  # the bounce is read only for a peer that is there
                facts = audited_facts(version, assignment.job.tenant, self.journal)
                bounce = read_bounce(version, facts, self.store)
            store_stems(bounce, files, assignment, separation=self.separation, store=self.store)

    def _rerender(self, assignment: Assignment) -> None:
        """A re-render. It has no checkpoint: an attempt after a crash starts over. The new mix is kept while it has to wait."""
        progress = assignment.progress
        progress.stage(Stage.PLAN)
        rerender = Rerender.read(assignment.plan["rerender"])
        facts = BounceFacts.of(assignment, self.renderer.info, self.fingerprint).with_rerender(rerender)
        _, waveform = self._make_waveform(facts.plan, progress, rerender)
        progress.stage(Stage.BOUNCE)
        mix = make_bounce(waveform, facts)

        def hand_off() -> None:
            progress.repeat(ProgressTrack.STEMS)
            progress.stage(Stage.HANDOFF)
            store_rerender(mix, rerender, assignment, separation=self.separation, store=self.store)

        progress.retrying(hand_off)

    def _make_waveform(
        self, plan: Plan, progress: Progress, rerender: Rerender | None = None
    ) -> tuple[Latents, Waveform]:
        """Denoise and vocode, the stages that need the GPU."""

        def report(done: int, total: int) -> None:
            progress.step(done, total=total)

        with self.gpu_lock.held(check=progress.check):
            init_latents = read_init_latents(rerender, self.renderer, self.store) if rerender else None
            progress.stage(Stage.DENOISE, plan.steps)
            latents = denoise(self.renderer, plan, report, init_latents)
            progress.stage(Stage.VOCODE)
            return latents, vocode(self.renderer, latents, plan, report)
