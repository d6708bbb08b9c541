"""Noise becomes latents."""

from __future__ import annotations

import numpy as np

from render_service.plan import Plan
from render_service.renderers.renderer import InitLatents, Latents, Renderer
from servicekit.errors import Internal
from servicekit.journal import Stage
from servicekit.work import Progress


def denoise(plan: Plan, renderer: Renderer, progress: Progress, start: InitLatents | None = None) -> Latents:
    """Latents ``(D, L)`` of the plan, one progress step a denoising step. Raises Internal NOT_FINITE naming the stage."""
    progress.stage(Stage.DENOISE, plan.steps)
    latents = renderer.denoise(plan, lambda done, total: progress.step(done, total=total), start)
    if not np.isfinite(latents.values).all():
        raise Internal("the denoiser gave NaN or infinity", reason="NOT_FINITE", metadata={"stage": "DENOISE"})
    return latents
