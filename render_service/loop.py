"""Loops: a take is rendered a little beyond its end, and what lies there fades into its start.

So the first sample continues the last one. Letters: ``C`` channels (2), ``T`` samples, ``N`` samples of the overlap.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from render_service.plan import Plan
from render_service.renderers.renderer import Waveform
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ

OVERLAP_S = 0.02
"""Long enough that low notes do not click, short enough that the attack on the first downbeat stays."""


def with_overlap(plan: Plan) -> Plan:
    """What is rendered for a plan: of a loop, 20 ms more, in which the first chord comes round again."""
    if not plan.loop:
        return plan
    end_s = plan.seconds + OVERLAP_S
    again = tuple(
        replace(chord, start_s=chord.start_s + plan.seconds, end_s=min(chord.end_s + plan.seconds, end_s))
        for chord in plan.chords
        if chord.start_s < OVERLAP_S
    )
    return replace(plan, seconds=end_s, chords=plan.chords + again)


def close_loop(waveform: Waveform, plan: Plan) -> Waveform:
    """The take ``(2, round(seconds * 44100))`` from what :func:`with_overlap` rendered ``(2, T)``.

    The continuation of the end fades out over the start at constant power.
    """
    if not plan.loop:
        return waveform
    frames = round(plan.seconds * SAMPLE_RATE_HZ)
    beyond = waveform[:, frames:]
    progress = np.arange(beyond.shape[1], dtype=np.float32) / beyond.shape[1]
    closed = waveform[:, :frames].copy()
    start = closed[:, : beyond.shape[1]]
    start[:] = np.sin(0.5 * np.pi * progress) * start + np.cos(0.5 * np.pi * progress) * beyond
    return closed
