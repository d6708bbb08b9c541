"""The key of given chords."""

from __future__ import annotations

from collections.abc import Sequence

from render_service.music.harmony import ChordSpan
from render_service.music.key import Key, Mode

_OUTSIDE = 1.0  # what a note outside the scale costs, as a share of its chord's length
_TONIC_CHORD = 0.3  # what the tonic's own triad earns
_FIRST, _LAST = 0.15, 0.1  # what a first and a last chord on the tonic earn, as a share of the whole length


def estimate_key(chords: Sequence[ChordSpan]) -> Key:
    """The key whose scale has the chords' notes and whose tonic they begin and end on. At least one chord."""
    keys = [Key(tonic=tonic, mode=mode) for mode in Mode for tonic in range(12)]
    return max(keys, key=lambda key: _fit(key, chords))


def _fit(key: Key, chords: Sequence[ChordSpan]) -> float:
    """Higher is better; about the share of the time that the chords belong to the key."""
    total_s = sum(chord.end_s - chord.start_s for chord in chords)
    third = 4 if key.mode is Mode.MAJOR else 3
    fit = 0.0
    for chord in chords:
        share = (chord.end_s - chord.start_s) / total_s
        outside = sum(tone not in key.scale for tone in chord.pitch_classes)
        fit -= _OUTSIDE * share * outside
        fit += _TONIC_CHORD * share * _is_tonic(chord, key, third)
    return fit + _FIRST * _is_tonic(chords[0], key, third) + _LAST * _is_tonic(chords[-1], key, third)


def _is_tonic(chord: ChordSpan, key: Key, third: int) -> bool:
    return chord.root == key.tonic and third in chord.quality.value
