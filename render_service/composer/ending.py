"""The ending: every part that played lands on the final chord, and it rings out before the take ends."""

from __future__ import annotations

import numpy as np

from render_service.composer.accompaniment import voice_chords
from render_service.composer.bars import Outline, chord_at
from render_service.composer.drumming import CRASH, KICK
from render_service.composer.score import Note, Part, SungNote

_RING_S = 4.0
_MARGIN_S = 0.4  # from the end of the last note to the end of the take, for releases and reverb
_BASS_RANGE = (28, 40)
_CRASH_SHARE = 0.5


def write_ending(
    rng: np.random.Generator, outline: Outline, notes: list[Note], sung: list[SungNote]
) -> tuple[list[Note], list[SungNote]]:
    """The final notes of the parts that have notes: a kick, sometimes a crash, bass, chords and the lead on the tonic."""
    section = outline.ending
    crashes, spread = rng.random() < _CRASH_SHARE, float(rng.choice([0.0, 0.0, 0.03]))
    if section is None:
        return [], []
    start_s = section.start_s
    end_s = max(min(start_s + _RING_S, section.end_s - _MARGIN_S), start_s + 0.5 * (section.end_s - start_s))
    force = outline.force(0.7, 0.2)
    chord = chord_at(outline.chords, start_s)
    parts = {note.part for note in notes}
    found: list[Note] = []
    if Part.KIT in parts:
        keys = [KICK, CRASH] if crashes and outline.style.shape.force > -0.6 else [KICK]
        found += [_note(Part.KIT, start_s, end_s, key, force * (1.0 if key == KICK else 0.7)) for key in keys]
    if Part.BASS in parts:
        low = _BASS_RANGE[0] + (chord.root - _BASS_RANGE[0]) % 12
        found.append(_note(Part.BASS, start_s, end_s, low, force))
    for part in (Part.CHORDS, Part.SECOND_CHORDS):
        pitches = [note.pitch for note in notes if note.part is part]
        if pitches:
            voicing = voice_chords((chord,), round(float(np.median(pitches))))[chord]
            found += [_note(part, start_s + i * spread, end_s, pitch, force * 0.9) for i, pitch in enumerate(voicing)]
    last_line = max((note for note in notes if note.part is Part.LINE), key=lambda n: n.start_s, default=None)
    last_sung = max(sung, key=lambda n: n.start_s, default=None)
    if last_sung is not None and (last_line is None or last_sung.start_s > last_line.start_s):
        final = SungNote(
            start_s=start_s,
            end_s=end_s,
            pitch=_nearest(last_sung.pitch, chord.root),
            velocity=last_sung.velocity,
            consonant=0,
            vowel=last_sung.vowel,
            phrase=last_sung.phrase + 1,
            layers=last_sung.layers,
            harmony=0,
        )
        return found, [final]
    if last_line is not None:
        found.append(_note(Part.LINE, start_s, end_s, _nearest(last_line.pitch, chord.root), last_line.velocity))
    return found, []


def _note(part: Part, start_s: float, end_s: float, pitch: int, velocity: float) -> Note:
    return Note(part=part, start_s=start_s, end_s=end_s, pitch=pitch, velocity=velocity)


def _nearest(pitch: int, pitch_class: int) -> int:
    """The pitch of a pitch class that is nearest to ``pitch``."""
    return pitch + (pitch_class - pitch + 6) % 12 - 6
