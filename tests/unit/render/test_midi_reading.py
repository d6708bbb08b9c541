"""A caller's MIDI file: round trips, which part plays a track, tempo maps and keys, and files that are refused."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import mido
import numpy as np
import pytest

from render_service.composer.midi.arranging import last_note_s, score_of
from render_service.composer.midi.reading import MidiSong, read_midi, tempo_map_of
from render_service.composer.midi.smf import MAX_MIDI_BYTES, MidiError
from render_service.composer.midi.timing import TICKS_PER_QUARTER
from render_service.composer.midi.writing import midi_bytes
from render_service.composer.score import MAX_NOTES, Note, Part, Score, SectionKind
from render_service.composer.style import Instrumentation
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap, TempoPoint
from tests.support.scores import composed_score

SECONDS = 20.0
KEY = Key.parse("D major")
Tones = list[tuple[float, float, int]]
"""Notes as (first beat, last beat, pitch)."""


def song(*tracks: tuple[str, int, int | None, Tones], metas: tuple[mido.MetaMessage, ...] = ()) -> bytes:
    """A file of (name, channel, program, tones), as mido writes it, at 480 ticks per quarter."""
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack(metas))
    for name, channel, program, tones in tracks:
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        if program is not None:
            track.append(mido.Message("program_change", channel=channel, program=program))
        events = [(int(end * 480), "note_off", pitch) for _, end, pitch in tones]
        events += [(int(start * 480), "note_on", pitch) for start, _, pitch in tones]
        at = 0
        for tick, kind, pitch in sorted(events):
            track.append(mido.Message(kind, channel=channel, note=pitch, velocity=100, time=tick - at))
            at = tick
        file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def arranged(data: bytes, *, instrumental: bool = False, bpm: float = 120.0) -> Score:
    """The score at a constant tempo."""
    return score_of(read_midi(data), tempo_map=TempoMap.constant(bpm), seconds=SECONDS, instrumental=instrumental)


def own_tempo(data: bytes) -> TempoMap:
    """The file's tempo map."""
    tempo_map = tempo_map_of(read_midi(data))
    assert tempo_map is not None
    return tempo_map


MELODY: Tones = [(0.0, 1.0, 72), (1.0, 2.0, 74)]
TRIADS: Tones = [(0.0, 2.0, 60), (0.0, 2.0, 64), (0.0, 2.0, 67)]


@pytest.mark.parametrize(
    "tempo_map",
    [
        TempoMap.constant(100.0),
        TempoMap.constant(133.7, swing=0.66),
        TempoMap.constant(150.0, beats_per_bar=6, beat_unit=8),
        TempoMap(points=(TempoPoint(start_s=0.0, bpm=90.0),), first_downbeat_s=0.5),
        TempoMap(
            points=(TempoPoint(start_s=0.0, bpm=120.0), TempoPoint(start_s=8.0, bpm=97.0, beats_per_bar=3)),
        ),
    ],
    ids=["4/4", "swing", "6/8", "pickup", "changes"],
)
def test_a_score_comes_back_from_its_midi_file(tempo_map: TempoMap) -> None:
    """Pitches, parts, second voices and sections; starts within a tick. The tempo map is the file's own."""
    score = composed_score(5, seconds=SECONDS, tempo_map=tempo_map)
    data = midi_bytes(score, tempo_map=tempo_map, key=KEY, seconds=SECONDS)
    read = read_midi(data)
    grid = own_tempo(data)
    back = score_of(read, tempo_map=grid, seconds=SECONDS, instrumental=False)
    tick_s = 60.0 / float(tempo_map.bpm_at([0.0])[0]) / TICKS_PER_QUARTER * 2
    assert read.key == KEY
    assert [s.kind for s in back.sections] == [s.kind for s in score.sections]
    assert [(n.pitch, n.harmony) for n in back.sung] == [(n.pitch, n.harmony) for n in score.sung]
    assert [n.start_s for n in back.sung] == pytest.approx([n.start_s for n in score.sung], abs=tick_s)
    for part in Part:
        before, after = _rows(score, part), _rows(back, part)
        assert [pitch for _, pitch in after] == [pitch for _, pitch in before]
        assert [start for start, _ in after] == pytest.approx([start for start, _ in before], abs=tick_s)


