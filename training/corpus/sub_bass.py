"""The 808 bass: a saturated, slowly decaying sine with a fast drop in pitch at its start."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from render_service.composer.score import Note
from training.corpus.soundfont import SAMPLE_RATE_HZ, Audio

_DROP_SEMITONES = 14.0
_DROP_S = 0.018
_DECAY_S = 0.9
_RELEASE_S = 0.03
_ATTACK_S = 0.002


def play_808(notes: Iterable[Note], *, drive: float, frames: int) -> Audio:
    """Play notes ``(2, T)``, each starting at its exact frame with phase zero; both sides are equal."""
    mono = np.zeros(frames, dtype=np.float32)
    for note in notes:
        at = round(note.start_s * SAMPLE_RATE_HZ)
        length = min(round((note.end_s + _RELEASE_S - note.start_s) * SAMPLE_RATE_HZ), frames - at)
        if length > 0:
            mono[at : at + length] += _boom(note, length, drive)
    return np.stack([mono, mono])


def _boom(note: Note, length: int, drive: float) -> Audio:
    t = np.arange(length) / SAMPLE_RATE_HZ
    pitch = note.pitch + _DROP_SEMITONES * np.exp(-t / _DROP_S)
    phase = 2.0 * np.pi * np.cumsum(440.0 * 2.0 ** ((pitch - 69.0) / 12.0)) / SAMPLE_RATE_HZ
    push = 1.2 + 3.0 * drive
    tone = np.tanh(push * np.sin(phase) * np.exp(-t / _DECAY_S)) / np.tanh(push)
    release = np.clip((length / SAMPLE_RATE_HZ - t) / _RELEASE_S, 0.0, 1.0)
    shape = np.clip(t / _ATTACK_S, 0.0, 1.0) * release * note.velocity
    boom: Audio = (tone * shape).astype(np.float32)
    return boom
