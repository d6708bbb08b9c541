"""Control channels per latent frame: its position in beat, bar and phrase, the harmony, and the notes that sound there.

Positions are integrated from the tempo map, so any tempo curve works. Channels are addressed by name.

Letters: ``L`` latent frames, ``R`` mel frames per latent frame (4), ``G`` control channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render_service.composer.score import Score
from render_service.music.harmony import PHRASE_BARS, ChordSpan, chord_index_at
from render_service.music.key import Key, Mode
from render_service.music.tempo_map import TempoMap
from render_service.renderers.latent_diffusion.front_end import FrontEndSpec
from render_service.renderers.latent_diffusion.score_channels import SCORE_WIDTHS, playing_stems, score_channels

Values = NDArray[np.float64]

_GRID_PER_BEAT = 4  # sixteenths
_REFERENCE_BPM = 120.0
_METRES = (2, 3, 4, 6)
CONTROL_WIDTHS: Mapping[str, int] = {
    "beat_phase": 6,
    "grid_phase": 4,
    "bar_phase": 8,
    "phrase_phase": 6,
    "grid_attack": 4,
    "beat_attack": 4,
    "bar_attack": 4,
    "chord_attack": 4,
    "tempo": 2,
    "swing": 1,
    "metre": len(_METRES),
    "scale": 12,
    "tonic": 12,
    "mode": 1,
    "chord": 12,
    "chord_root": 12,
    "bass": 12,
    "instrumental": 1,
    "playing": 4,
    **SCORE_WIDTHS,
}
"""Number of channels by name, in the order of concatenation. The checkpoint stores the same names."""


@dataclass(frozen=True, kw_only=True)
class ControlInputs:
    """The parts of a plan, or of a song in the training corpus, that the control channels are computed from."""

    tempo_map: TempoMap
    key: Key
    chords: tuple[ChordSpan, ...]
    instrumental: bool
    score: Score | None = None


def control_channels(
    inputs: ControlInputs,
    spec: FrontEndSpec,
    *,
    frames: int,
    first_frame: int = 0,
    playing: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """``(G, L)`` for ``frames`` latent frames from ``first_frame``.

    ``playing`` ``(4, L)``: whether each stem plays (1), rests (-1) or is unspecified (0). By default it follows from the score;
    without one all stems play throughout, except vocals where ``inputs`` are instrumental. Where the score is known the position
    in the phrase is zero: it would only suggest what the score tells.
    """
    hop_s = spec.latent_samples / spec.sample_rate_hz
    centre_s = (first_frame + np.arange(frames, dtype=np.float64) + 0.5) * hop_s
    named: dict[str, Values] = {
        **_phases(inputs.tempo_map, centre_s),
        **_attacks(inputs, spec, frames, first_frame),
        **_harmony(inputs, centre_s),
        "instrumental": np.full((1, frames), float(inputs.instrumental)),
        "playing": _playing(inputs, spec, frames, first_frame) if playing is None else playing.astype(np.float64),
        **score_channels(inputs.score, spec, frames=frames, first_frame=first_frame),
    }
    if inputs.score is not None:
        named["phrase_phase"] = np.zeros_like(named["phrase_phase"])
    return join_channels(named)


def join_channels(named: Mapping[str, Values]) -> NDArray[np.float32]:
    """Concatenate named channels ``(width, L)`` to ``(G, L)`` in the stored order. Raises KeyError, ValueError."""
    for name, width in CONTROL_WIDTHS.items():
        if named[name].shape[0] != width:
            raise ValueError(f"control {name} must have {width} channels, got {named[name].shape[0]}")
    return np.concatenate([named[name] for name in CONTROL_WIDTHS]).astype(np.float32)


def channel_slice(name: str) -> slice:
    """Position of a named control among the ``G`` channels. Raises KeyError."""
    start = 0
    for other, width in CONTROL_WIDTHS.items():
        if other == name:
            return slice(start, start + width)
        start += width
    raise KeyError(name)


def _circle(position: Values, harmonics: tuple[float, ...]) -> Values:
    """Cosine and sine of each harmonic of a phase in turns. ``(L,) -> (2 * harmonics, L)``."""
    angles = 2.0 * np.pi * np.outer(np.array(harmonics), position)
    return np.concatenate([np.cos(angles), np.sin(angles)])


def _phases(tempo_map: TempoMap, seconds: Values) -> dict[str, Values]:
    beats = tempo_map.beat_position(seconds)
    straight = _unswung(beats, tempo_map.swing)
    bars = tempo_map.bar_position(seconds)
    bpm = tempo_map.bpm_at(seconds)
    octaves = np.log2(bpm / _REFERENCE_BPM)
    metre = tempo_map.beats_per_bar_at(seconds)
    return {
        "beat_phase": _circle(beats, (1.0, 2.0, 4.0)),
        "grid_phase": _circle(straight, (2.0, 4.0)),
        "bar_phase": _circle(bars, (1.0, 2.0, 3.0, 4.0)),
        "phrase_phase": _circle(bars / PHRASE_BARS, (1.0, 2.0, 4.0)),
        "tempo": np.stack([octaves, np.abs(octaves)]),
        "swing": np.full((1, len(seconds)), (tempo_map.swing - 0.5) * 6.0),
        "metre": np.stack([(metre == beats_per_bar).astype(np.float64) for beats_per_bar in _METRES]),
    }


def _unswung(beats: Values, swing: float) -> Values:
    """Undo swing: beat positions as played to straight ones, the inverse of ``TempoMap.swung``."""
    whole = np.floor(beats)
    part = beats - whole
    first = part * 0.5 / swing
    second = 0.5 + (part - swing) * 0.5 / (1.0 - swing)
    return whole + np.where(part < swing, first, second)


def _attacks(inputs: ControlInputs, spec: FrontEndSpec, frames: int, first_frame: int) -> dict[str, Values]:
    """For each mel frame the closeness of the nearest grid onset: 1 on it, 0 a frame or more away, linear between."""
    per_latent = spec.frames_per_latent
    frame_s = spec.hop_samples / spec.sample_rate_hz
    centres_s = (first_frame * per_latent + np.arange(frames * per_latent, dtype=np.float64) + 0.5) * frame_s
    end_s = float(centres_s[-1] + 2.0 * frame_s)
    tempo_map = inputs.tempo_map
    times_s = {
        "grid_attack": tempo_map.grid_s(end_s, divisions=_GRID_PER_BEAT),
        "beat_attack": tempo_map.beats_s(end_s),
        "bar_attack": tempo_map.bars_s(end_s),
        "chord_attack": np.array([chord.start_s for chord in inputs.chords]),
    }
    return {name: _closeness(at, centres_s, frame_s).reshape(frames, per_latent).T for name, at in times_s.items()}


def _closeness(times_s: Values, centres_s: Values, frame_s: float) -> Values:
    if len(times_s) == 0:
        return np.zeros(len(centres_s))
    after = np.clip(np.searchsorted(times_s, centres_s), 1, len(times_s) - 1) if len(times_s) > 1 else np.zeros(1, int)
    before = np.maximum(after - 1, 0)
    distance = np.minimum(np.abs(times_s[after] - centres_s), np.abs(times_s[before] - centres_s))
    return np.asarray(np.clip(1.0 - distance / frame_s, 0.0, 1.0), dtype=np.float64)


def _harmony(inputs: ControlInputs, seconds: Values) -> dict[str, Values]:
    frames = len(seconds)
    scale, tonic = np.zeros((12, frames)), np.zeros((12, frames))
    scale[list(inputs.key.scale)] = 1.0
    tonic[inputs.key.tonic] = 1.0
    chord_of = chord_index_at(inputs.chords, seconds)
    chord, root, bass = (np.zeros((12, len(inputs.chords))) for _ in range(3))
    for i, span in enumerate(inputs.chords):
        chord[list(span.pitch_classes), i] = 1.0
        root[span.root, i] = 1.0
        bass[span.bass, i] = 1.0
    return {
        "scale": scale,
        "tonic": tonic,
        "mode": np.full((1, frames), 1.0 if inputs.key.mode is Mode.MINOR else -1.0),
        "chord": chord[:, chord_of],
        "chord_root": root[:, chord_of],
        "bass": bass[:, chord_of],
    }


def _playing(inputs: ControlInputs, spec: FrontEndSpec, frames: int, first_frame: int) -> Values:
    if inputs.score is not None:
        return playing_stems(inputs.score, spec, frames=frames, first_frame=first_frame)
    plays = [1.0, 1.0, -1.0 if inputs.instrumental else 1.0, 1.0]
    return np.repeat(np.array(plays)[:, None], frames, axis=1)
