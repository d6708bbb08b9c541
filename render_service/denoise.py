"""The denoise stage: noise, or the original's latents, to the latents of a take."""

from __future__ import annotations

import numpy as np

from render_service.loop import with_overlap
from render_service.plan import Plan
from render_service.renderers.renderer import InitLatents, Latents, Renderer, StepReport
from servicekit.errors import Internal


def denoise(renderer: Renderer, plan: Plan, report: StepReport, init_latents: InitLatents | None = None) -> Latents:
    """Latents ``(D, L)`` of a plan, with the overlap of a loop. The caller holds the GPU lock.

    Raises Internal NOT_FINITE for NaN and infinity.
    """
    latents = renderer.denoise(with_overlap(plan), report, init_latents)
    if not np.isfinite(latents.values).all():
        raise Internal(
            "latents must be finite, got NaN or infinity", reason="NOT_FINITE", metadata={"stage": "DENOISE"}
        )
    return latents
