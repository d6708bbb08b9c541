"""The composer, without audio."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from render_service.composer.bars import chord_at
from render_service.composer.score import Part, SectionKind
from render_service.composer.style import Instrumentation, Mood
from render_service.music.harmony import PHRASE_BARS, ChordQuality, draw_chords
from render_service.music.key import Key, Mode
from render_service.music.tempo_map import TempoMap, TempoPoint
from training.corpus.builtin_personas import built_in_personas, named_personas, personas
from training.corpus.caption import TempoWords, draw_caption
from training.corpus.compose import compose, draw_persona
from training.corpus.composition import Composition
from training.corpus.store import composition_digest

SEEDS = range(60)
CHANGING = TempoMap(
    points=(
        TempoPoint(start_s=0.0, bpm=100.0),
        TempoPoint(start_s=10.1, bpm=140.0),
        TempoPoint(start_s=16.957143, bpm=90.0, beats_per_bar=3),
    ),
    first_downbeat_s=0.5,
    swing=0.6,
)


@pytest.fixture(scope="module")
def songs() -> list[Composition]:
    """Sixty songs of 30 s."""
    return [compose(seed, seconds=30.0) for seed in SEEDS]


def test_a_seed_always_composes_the_same_score() -> None:
    """Equal seeds give equal scores, different seeds different ones."""
    assert composition_digest(compose(7)) == composition_digest(compose(7))
    assert composition_digest(compose(7)) != composition_digest(compose(8))


def test_captions_do_not_depend_on_personas() -> None:
    """A seed has the same caption with any persona, and over 300 seeds mood and persona are not associated."""
    for seed in range(20):
        assert len({compose(seed, seconds=8.0, persona=persona).caption for persona in personas()[:4]}) == 1
    pairs = Counter((draw_persona(seed).id, compose(seed, seconds=4.0).caption.mood) for seed in range(300))
    named = {persona.id for persona in personas()}
    table = np.array([[pairs[(name, mood)] for mood in Mood] for name in sorted(named)])
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    chi_square = float(((table - expected) ** 2 / expected).sum())
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    assert chi_square < freedom + 4.0 * np.sqrt(2.0 * freedom)


def test_captions_use_many_words_and_every_value_of_every_axis() -> None:
    """Texts hardly repeat in 400 captions, and every value occurs."""
    captions = [draw_caption(np.random.default_rng(seed)) for seed in range(400)]
    assert len({caption.text for caption in captions}) > 390
    assert {family for caption in captions for family in caption.instrumentation} == set(Instrumentation)
    assert {caption.mood for caption in captions} == set(Mood)
    assert {caption.tempo_words for caption in captions} == set(TempoWords)


def test_the_caption_changes_the_music() -> None:
    """Tempo words set the tempo, sad is minor, happy is major, energetic plays more than calm."""
    caption = draw_caption(np.random.default_rng(0))
    notes: Counter[Mood] = Counter()
    for seed in range(30):
        for words in TempoWords:
            point = compose(seed, seconds=12.0, caption=replace(caption, tempo_words=words)).tempo_map.points[0]
            assert words.value[0] <= point.bpm <= words.value[1]
        for mood, mode in ((Mood.SAD, Mode.MINOR), (Mood.HAPPY, Mode.MAJOR)):
            assert compose(seed, seconds=4.0, caption=replace(caption, mood=mood)).key.mode is mode
        for mood in (Mood.CALM, Mood.ENERGETIC):
            grid = TempoMap.constant(110.0)
            notes[mood] += len(
                compose(seed, seconds=12.0, caption=replace(caption, mood=mood), tempo_map=grid).score.notes
            )
    assert notes[Mood.ENERGETIC] > 1.3 * notes[Mood.CALM]


def test_arguments_override_what_the_seed_draws() -> None:
    """Key, tempo map, persona and ``instrumental`` take precedence."""
    key, grid, persona = Key.parse("Eb minor"), TempoMap.constant(93.0, swing=0.6), personas()[3]
    song = compose(5, seconds=9.5, key=key, tempo_map=grid, persona=persona, instrumental=True)
    assert (song.key, song.tempo_map, song.persona, song.instrumental) == (key, grid, persona, True)
    assert song.score.sung == ()


def test_every_drum_stroke_is_on_the_sixteenth_grid(songs: list[Composition]) -> None:
    """Also with swing, and with changes of tempo and metre."""
    for song in [*songs, compose(3, seconds=30.0, tempo_map=CHANGING)]:
        grid = song.tempo_map.grid_s(song.seconds + 1.0)
        strokes = np.array([note.start_s for note in song.score.notes if note.part is Part.KIT])
        assert np.abs(strokes[:, None] - grid[None, :]).min(axis=1).max() < 1e-4


def test_the_bass_plays_the_bass_note_of_the_chord_on_beat_one(songs: list[Composition]) -> None:
    """In every bar up to the ending except those of an intro, where it may rest."""
    for song in songs:
        bass = {round(note.start_s, 3): note.pitch % 12 for note in song.score.notes if note.part is Part.BASS}
        last_s = song.score.ending_s if song.score.ending_s is not None else song.seconds - 0.1
        bars = [float(bar) for bar in song.tempo_map.bars_s(song.seconds) if bar <= last_s + 1e-4]
        expected = [(round(round(bar, 5), 3), chord_at(song.chords, bar).bass) for bar in bars]
        intro = [s for s in song.score.sections if s.kind is SectionKind.INTRO]
        for second, pitch in expected:
            if not any(section.start_s - 1e-3 <= second < section.end_s - 1e-3 for section in intro):
                assert bass[second] == pitch


def test_crashes_open_choruses_and_little_else(songs: list[Composition]) -> None:
    """Most choruses start with a crash cymbal; no intro does, and few of the other sections."""
    share = {}
    for kinds in ({SectionKind.CHORUS}, {SectionKind.INTRO}, {SectionKind.VERSE, SectionKind.BRIDGE}):
        opened = [
            any(
                note.part is Part.KIT and note.pitch in {49, 57} and abs(note.start_s - section.start_s) < 1e-3
                for note in song.score.notes
            )
            for song in songs
            for section in song.score.sections
            if section.kind in kinds
        ]
        share[min(kind.value for kind in kinds)] = np.mean(opened)
    assert share["chorus"] > 0.7
    assert share["intro"] == 0.0
    assert share["bridge"] < 0.5


def test_most_songs_end_with_the_tonic_on_a_bar_line_and_ring_out(songs: list[Composition]) -> None:
    """Every part that plays lands on the final chord; nothing starts after it and everything ends before the song does."""
    endings = [song for song in songs if song.score.ending_s is not None]
    assert 0.7 < len(endings) / len(songs) < 1.0
    for song in endings:
        start_s = song.score.ending_s
        assert np.abs(song.tempo_map.bars_s(song.seconds) - start_s).min() < 1e-4
        chord = chord_at(song.chords, start_s)
        assert (chord.root, chord.end_s) == (song.key.tonic, song.seconds)
        final = [note for note in song.score.notes if note.start_s > start_s - 1e-4]
        assert {note.part for note in final} >= {Part.BASS, Part.KIT, Part.CHORDS}
        assert max(note.start_s for note in final) < start_s + 0.3
        assert max(note.end_s for note in final) < song.seconds - 0.05


def test_chords_cover_the_song_in_the_key_with_a_cadence_every_eight_bars() -> None:
    """No gaps, more than 90 % of the notes in the scale, and each phrase ends with a chord in root position."""
    for seed in range(60):
        key = Key(tonic=seed % 12, mode=(Mode.MAJOR, Mode.MINOR)[seed % 2])
        chords = draw_chords(np.random.default_rng(seed), key=key, tempo_map=TempoMap.constant(120.0), seconds=64.0)
        assert (chords[0].start_s, chords[-1].end_s) == (0.0, 64.0)
        assert all(a.end_s == b.start_s for a, b in pairwise(chords))
        for phrase in range(4):
            last = next(c for c in reversed(chords) if c.start_s < (phrase + 1) * PHRASE_BARS * 2.0 - 1e-6)
            degree = key.scale.index(last.root)
            assert degree in {0, 3, 4, 5, 6}
            assert last.bass == last.root
        inside = [pitch in key.scale for chord in chords for pitch in chord.pitch_classes]
        assert np.mean(inside) > 0.9
        assert {chord.quality for chord in chords} <= set(ChordQuality)


def test_a_change_of_tempo_and_metre_changes_the_bars() -> None:
    """Bars after the change have the new length, and kicks are on their downbeats."""
    song = compose(11, seconds=30.0, tempo_map=CHANGING)
    kicks = np.array(sorted({n.start_s for n in song.score.notes if n.part is Part.KIT and n.pitch == 36}))
    bars = CHANGING.bars_s(30.0)
    assert np.isin(np.round(bars[-4:-1], 3), np.round(kicks, 3)).all()
    assert np.allclose(np.diff(bars[-4:]), 2.0)
    assert kicks.min() >= CHANGING.first_downbeat_s - 1e-6


def test_about_a_quarter_of_the_songs_are_instrumentals(songs: list[Composition]) -> None:
    """An instrumental has no sung notes; every other song has some."""
    assert 0.19 <= np.mean([compose(seed, seconds=2.0).instrumental for seed in range(400)]) <= 0.31
    assert all(bool(song.score.sung) != song.instrumental for song in songs)


def test_notes_are_within_the_song_and_in_range(songs: list[Composition]) -> None:
    """Times, pitches and velocities are playable."""
    for song in songs:
        for note in song.score.notes:
            assert 0.0 <= note.start_s < note.end_s
            assert note.start_s < song.seconds
            assert 20 <= note.pitch <= 110
            assert 0.0 < note.velocity <= 1.0


def test_there_are_twelve_personas_and_eight_are_built_in() -> None:
    """Each has its own id and voice; they are in the order of the data file."""
    assert len({persona.id for persona in personas()}) == 12
    assert len(built_in_personas()) >= 8
    assert len({persona.voice for persona in personas()}) == 12
    assert [row.id for row in named_personas()] == [persona.id for persona in personas()]
    assert draw_persona(0) == draw_persona(0)


def test_unusual_lengths_and_tempo_maps_are_composed() -> None:
    """Half a second; a song that ends before its first downbeat; the shortest and the longest bars."""
    late = TempoMap(points=(TempoPoint(start_s=0.0, bpm=60.0),), first_downbeat_s=5.0)
    assert compose(1, seconds=0.5).score.events
    assert not compose(1, seconds=2.0, tempo_map=late).score.events
    assert compose(1, seconds=10.0, tempo_map=TempoMap.constant(300.0, beats_per_bar=1)).score.events
    assert compose(1, seconds=20.0, tempo_map=TempoMap.constant(30.0, beats_per_bar=16, swing=0.75)).score.events
