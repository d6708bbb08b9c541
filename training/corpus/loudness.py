"""Integrated loudness by ITU-R BS.1770-4, float32 for speed. Letters: ``T`` frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt

from training.corpus.soundfont import SAMPLE_RATE_HZ, Audio

# BS.1770-4 defines these filters at 48 kHz; derived for 44.1 kHz (shelf +4 dB at 1681.97 Hz, high-pass at 38.14 Hz).
_SHELF = (1.5308412300503478, -2.6509799951547297, 1.169079079921587, 1.0, -1.6636551132560202, 0.7125954280732254)
_HIGH_PASS = (1.0, -2.0, 1.0, 1.0, -1.9891696736297957, 0.9891990357870394)
_SECTIONS = np.array([_SHELF, _HIGH_PASS])
_STEP_FRAMES = SAMPLE_RATE_HZ // 10
_BLOCK_STEPS = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0


def loudness_lufs(audio: Audio) -> float | None:
    """Integrated loudness of ``(2, T)``; ``None`` if all of it is below the absolute gate or it is shorter than 0.4 s."""
    steps = audio.shape[1] // _STEP_FRAMES
    if steps < _BLOCK_STEPS:
        return None
    weighted = sosfilt(_SECTIONS.astype(np.float32), audio[:, : steps * _STEP_FRAMES], axis=1)
    power = np.square(weighted, dtype=np.float64).reshape(2, steps, _STEP_FRAMES).mean(axis=2).sum(axis=0)
    blocks = np.convolve(power, np.full(_BLOCK_STEPS, 1.0 / _BLOCK_STEPS), mode="valid")
    gated = blocks[_lufs(blocks) > _ABSOLUTE_GATE_LUFS]
    if not len(gated):
        return None
    relative = float(_lufs(gated.mean(keepdims=True))[0]) + _RELATIVE_GATE_LU
    return float(_lufs(gated[_lufs(gated) > relative].mean(keepdims=True))[0])


def _lufs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return -0.691 + 10.0 * np.log10(np.maximum(power, 1e-12))
