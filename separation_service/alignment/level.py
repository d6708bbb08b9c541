"""Loudness of stems relative to their mix. Letters: ``C`` channels (2), ``T`` samples."""

from __future__ import annotations

import numpy as np

from servicekit.audio.loudness import integrated_lufs
from servicekit.audio.pcm24 import FULL_SCALE, SAMPLE_RATE_HZ, Waveform

SILENT_BELOW_MIX_LU = 30.0
"""A stem this far below its mix is separator leakage. Real stems of a mix lie within about 9 LU."""
_MIN_FRAMES = SAMPLE_RATE_HZ
_MAX_LEVEL = 64.0  # samples beyond full scale are measured too; 32-bit integers hold this much


def loudness_lufs(waveform: Waveform) -> float | None:
    """Loudness of ``(C, T)``, padded with silence to 1 s so that a short bar has one; None for silence."""
    short = max(_MIN_FRAMES - waveform.shape[1], 0)
    whole = np.pad(np.clip(waveform, -_MAX_LEVEL, _MAX_LEVEL), ((0, 0), (0, short)))
    return integrated_lufs(np.rint(whole * FULL_SCALE).astype(np.int32))


def is_audible(stem_lufs: float | None, mix_lufs: float | None) -> bool:
    """True if a stem is audible in its mix."""
    return stem_lufs is not None and mix_lufs is not None and stem_lufs > mix_lufs - SILENT_BELOW_MIX_LU
