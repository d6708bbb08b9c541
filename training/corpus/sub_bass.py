"""The 808 bass: a saturated, slowly decaying sine with a fast drop in pitch at its start."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from render_service.composer.score import Note
from training.corpus.soundfont import SAMPLE_RATE_HZ, Audio

_DROP_SEMITONES = 14.0
_DROP_S = 0.018
_DECAY_S = 0.9
_RELEASE_S = 0.03
_ATTACK_S = 0.002
_ATTACK = (np.arange(round(_ATTACK_S * SAMPLE_RATE_HZ)) / (_ATTACK_S * SAMPLE_RATE_HZ)).astype(np.float32)
_RELEASE = (np.arange(round(_RELEASE_S * SAMPLE_RATE_HZ), 0, -1) / (_RELEASE_S * SAMPLE_RATE_HZ)).astype(np.float32)


def play_808(notes: Iterable[Note], *, drive: float, frames: int) -> Audio:
    """Play notes ``(1, T)``, each starting at its exact frame with phase zero."""
    mono = np.zeros((1, frames), dtype=np.float32)
    for note in notes:
        at = round(note.start_s * SAMPLE_RATE_HZ)
        length = min(round((note.end_s + _RELEASE_S - note.start_s) * SAMPLE_RATE_HZ), frames - at)
        if length > 0:
            mono[0, at : at + length] += _boom(note, length, drive)
    return mono


def _boom(note: Note, length: int, drive: float) -> Audio:
    cycles, decay = _drop(1 << (length - 1).bit_length())
    push = 1.2 + 3.0 * drive
    phase = cycles[:length] * (440.0 * 2.0 ** ((note.pitch - 69.0) / 12.0))
    phase -= np.floor(phase)
    tone: Audio = np.sin(phase.astype(np.float32) * np.float32(2.0 * np.pi))
    tone *= decay[:length]
    tone *= np.float32(push)
    np.tanh(tone, out=tone)
    tone *= np.float32(note.velocity / np.tanh(push))
    attack, release = _ATTACK[:length], _RELEASE[max(0, len(_RELEASE) - length) :]
    tone[: len(attack)] *= attack
    tone[length - len(release) :] *= release
    return tone


@lru_cache(maxsize=24)
def _drop(length: int) -> tuple[NDArray[np.float64], Audio]:
    """Cycles per hertz of the final pitch, and the decay, both ``(length,)``."""
    t = np.arange(length) / SAMPLE_RATE_HZ
    cycles = np.cumsum(2.0 ** (_DROP_SEMITONES / 12.0 * np.exp(-t / _DROP_S))) / SAMPLE_RATE_HZ
    return cycles, np.exp(-t / _DECAY_S).astype(np.float32)
