"""The vocode stage: latents to the waveform of a take."""

from __future__ import annotations

import numpy as np

from render_service.loop import close_loop, with_overlap
from render_service.plan import Plan
from render_service.renderers.renderer import Latents, Renderer, StepReport, Waveform
from servicekit.errors import Internal


def vocode(renderer: Renderer, latents: Latents, plan: Plan, report: StepReport) -> Waveform:
    """The waveform ``(2, round(seconds * 44100))`` of latents. The caller holds the GPU lock.

    Raises Internal, with the reason NOT_FINITE for NaN and infinity.
    """
    waveform = renderer.vocode(latents, with_overlap(plan), report)
    expected = (2, latents.samples)
    if waveform.shape != expected:
        raise Internal(f"the waveform must have the shape {expected}, got {waveform.shape}")
    if not np.isfinite(waveform).all():
        raise Internal(
            "the waveform must be finite, got NaN or infinity", reason="NOT_FINITE", metadata={"stage": "VOCODE"}
        )
    return close_loop(waveform, plan)
