"""A score that the caller gives: chords that parts are composed over, or the notes of a MIDI file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from render_service.composer.chord_estimate import estimate_score_key
from render_service.composer.midi.arranging import last_note_s, score_of
from render_service.composer.midi.reading import MidiSong, read_midi, tempo_map_of
from render_service.composer.score import Score
from render_service.music.chord_text import Progression, lay_chords, read_chords
from render_service.music.harmony import ChordSpan
from render_service.music.key import Key
from render_service.music.key_estimate import estimate_key
from render_service.music.tempo_map import TempoMap

RING_S = 2.0
"""What a take is longer than a MIDI file's notes, where the caller gives no length."""
_ANY_KEY = Key.parse("C major")
_BAR_S = 2.0


@dataclass(frozen=True, kw_only=True)
class GivenChords:
    """``text`` is what the caller wrote."""

    text: str
    progression: Progression

    @classmethod
    def read(cls, text: str) -> GivenChords:
        """Raises ChordTextError."""
        return cls(text=text, progression=read_chords(text))

    def estimate_key(self) -> Key:
        """The key that the chords are in."""
        seconds = _BAR_S * len(self.progression)
        grid = TempoMap.constant(240.0 / _BAR_S)
        return estimate_key(lay_chords(self.progression, key=_ANY_KEY, tempo_map=grid, seconds=seconds, ending_s=None))

    def lay(self, *, key: Key, tempo_map: TempoMap, seconds: float, ending_s: float | None) -> tuple[ChordSpan, ...]:
        """The chords over a take: see :func:`lay_chords`."""
        return lay_chords(self.progression, key=key, tempo_map=tempo_map, seconds=seconds, ending_s=ending_s)


@dataclass(frozen=True, kw_only=True)
class GivenMidi:
    """``sha256`` is that of the file."""

    sha256: str
    song: MidiSong

    @classmethod
    def read(cls, data: bytes) -> GivenMidi:
        """Raises MidiError."""
        return cls(sha256=hashlib.sha256(data).hexdigest(), song=read_midi(data))

    def tempo_map(self) -> TempoMap | None:
        """The file's own; None where it has none. Raises MidiError for one that cannot be played."""
        return tempo_map_of(self.song)

    def seconds(self, tempo_map: TempoMap) -> float:
        """The length of a take in which the last note rings. Raises MidiError."""
        return round(last_note_s(self.song, tempo_map) + RING_S, 3)

    def estimate_key(self, tempo_map: TempoMap, seconds: float) -> Key | None:
        """The key that the notes are in; None without pitched notes. Raises MidiError."""
        score = self.score(tempo_map=tempo_map, seconds=seconds, instrumental=True)
        return estimate_score_key(score, tempo_map=tempo_map, seconds=seconds)

    def score(self, *, tempo_map: TempoMap, seconds: float, instrumental: bool) -> Score:
        """Its notes as they are played. Raises MidiError."""
        return score_of(self.song, tempo_map=tempo_map, seconds=seconds, instrumental=instrumental)


GivenScore = GivenChords | GivenMidi
