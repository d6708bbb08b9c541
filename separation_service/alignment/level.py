"""Loudness of stems beside each other. Letters: ``C`` channels (2), ``T`` samples."""

from __future__ import annotations

import numpy as np

from servicekit.audio.loudness import integrated_lufs
from servicekit.audio.pcm24 import FULL_SCALE, SAMPLE_RATE_HZ, Waveform

SILENT_BELOW_MIX_LU = 30.0
"""A stem this far below its mix is what a separator leaks, not something that plays. Stems of a mix lie within some 9 LU."""
_SHORTEST_FRAMES = SAMPLE_RATE_HZ
_MOST = 64.0  # what lies beyond full scale is measured too: integers of 32 bits have room for so much


def loudness_lufs(waveform: Waveform) -> float | None:
    """Of ``(C, T)``, which silence fills up to 1 s so that a short bar has a loudness; None for silence."""
    short = max(_SHORTEST_FRAMES - waveform.shape[1], 0)
    whole = np.pad(np.clip(waveform, -_MOST, _MOST), ((0, 0), (0, short)))
    return integrated_lufs(np.rint(whole * FULL_SCALE).astype(np.int32))


def heard(stem_lufs: float | None, mix_lufs: float | None) -> bool:
    """Whether a stem plays at all beside its mix."""
    return stem_lufs is not None and mix_lufs is not None and stem_lufs > mix_lufs - SILENT_BELOW_MIX_LU
