"""Scores as MIDI files, read back by another implementation (mido)."""

from __future__ import annotations

import io
from dataclasses import replace

import mido
import numpy as np
import pytest

from render_service.composer.midi.timing import TICKS_PER_QUARTER
from render_service.composer.midi.writing import midi_bytes
from render_service.composer.score import Note, Part, Score, Section, SectionKind, SungNote
from render_service.composer.style import Instrumentation
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap, TempoPoint
from tests.support.scores import composed_score

SECONDS = 12.0
KEY = Key.parse("A minor")
HIT = Note(part=Part.KIT, start_s=0.5, end_s=0.8, pitch=36, velocity=0.5)
SCORE = Score(
    instrumentation=(Instrumentation.ORGAN, Instrumentation.BRASS),
    sections=(
        Section(kind=SectionKind.VERSE, start_s=0.0, end_s=6.0),
        Section(kind=SectionKind.ENDING, start_s=6.0, end_s=12.0),
    ),
    notes=(
        HIT,
        Note(part=Part.BASS, start_s=1.0, end_s=1.4, pitch=33, velocity=1.0),
        Note(part=Part.CHORDS, start_s=1.0, end_s=2.0, pitch=60, velocity=0.6),
        Note(part=Part.SECOND_CHORDS, start_s=1.0, end_s=2.0, pitch=64, velocity=0.6),
        Note(part=Part.LINE, start_s=3.0, end_s=3.5, pitch=72, velocity=0.6),
    ),
    sung=(
        SungNote(start_s=2.0, end_s=2.5, pitch=57, velocity=0.7, consonant=1, vowel=2, phrase=0, layers=1, harmony=60),
    ),
)


def written(score: Score = SCORE, tempo_map: TempoMap | None = None, key: Key = KEY) -> mido.MidiFile:
    """The file as mido reads it."""
    grid = tempo_map or TempoMap.constant(120.0)
    data = midi_bytes(score, tempo_map=grid, key=key, seconds=SECONDS)
    return mido.MidiFile(file=io.BytesIO(data))


def starts_s(file: mido.MidiFile) -> list[float]:
    """Seconds of every note-on, by the file's own tempos."""
    at_s, found = 0.0, []
    for message in file:
        at_s += message.time
        if message.type == "note_on":
            found.append(at_s)
    return found


def bar_lines_s(file: mido.MidiFile) -> list[float]:
    """Seconds of the bar lines that a sequencer draws: from the time signatures and tempos alone."""
    events = sorted(_absolute(file.tracks[0]), key=lambda one: one[0])
    end = events[-1][0]
    changes = [(tick, 4 * m.numerator / m.denominator) for tick, m in events if m.type == "time_signature"]
    lines = []
    for i, (start, bar) in enumerate(changes):
        stop = changes[i + 1][0] if i + 1 < len(changes) else end
        lines += list(np.arange(start, stop, bar * file.ticks_per_beat))
    tempos = [(tick, m.tempo) for tick, m in events if m.type == "set_tempo"]
    return [_second(line, tempos, file.ticks_per_beat) for line in lines]


def _absolute(track: mido.MidiTrack) -> list[tuple[int, mido.Message]]:
    tick, found = 0, []
    for message in track:
        tick += message.time
        found.append((tick, message))
    return found


def _second(line: float, tempos: list[tuple[int, int]], ticks_per_beat: int) -> float:
    total = 0.0
    for i, (tick, quarter_us) in enumerate(tempos):
        stop = min(tempos[i + 1][0] if i + 1 < len(tempos) else line, line)
        total += max(stop - tick, 0) * quarter_us / ticks_per_beat / 1e6
    return total


def test_a_score_has_a_named_track_for_each_part() -> None:
    """Format 1, with programs; the kit on channel 10, the second voice on a track of its own."""
    file = written()
    assert (file.type, file.ticks_per_beat) == (1, TICKS_PER_QUARTER)
    assert [track.name for track in file.tracks[1:]] == [
        "Kit",
        "Bass",
        "Chords (organ)",
        "Second chords (brass)",
        "Line (brass)",
        "Vocals",
        "Vocals (harmony)",
    ]
    programs = {m.channel: m.program for track in file.tracks for m in track if m.type == "program_change"}
    assert programs == {9: 0, 0: 33, 1: 16, 2: 61, 3: 61, 4: 53, 5: 53}
    assert [m.key for m in file.tracks[0] if m.type == "key_signature"] == ["Am"]
    assert [m.text for m in file.tracks[0] if m.type == "marker"] == ["verse", "ending"]
    assert file.length == pytest.approx(SECONDS, abs=1e-3)


