"""The score as control channels per latent frame (21.53 Hz).

Onsets are split linearly over the two mel frames (11.6 ms) around them, so that their timing is exact below a frame. Held notes
carry the share of each latent frame that they cover. Where no score is known all channels are zero.

Letters: ``L`` latent frames, ``R`` mel frames per latent frame (4).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from render_service.composer.drumming import (
    CLAP,
    CLOSED_HAT,
    CRASH,
    CRASH_2,
    KICK,
    OPEN_HAT,
    PEDAL_HAT,
    RIDE,
    RIM,
    SNARE,
    TOMS,
)
from render_service.composer.score import Note, Part, Score, SectionKind, SungNote
from render_service.composer.style import Instrumentation
from render_service.renderers.latent_diffusion.front_end import FrontEndSpec
from servicekit.delivery.names import STEMS

Values = NDArray[np.float64]

_ONSETS = 4  # mel frames per latent frame
_KIT_CLASSES = ("kick", "snare", "hat", "open_hat", "crash", "ride", "tom", "percussion", "clap", "rim")
_CLASS_OF_KEY: Mapping[int, str] = {
    KICK: "kick",
    35: "kick",
    SNARE: "snare",
    40: "snare",
    CLAP: "clap",
    RIM: "rim",
    CLOSED_HAT: "hat",
    PEDAL_HAT: "hat",
    OPEN_HAT: "open_hat",
    CRASH: "crash",
    CRASH_2: "crash",
    RIDE: "ride",
    **dict.fromkeys((*TOMS, 43, 47), "tom"),
}
"""General MIDI percussion keys; every other key is percussion."""
_CHORD_LOWEST, _CHORD_PITCHES = 40, 44
_BASS_OCTAVES = np.array([28.0, 36.0, 44.0, 56.0])
_LEAD_OCTAVES = np.array([42.0, 54.0, 66.0, 78.0, 90.0])
_FAMILIES = tuple(Instrumentation)
_CRASH_DECAY_S = 1.2
_NOTE_DECAY_S = 0.5
_ACTIVITY_S = 0.5  # a stem plays within this time of one of its notes

SCORE_WIDTHS: Mapping[str, int] = {
    "score_kit": _ONSETS * len(_KIT_CLASSES),
    "score_crash_ring": 1,
    "score_open_hat_ring": 1,
    "score_bass_pitch_class": 12,
    "score_bass_octave": len(_BASS_OCTAVES),
    "score_bass_attack": _ONSETS,
    "score_lead_pitch_class": 12,
    "score_lead_octave": len(_LEAD_OCTAVES),
    "score_lead_attack": _ONSETS,
    "score_lead_kind": 3,
    "score_chord_pitch": _CHORD_PITCHES,
    "score_chord_attack": _ONSETS,
    "score_family": len(_FAMILIES),
    "score_section": 2,
    "score_known": 1,
}
"""Number of score channels by name, in the order of concatenation."""


def kit_class(key: int) -> str:
    """The class of a General MIDI percussion key."""
    return _CLASS_OF_KEY.get(key, "percussion")


def score_channels(score: Score | None, spec: FrontEndSpec, *, frames: int, first_frame: int = 0) -> dict[str, Values]:
    """``(width, L)`` by name for ``frames`` latent frames from ``first_frame``; zeros without a score."""
    writer = _ChannelWriter(spec, frames, first_frame)
    if score is None:
        return writer.channels
    writer.channels["score_known"][:] = 1.0
    for note in score.notes:
        writer.note(note, score.instrumentation)
    for sung in score.sung:
        writer.sung(sung)
    for section in score.sections:
        intensity, ending = writer.channels["score_section"]
        writer.hold(intensity, section.start_s, section.end_s, section.kind.intensity)
        if section.kind is SectionKind.ENDING:
            writer.hold(ending, section.start_s, section.end_s, 1.0)
    return writer.channels


def playing_stems(score: Score, spec: FrontEndSpec, *, frames: int, first_frame: int = 0) -> Values:
    """``(4, L)`` in the order of STEMS: 1 where a stem has a note within half a second, otherwise -1."""
    hop_s = spec.latent_samples / spec.sample_rate_hz
    plays = np.full((len(STEMS), frames), -1.0)
    for event in score.events:
        first = int((event.start_s - _ACTIVITY_S) / hop_s) - first_frame
        stop = int((event.end_s + _ACTIVITY_S) / hop_s) + 1 - first_frame
        plays[STEMS.index(event.stem), max(first, 0) : max(stop, 0)] = 1.0
    return plays


class _ChannelWriter:
    """Writes notes into channels. Simultaneous notes take the larger value."""

    def __init__(self, spec: FrontEndSpec, frames: int, first_frame: int) -> None:
        self._hop_s = spec.latent_samples / spec.sample_rate_hz
        self._per_latent = spec.frames_per_latent
        self._frames, self._first = frames, first_frame
        self.channels = {name: np.zeros((width, frames)) for name, width in SCORE_WIDTHS.items()}

    def note(self, note: Note, families: tuple[Instrumentation, ...]) -> None:
        """A played note or a stroke."""
        if note.part is Part.KIT:
            self._stroke(note)
        elif note.part is Part.BASS:
            self._bass(note)
        elif note.part is Part.LINE:
            self._lead(note, 0.4 + 0.6 * note.velocity, decays=True)
            self.attack("score_lead_attack", note.start_s, 0.3 + 0.7 * note.velocity)
            self.hold(self.channels["score_lead_kind"][1], note.start_s, note.end_s, 1.0)
            self._family(families[-1], note, 0.5)
        else:
            self._chord_tone(note, families[0] if note.part is Part.CHORDS else families[-1])

    def sung(self, note: SungNote) -> None:
        """A syllable, with its second voice and its doubling voices."""
        self._lead(note, 1.0, decays=False)
        if note.harmony:
            self.hold(self.channels["score_lead_pitch_class"][note.harmony % 12], note.start_s, note.end_s, 0.5)
        self.attack("score_lead_attack", note.start_s, 1.0)
        sung, _, doubled = self.channels["score_lead_kind"]
        self.hold(sung, note.start_s, note.end_s, note.velocity)
        self.hold(doubled, note.start_s, note.end_s, note.layers / 3.0)

    def hold(
        self, channel: Values, start_s: float, end_s: float, value: float, *, decay_s: float | None = None
    ) -> None:
        """Write a held value into ``(L,)``, decaying to two fifths with ``decay_s`` if given."""
        start, stop = start_s / self._hop_s - self._first, end_s / self._hop_s - self._first
        first, last = max(int(np.floor(start)), 0), min(int(np.ceil(stop)), self._frames)
        if last <= first:
            return
        frames = np.arange(first, last)
        level = value * np.clip(np.minimum(stop, frames + 1) - np.maximum(start, frames), 0.0, 1.0)
        if decay_s is not None:
            age_s = np.maximum((frames + 0.5 - start) * self._hop_s, 0.0)
            level *= 0.4 + 0.6 * np.exp(-age_s / decay_s)
        np.maximum(channel[first:last], level, out=channel[first:last])

    def attack(self, name: str, second: float, value: float, *, row: int = 0) -> None:
        """Write an onset into four rows of a named channel from ``row`` on."""
        position = second / self._hop_s * self._per_latent - 0.5
        before = int(np.floor(position))
        share = position - before
        for mel_frame, weight in ((before, 1.0 - share), (before + 1, share)):
            frame, part = divmod(mel_frame - self._first * self._per_latent, self._per_latent)
            if 0 <= frame < self._frames:
                channel = self.channels[name][row + part]
                channel[frame] = max(channel[frame], weight * value)

    def _stroke(self, note: Note) -> None:
        kind = kit_class(note.pitch)
        value = 0.3 + 0.7 * note.velocity
        self.attack("score_kit", note.start_s, value, row=_ONSETS * _KIT_CLASSES.index(kind))
        if kind == "crash":
            self._ring("score_crash_ring", note, value)
        elif kind == "open_hat":
            self._ring("score_open_hat_ring", note, value)

    def _ring(self, name: str, note: Note, value: float) -> None:
        start = note.start_s / self._hop_s - self._first
        first, last = max(int(np.ceil(start)), 0), min(int(note.end_s / self._hop_s) - self._first, self._frames)
        if last > first:
            age_s = (np.arange(first, last) + 0.5 - start) * self._hop_s
            ring = self.channels[name][0]
            np.maximum(ring[first:last], value * np.exp(-age_s / _CRASH_DECAY_S), out=ring[first:last])

    def _bass(self, note: Note) -> None:
        pitch_class = self.channels["score_bass_pitch_class"][note.pitch % 12]
        self.hold(pitch_class, note.start_s, note.end_s, 0.4 + 0.6 * note.velocity, decay_s=_NOTE_DECAY_S)
        self._octave("score_bass_octave", _BASS_OCTAVES, note)
        self.attack("score_bass_attack", note.start_s, 0.3 + 0.7 * note.velocity)

    def _lead(self, note: Note | SungNote, value: float, *, decays: bool) -> None:
        pitch_class = self.channels["score_lead_pitch_class"][note.pitch % 12]
        self.hold(pitch_class, note.start_s, note.end_s, value, decay_s=_NOTE_DECAY_S if decays else None)
        self._octave("score_lead_octave", _LEAD_OCTAVES, note)

    def _octave(self, name: str, centres: Values, note: Note | SungNote) -> None:
        """The pitch's height, split linearly between the two nearest centres."""
        lower = int(np.clip(np.searchsorted(centres, note.pitch) - 1, 0, len(centres) - 2))
        share = float(np.clip((note.pitch - centres[lower]) / (centres[lower + 1] - centres[lower]), 0.0, 1.0))
        for row, value in ((lower, 1.0 - share), (lower + 1, share)):
            if value > 0.0:
                self.hold(self.channels[name][row], note.start_s, note.end_s, value)

    def _chord_tone(self, note: Note, family: Instrumentation) -> None:
        main = note.part is Part.CHORDS
        pitch = (note.pitch - _CHORD_LOWEST) % 12 if note.pitch < _CHORD_LOWEST else note.pitch - _CHORD_LOWEST
        while pitch >= _CHORD_PITCHES:
            pitch -= 12
        value = (0.4 + 0.6 * note.velocity) * (1.0 if main else 0.8)
        self.hold(self.channels["score_chord_pitch"][pitch], note.start_s, note.end_s, value, decay_s=_NOTE_DECAY_S)
        self.attack("score_chord_attack", note.start_s, 0.3 + 0.7 * note.velocity)
        self._family(family, note, 1.0 if main else 0.7)

    def _family(self, family: Instrumentation, note: Note, value: float) -> None:
        self.hold(self.channels["score_family"][_FAMILIES.index(family)], note.start_s, note.end_s, value)