def _rows(score: Score, part: Part) -> list[tuple[float, int]]:
    """(start, pitch) of a part, without strokes that coincide; sorted by pitch, then by start."""
    rows = {(round(n.start_s, 4), n.pitch) for n in score.notes if n.part is part}
    return sorted(rows, key=lambda row: (row[1], row[0]))


def test_a_tempo_map_is_read_back_exactly() -> None:
    """130 bpm is 461538.46 microseconds a quarter; the file's 461538 reads as 130."""
    data = midi_bytes(composed_score(1, seconds=8.0), tempo_map=TempoMap.constant(130.0), key=KEY, seconds=8.0)
    assert own_tempo(data) == TempoMap.constant(130.0)


@pytest.mark.parametrize(
    ("track", "part"),
    [
        (("anything", 9, None, MELODY), Part.KIT),
        (("Drums", 0, None, MELODY), Part.KIT),
        (("Bass", 0, 0, MELODY), Part.BASS),
        (("anything", 3, 38, MELODY), Part.BASS),
        (("Piano", 0, 0, TRIADS), Part.CHORDS),
        (("Piano", 0, 0, MELODY), Part.LINE),
        (("Lead", 0, 81, TRIADS), Part.LINE),
    ],
)
def test_the_part_follows_from_channel_program_name_and_polyphony(
    track: tuple[str, int, int | None, Tones], part: Part
) -> None:
    """Channel 10, basses, then chords or a line by how many notes sound together."""
    score = arranged(song(track))
    assert {note.part for note in score.notes} == {part}
    assert not score.sung


def test_voices_are_sung_unless_the_take_is_instrumental() -> None:
    """By name or program. The tones of a harmony that coincide with the lead's become its second voice."""
    harmony: Tones = [(0.0, 1.0, 76)]
    data = song(("Backing vocals", 1, None, harmony), ("Vox", 0, None, MELODY))
    sung = arranged(data).sung
    assert [(n.pitch, n.harmony) for n in sung] == [(72, 76), (74, 0)]
    assert [n.start_s for n in sung] == [0.0, 0.5]
    assert {note.part for note in arranged(data, instrumental=True).notes} == {Part.LINE}
    assert arranged(song(("", 0, 52, MELODY))).stems == {"vocals"}


def test_families_follow_from_programs_and_names() -> None:
    """The first chords, then what the second chords or the line has."""
    data = song(("Pad", 0, None, TRIADS), ("Strings", 1, 48, TRIADS), ("Solo", 2, 27, MELODY))
    score = arranged(data)
    assert score.instrumentation == (Instrumentation.SYNTHS, Instrumentation.STRINGS)
    assert {note.part for note in score.notes} == {Part.CHORDS, Part.SECOND_CHORDS, Part.LINE}
    assert arranged(song(("", 9, None, MELODY))).instrumentation == (Instrumentation.PIANO,)


def test_positions_are_laid_over_another_tempo_map() -> None:
    """A file at 120 bpm played at 60 bpm takes twice as long; its first bar line lies on the first downbeat."""
    score = arranged(song(("Lead", 0, 81, MELODY)), bpm=60.0)
    assert [note.start_s for note in score.notes] == [0.0, 1.0]
    grid = TempoMap(points=(TempoPoint(start_s=0.0, bpm=60.0),), first_downbeat_s=2.5)
    read = read_midi(song(("Lead", 0, 81, MELODY)))
    late = score_of(read, tempo_map=grid, seconds=SECONDS, instrumental=False)
    assert [note.start_s for note in late.notes] == [2.5, 3.5]
    assert last_note_s(read, grid) == pytest.approx(4.5)


