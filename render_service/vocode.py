"""Latents become sound."""

from __future__ import annotations

import numpy as np

from render_service.plan import Plan
from render_service.renderers.renderer import Latents, Renderer, Waveform
from servicekit.errors import Internal
from servicekit.journal import Stage
from servicekit.work import Progress


def vocode(latents: Latents, plan: Plan, renderer: Renderer, progress: Progress) -> Waveform:
    """``(2, round(seconds * 44100))`` float32. Raises Internal NOT_FINITE naming the stage."""
    progress.stage(Stage.VOCODE)
    waveform = renderer.vocode(latents, plan, lambda done, total: progress.step(done, total=total))
    if waveform.shape != (2, latents.samples):
        raise Internal(f"the vocoder gave {waveform.shape} where (2, {latents.samples}) was wanted")
    if not np.isfinite(waveform).all():
        raise Internal("the vocoder gave NaN or infinity", reason="NOT_FINITE", metadata={"stage": "VOCODE"})
    return waveform
