"""The partials of a score's notes as spectra: where inside a mel band its energy lies, and in which phase.

Bands above 1 kHz are wider than the distance of partials, so a mel does not separate them; the score does
(docs/decisions/0024-partials-from-the-score.md). Levels are relative: only the distribution within a band is used.

Letters: ``P`` groups of parts (3), ``C`` mid and side (2), ``L`` bins of the range, ``F`` frames, ``H`` partials of a note,
``W`` bins of a main lobe (4), ``N`` frames of a note.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render_service.composer.score import TICKS_PER_SECOND, Note, Part, Score, SungNote
from render_service.renderers.latent_diffusion.front_end import FrontEndSpec
from render_service.renderers.latent_diffusion.score_channels import kit_class

GROUPS = ("bass", "chords", "lead")
KIT_GROUPS = 4
RANGE_HZ = (500.0, 5000.0)
_A4_HZ, _A4_PITCH = 440.0, 69
_LOBE_BINS = 4
_BEFORE_S = 0.02  # a window reaches that far ahead
_RELEASE_S = 0.12
_RELEASES = 4.0
_DECAY_S = 1.0
_KIT_REACH_S = 0.023  # half a window
_KIT_DECAYS = 5.0
_KIT: dict[str, tuple[int, float]] = {
    "kick": (0, 0.06), "snare": (1, 0.10), "clap": (1, 0.10), "rim": (1, 0.04), "tom": (1, 0.15), "hat": (2, 0.04),
    "percussion": (2, 0.06), "ride": (2, 0.3), "open_hat": (3, 0.25), "crash": (3, 0.8),
}  # fmt: skip
"""Group and decay in seconds of each class of stroke."""

Levels = NDArray[np.float32]
Spectra = NDArray[np.complex64]
_Sum = NDArray[np.float64]
_ComplexSum = NDArray[np.complex128]


@dataclass(frozen=True, kw_only=True)
class _Sound:
    """``falloff``: exponent by which the amplitude of the partials falls with their number."""

    group: int
    level: float
    falloff: float


_PLAYED = {
    Part.BASS: _Sound(group=0, level=1.0, falloff=2.0),
    Part.CHORDS: _Sound(group=1, level=0.6, falloff=1.0),
    Part.SECOND_CHORDS: _Sound(group=1, level=0.5, falloff=1.0),
    Part.LINE: _Sound(group=2, level=1.0, falloff=1.0),
}
_SUNG = _Sound(group=2, level=1.2, falloff=0.7)
_HARMONY_SHARE = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class PartialSpectra:
    """Some frames of the partials of each group.

    ``power`` ``(P, L, F)`` of a window, as if no two partials overlapped, and ``waves`` ``(P, C, L, F)``, their sum with phases.
    ``kit`` ``(4, F)``: how much the strokes of four kinds still sound.
    """

    power: Levels
    waves: Spectra
    kit: Levels


def partial_bins(spec: FrontEndSpec) -> int:
    """``L``."""
    return int(RANGE_HZ[1] * spec.window_samples / spec.sample_rate_hz) + _LOBE_BINS


class ScorePartials:
    """The partials between 0.5 and 5 kHz. Phases are functions of time alone, so any span of frames gives the same."""

    def __init__(self, score: Score, spec: FrontEndSpec) -> None:
        self._spec = spec
        self._bin_hz = spec.sample_rate_hz / spec.window_samples
        self._hop_s = spec.hop_samples / spec.sample_rate_hz
        self._bins = partial_bins(spec)
        self._tones = [tone for note in score.notes if note.part is not Part.KIT for tone in _tones_of(note)]
        self._tones += [tone for sung in score.sung for tone in _tones_of(sung)]
        self._strokes = [note for note in score.notes if note.part is Part.KIT]

    def spectra(self, first: int, stop: int) -> PartialSpectra:
        """Frames ``first`` to ``stop``, in float64 on the CPU: the same on every device."""
        frames = stop - first
        power = np.zeros((len(GROUPS), self._bins, frames))
        waves = np.zeros((len(GROUPS), 2, self._bins, frames), dtype=np.complex128)
        for tone in self._tones:
            begin = max(int((tone.start_s - _BEFORE_S) / self._hop_s), first)
            end = min(int((tone.end_s + _RELEASES * _RELEASE_S) / self._hop_s) + 1, stop)
            if end > begin:
                self._add(tone, begin, slice(begin - first, end - first), power, waves)
        return PartialSpectra(
            power=power.astype(np.float32), waves=waves.astype(np.complex64), kit=self._kit(first, stop)
        )

    def _add(self, tone: _Tone, begin: int, span: slice, power: _Sum, waves: _ComplexSum) -> None:
        number = np.arange(max(int(RANGE_HZ[0] / tone.hz), 1), int(RANGE_HZ[1] / tone.hz) + 1)
        seconds = (np.arange(begin, begin + span.stop - span.start) + 0.5) * self._hop_s
        fades = np.exp(-np.maximum(seconds - tone.end_s, 0.0) / _RELEASE_S)
        if tone.decays:
            fades *= np.exp(-np.maximum(seconds - tone.start_s, 0.0) / _DECAY_S)
        position = number * tone.hz / self._bin_hz
        lowest = np.floor(position).astype(int) - 1
        bins = lowest[:, None] + np.arange(_LOBE_BINS)
        lobes = _hann_lobe(bins - position[:, None]) * (tone.level * (number / 4.0) ** -tone.sound.falloff)[:, None]
        turns = np.random.default_rng(tone.identity).random((2, len(number)))
        cycles = np.remainder(number[:, None] * tone.hz * seconds, 1.0)
        moving = np.exp(2j * np.pi * (cycles + turns[..., None])) * fades  # (C, H, N)
        alternating = np.where(bins % 2, -1.0, 1.0)  # of a main lobe's phases, counted from the start of a frame
        for i, low in enumerate(lowest):
            rows = slice(low, low + _LOBE_BINS)
            power[tone.sound.group, rows, span] += np.square(lobes[i][:, None] * fades)
            waves[tone.sound.group, :, rows, span] += (lobes[i] * alternating[i])[:, None] * moving[:, i, None]

    def _kit(self, first: int, stop: int) -> Levels:
        sounding = np.zeros((KIT_GROUPS, stop - first), dtype=np.float32)
        for stroke in self._strokes:
            group, decay_s = _KIT[kit_class(stroke.pitch)]
            begin = max(int((stroke.start_s - _KIT_REACH_S) / self._hop_s), first)
            end = min(int((stroke.start_s + _KIT_DECAYS * decay_s) / self._hop_s) + 1, stop)
            if end > begin:
                seconds = (np.arange(begin, end) + 0.5) * self._hop_s
                level = stroke.velocity * np.exp(-np.maximum(seconds - stroke.start_s, 0.0) / decay_s)
                row = sounding[group, begin - first : end - first]
                np.maximum(row, level, out=row)
        return sounding


@dataclass(frozen=True, kw_only=True)
class _Tone:
    """A pitch that is played or sung. ``identity`` draws the phases of its partials, which no score has."""

    sound: _Sound
    start_s: float
    end_s: float
    pitch: int
    level: float
    decays: bool

    @property
    def hz(self) -> float:
        return float(_A4_HZ * 2.0 ** ((self.pitch - _A4_PITCH) / 12.0))

    @property
    def identity(self) -> list[int]:
        return [self.sound.group, self.pitch, round(self.start_s * TICKS_PER_SECOND)]


def _tones_of(note: Note | SungNote) -> list[_Tone]:
    """The note, and the second voice of a sung one."""
    if isinstance(note, Note):
        sound, voices = _PLAYED[note.part], [(note.pitch, 1.0)]
    else:
        sound, voices = _SUNG, [(note.pitch, 1.0), (note.harmony, _HARMONY_SHARE)]
    return [
        _Tone(
            sound=sound,
            start_s=note.start_s,
            end_s=note.end_s,
            pitch=pitch,
            level=share * sound.level * (0.3 + 0.7 * note.velocity),
            decays=sound is not _SUNG,
        )
        for pitch, share in voices
        if pitch > 0
    ]


def _hann_lobe(bins: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transform of a Hann window around its middle, 1 at 0; zero from two bins on, so side lobes are left out."""
    inside = np.abs(np.abs(bins) - 1.0) > 1e-6
    lobe = np.sinc(bins) / np.where(inside, 1.0 - np.square(bins), 1.0)
    return np.where(inside, lobe, 0.5)