def test_a_pickup_lies_before_the_first_downbeat() -> None:
    """A first bar of 1/4 before 4/4 is a pickup; a tempo map that has no room for it is refused."""
    metas = (
        mido.MetaMessage("time_signature", numerator=1, denominator=4),
        mido.MetaMessage("set_tempo", tempo=500_000),
        mido.MetaMessage("time_signature", numerator=4, denominator=4, time=480),
    )
    data = song(("Lead", 0, 81, MELODY), metas=metas)
    assert own_tempo(data) == TempoMap(points=(TempoPoint(start_s=0.0, bpm=120.0),), first_downbeat_s=0.5)
    with pytest.raises(
        MidiError, match="has a pickup of 1 quarters, so the first downbeat of the tempo map must be 1 s later"
    ):
        arranged(data, bpm=60.0)


def test_tempo_key_and_sections_come_from_the_file() -> None:
    """Beats are those of the time signature; 12/8 at 200 quarters a minute would have 400 beats, so it is read as 6/4."""
    metas = (
        mido.MetaMessage("time_signature", numerator=12, denominator=8),
        mido.MetaMessage("set_tempo", tempo=300_000),
        mido.MetaMessage("key_signature", key="Ebm"),
        mido.MetaMessage("marker", text="Chorus 1"),
        mido.MetaMessage("marker", text="anything", time=480),
    )
    data = song(("Lead", 0, 81, MELODY), metas=metas)
    read = read_midi(data)
    assert own_tempo(data) == TempoMap.constant(200.0, beats_per_bar=6, beat_unit=4)
    assert str(read.key) == "Eb minor"
    sections = score_of(read, tempo_map=TempoMap.constant(120.0), seconds=SECONDS, instrumental=False).sections
    assert [(s.kind, s.start_s, s.end_s) for s in sections] == [(SectionKind.CHORUS, 0.0, SECONDS)]


def test_a_file_without_tempo_and_key_leaves_them_open() -> None:
    """The brief decides them."""
    read = read_midi(song(("Lead", 0, 81, MELODY)))
    assert tempo_map_of(read) is None
    assert read.key is None


def _header(form: int = 1, tracks: int = 1, division: int = 480) -> bytes:
    return b"MThd" + struct.pack(">IHHH", 6, form, tracks, division)


def _track(data: bytes) -> bytes:
    return b"MTrk" + struct.pack(">I", len(data)) + data


ONE_NOTE = _track(b"\x00\x90\x40\x40\x60\x80\x40\x40\x00\xff\x2f\x00")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with MThd"),
        (b"RIFF" + bytes(40), "begins with MThd, got b'RIFF'"),
        (b"MThd", "a header of 6 bytes, got 0"),
        (b"MThd" + bytes(4), "a header of 6 bytes, got 0"),
        (_header() + ONE_NOTE[:-2], "is cut off"),
        (_header(form=2) + ONE_NOTE, "must have format 0 or 1, got 2"),
        (_header(division=0xE728) + ONE_NOTE, "SMPTE"),
        (_header(), "must have 1 to 64 tracks, got 0"),
        (_header(tracks=65) + ONE_NOTE * 65, "must have 1 to 64 tracks, got 65"),
        (_header() + _track(b"\x00\xff\x2f\x00"), "must have 1 to 20000 notes, got 0"),
        (_header() + _track(b"\xff" * 1000), "numbers of at most 4 bytes"),
        (_header() + _track(b"\x00\x40\x40"), "must have a MIDI message at byte"),
        (_header() + _track(b"\x00\x90\x40"), "is cut off"),
        (_header() + _track(b"\x00\x90\x90\x40"), "data of 0 to 127"),
        (_header() + _track(b"\x00\xff\x51\x7f"), "is cut off"),
        (_header() + ONE_NOTE + _track(b"\x00\xff\x51\x03\x00\x00\x00"), "tempo events of 3 bytes above 0"),
        (_header() + ONE_NOTE + bytes(MAX_MIDI_BYTES), f"at most {MAX_MIDI_BYTES} bytes"),
        (_header() + _track(b"\x00\x90\x40\x40" * (MAX_NOTES + 1)), "must have 1 to 20000 notes, got 20001"),
    ],
)
def test_malformed_files_are_refused(data: bytes, message: str) -> None:
    """The message says what was expected and what was received."""
    with pytest.raises(MidiError, match=message):
        read_midi(data)