def test_notes_sound_at_their_second() -> None:
    """Within half a tick of 0.52 ms at 120 bpm."""
    assert starts_s(written()) == pytest.approx([0.5, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0], abs=0.3e-3)


def test_the_same_score_gives_the_same_bytes() -> None:
    """Files are compared by their digests."""
    score = composed_score(3, seconds=SECONDS)
    files = {midi_bytes(score, tempo_map=TempoMap.constant(97.0), key=KEY, seconds=SECONDS) for _ in range(2)}
    assert len(files) == 1


def test_a_pitch_that_starts_again_ends_first() -> None:
    """A channel sounds a pitch once; of two equal strokes the louder one stays."""
    again = replace(HIT, start_s=0.7, end_s=0.9)
    notes = (HIT, replace(HIT, velocity=1.0), again)
    file = written(replace(SCORE, notes=notes, sung=()))
    found = [(tick, m.type, m.velocity) for tick, m in _absolute(file.tracks[1]) if m.type.startswith("note")]
    assert found == [(960, "note_on", 127), (1344, "note_off", 64), (1344, "note_on", 64), (1728, "note_off", 64)]


@pytest.mark.parametrize(
    ("key", "signature"), [("Eb minor", "Ebm"), ("F# major", "F#"), ("Gb major", "Gb"), ("D# major", "Eb"), ("C", "C")]
)
def test_keys_keep_their_spelling_where_midi_can_write_it(key: str, signature: str) -> None:
    """D# major would need nine sharps."""
    file = written(key=Key.parse(key))
    assert [m.key for m in file.tracks[0] if m.type == "key_signature"] == [signature]


def _ramp() -> TempoMap:
    points = (TempoPoint(start_s=0.0, bpm=90.0),)
    return TempoMap(points=points + tuple(TempoPoint(start_s=i / 10, bpm=90 + 0.7 * i) for i in range(1, 110)))


@pytest.mark.parametrize(
    "tempo_map",
    [
        TempoMap.constant(120.0),
        TempoMap.constant(133.3, beats_per_bar=7, beat_unit=8),
        TempoMap(points=(TempoPoint(start_s=0.0, bpm=100.0),), first_downbeat_s=0.7),
        TempoMap(points=(TempoPoint(start_s=0.0, bpm=100.0),), first_downbeat_s=0.6),
        TempoMap(points=(TempoPoint(start_s=0.0, bpm=140.0), TempoPoint(start_s=1.0, bpm=90.0)), first_downbeat_s=4.3),
        TempoMap(
            points=(
                TempoPoint(start_s=0.0, bpm=120.0),
                TempoPoint(start_s=3.1, bpm=120.0, beats_per_bar=3),
                TempoPoint(start_s=7.6, bpm=180.0, beats_per_bar=6, beat_unit=8),
            )
        ),
        _ramp(),
    ],
    ids=["4/4", "7/8", "pickup", "pickup of a beat", "long pickup", "metres", "ramp"],
)
def test_bar_lines_and_notes_lie_where_the_tempo_map_has_them(tempo_map: TempoMap) -> None:
    """Pickups, bars cut short by a change of metre, and tempo curves: within a millisecond."""
    bars_s = tempo_map.bars_s(SECONDS)
    notes = tuple(replace(HIT, start_s=float(at), end_s=float(at) + 0.1) for at in bars_s)
    file = written(replace(SCORE, notes=notes, sung=()), tempo_map)
    assert starts_s(file) == pytest.approx(list(bars_s), abs=1e-3)
    lines = np.array(bar_lines_s(file))
    assert all(np.abs(lines - at).min() < 1e-3 for at in bars_s)
    between = lines[(lines > bars_s[0] + 1e-3) & (lines < bars_s[-1] - 1e-3)]
    assert len(between) == len(bars_s) - 2