def _with(metas: bytes) -> bytes:
    return _header() + _track(metas + b"\x00\x90\x40\x40\x60\x80\x40\x40\x00\xff\x2f\x00")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_with(b"\x00\xff\x51\x03\x01\x00\x00"), "must have tempos of 30 to 300"),
        (_with(b"\x00\xff\x51\x03\x07\xa1\x20\x00\xff\x58\x04\x11\x02\x18\x08"), "got 17/4"),
        (
            _with(b"\x00\xff\x51\x03\x07\xa1\x20" + b"\x01\xff\x51\x03\x07\xa1\x21\x01\xff\x51\x03\x07\xa1\x20" * 300),
            "512",
        ),
    ],
)
def test_tempo_maps_that_cannot_be_played_are_refused(data: bytes, message: str) -> None:
    """Only where they are needed: the file's notes can be laid over another tempo map."""
    with pytest.raises(MidiError, match=message):
        tempo_map_of(read_midi(data))
    assert arranged(data).notes


def test_notes_after_the_take_are_refused() -> None:
    """The message names the length."""
    with pytest.raises(MidiError, match="notes must start within 0 to 20 s, got 50 s"):
        arranged(song(("Lead", 0, 81, [(100.0, 101.0, 60)])))


def test_a_long_last_note_rings_ten_seconds_at_most() -> None:
    """A held note may end after the take."""
    score = arranged(song(("Lead", 0, 81, [(0.0, 400.0, 60)])))
    assert score.notes == (Note(part=Part.LINE, start_s=0.0, end_s=30.0, pitch=60, velocity=100 / 127),)


def test_damaged_files_are_read_or_refused() -> None:
    """Changed, cut and repeated bytes never raise anything but MidiError, and never take long."""
    rng = np.random.default_rng(7)
    score = composed_score(2, seconds=6.0)
    healthy = midi_bytes(score, tempo_map=TempoMap.constant(100.0), key=KEY, seconds=6.0)
    outcomes = {_outcome(_damaged(rng, healthy)) for _ in range(400)}
    assert outcomes == {"read", "refused"}


def test_every_beginning_of_a_file_is_refused() -> None:
    """Wherever it is cut off."""
    healthy = _header() + ONE_NOTE
    assert _outcome(healthy) == "read"
    assert {_outcome(healthy[:end]) for end in range(len(healthy))} == {"refused"}


def _damaged(rng: np.random.Generator, healthy: bytes) -> bytes:
    data = bytearray(healthy)
    for at in rng.integers(14, len(data), size=int(rng.integers(1, 12))):
        data[at] = int(rng.integers(256))
    if rng.random() < 0.2:
        del data[int(rng.integers(len(data))) :]
    return bytes(data)


def _outcome(data: bytes) -> str:
    try:
        read = read_midi(data)
        grid = tempo_map_of(read) or TempoMap.constant(120.0)
        score_of(read, tempo_map=grid, seconds=180.0, instrumental=False)
    except MidiError:
        return "refused"
    return "read"


def test_a_song_is_a_value() -> None:
    """Equal files give equal songs."""
    data = song(("Lead", 0, 81, MELODY))
    first: MidiSong = read_midi(data)
    assert first == read_midi(data)
    assert first != replace(first, key=KEY)
