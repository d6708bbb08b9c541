"""The measures of notes, strokes and endings: full marks for audio that plays the score, and low ones for another score."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from render_service.composer.drumming import CLOSED_HAT, KICK, SNARE
from render_service.composer.score import Note, Part, Score, Section, SectionKind
from render_service.composer.style import Instrumentation
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from training.evaluation.endings import last_onset_on_bar_line, level_spread, measure_ending, tail_db
from training.evaluation.pitches import bass_share, chord_tone_share, exact_pitch_share, melody_share, pitches_of
from training.evaluation.strokes import Stroke, onset_ratio, stroke_auc
from training.metrics import RATE_HZ

GRID = TempoMap.constant(120.0)
SECONDS = 8.0
Waveform = NDArray[np.float32]


def _score(notes: list[Note], *, ending_s: float | None = None) -> Score:
    sections = [Section(kind=SectionKind.VERSE, start_s=0.0, end_s=SECONDS if ending_s is None else ending_s)]
    if ending_s is not None:
        sections.append(Section(kind=SectionKind.ENDING, start_s=ending_s, end_s=SECONDS))
    return Score(instrumentation=(Instrumentation.PIANO,), sections=tuple(sections), notes=tuple(notes), sung=())


def _note(part: Part, start_s: float, pitch: int, *, seconds: float = 0.45, velocity: float = 0.8) -> Note:
    return Note(part=part, start_s=start_s, end_s=start_s + seconds, pitch=pitch, velocity=velocity)


def _line(part: Part, pitches: list[int]) -> list[Note]:
    """A note on every beat, cycling through ``pitches``."""
    return [_note(part, 0.5 * i, pitches[i % len(pitches)]) for i in range(16)]


def _play(notes: list[Note], *, harmonics: int = 5, transposed: int = 0) -> Waveform:
    """Decaying harmonic tones, in stereo."""
    audio = np.zeros(round(SECONDS * RATE_HZ))
    for note in notes:
        first = round(note.start_s * RATE_HZ)
        t = np.arange(min(round((note.end_s - note.start_s) * RATE_HZ), len(audio) - first)) / RATE_HZ
        hz = 440.0 * 2.0 ** ((note.pitch + transposed - 69) / 12)
        tone = sum(0.7**i * np.sin(2 * np.pi * hz * (i + 1) * t) for i in range(harmonics))
        audio[first : first + len(t)] += 0.1 * tone * np.exp(-1.5 * t) * np.clip((t[-1] - t) / 0.1, 0.0, 1.0)
    return np.stack([audio, audio]).astype(np.float32)


def _drum(notes: list[Note]) -> Waveform:
    """Kicks as low tones; snares and hats as bursts of noise, the hats' above 7 kHz only."""
    rng = np.random.default_rng(0)
    audio = 1e-4 * rng.standard_normal(round(SECONDS * RATE_HZ))
    for note in notes:
        t = np.arange(round(0.1 * RATE_HZ)) / RATE_HZ
        noise = rng.standard_normal(len(t))
        if note.pitch == CLOSED_HAT:
            spectrum = np.fft.rfft(noise)
            spectrum[np.fft.rfftfreq(len(t), 1.0 / RATE_HZ) < 7000.0] = 0.0
            noise = np.fft.irfft(spectrum, n=len(t))
        sound = np.sin(2 * np.pi * 60.0 * t) if note.pitch == KICK else 0.3 * noise
        first = round(note.start_s * RATE_HZ)
        audio[first : first + len(t)] += (sound * np.exp(-40.0 * t))[: len(audio) - first]
    return np.stack([audio, audio]).astype(np.float32)


def _noise(level: float = 0.1, *, seed: int = 1) -> Waveform:
    shape = (2, round(SECONDS * RATE_HZ))
    return (level * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


MELODY = _line(Part.LINE, [72, 74, 77, 79])
OTHER_MELODY = _line(Part.LINE, [73, 75, 78, 80])


def test_a_melody_that_is_played_is_followed_and_another_is_not() -> None:
    """The pitch class and the exact semitone; without a melody there is nothing to share."""
    pitches = pitches_of(_play(MELODY))
    assert melody_share(pitches, _score(MELODY)) > 0.95
    assert melody_share(pitches, _score(OTHER_MELODY)) < 0.2
    assert exact_pitch_share(pitches, _score(MELODY)) > 0.95
    assert exact_pitch_share(pitches, _score(OTHER_MELODY)) < 0.2
    assert np.isnan(melody_share(pitches, _score([])))


def test_an_octave_too_high_has_the_pitch_class_but_not_the_semitone() -> None:
    """So the two measures differ where they should."""
    pitches = pitches_of(_play(MELODY, transposed=12))
    assert melody_share(pitches, _score(MELODY)) > 0.95
    assert exact_pitch_share(pitches, _score(MELODY)) < 0.5


def test_noise_follows_a_melody_by_chance_only() -> None:
    """Two of twelve pitch classes, one of five semitones."""
    pitches = pitches_of(_noise())
    assert melody_share(pitches, _score(MELODY)) == pytest.approx(2 / 12, abs=0.12)
    assert exact_pitch_share(pitches, _score(MELODY)) == pytest.approx(1 / 5, abs=0.12)


def test_bass_notes_are_found_below_a_melody() -> None:
    """The lowest notes count, also with a melody above them; a tritone away does not."""
    bass = _line(Part.BASS, [36, 36, 41, 43])
    pitches = pitches_of(_play([*bass, *MELODY]))
    assert bass_share(pitches, _score(bass)) > 0.9
    assert bass_share(pitches, _score(_line(Part.BASS, [42, 42, 47, 49]))) < 0.1


def test_chord_tones_are_found() -> None:
    """A triad is among the four most salient pitch classes; one a semitone higher mostly is not."""
    triad = [note for pitch in (60, 64, 67) for note in _line(Part.CHORDS, [pitch])]
    higher = [note for pitch in (61, 65, 68) for note in _line(Part.CHORDS, [pitch])]
    pitches = pitches_of(_play(triad))
    assert chord_tone_share(pitches, _score(triad)) > 0.95
    assert chord_tone_share(pitches, _score(higher)) < 0.5


KIT = {
    Stroke.KICK: [_note(Part.KIT, float(i), KICK) for i in range(8)],
    Stroke.SNARE: [_note(Part.KIT, i + 0.5, SNARE) for i in range(8)],
    Stroke.HAT: [_note(Part.KIT, i + 0.25, CLOSED_HAT) for i in range(8)],
}


@pytest.mark.parametrize("stroke", list(Stroke), ids=lambda stroke: stroke.label)
def test_strokes_are_heard_where_they_are_played(stroke: Stroke) -> None:
    """Every class among the others; not where there are none, and by chance in noise."""
    audio = _drum([note for notes in KIT.values() for note in notes])
    asked = _score(KIT[stroke])
    shifted = _score([_note(Part.KIT, note.start_s + 0.125, note.pitch) for note in KIT[stroke]])
    assert stroke_auc(audio, asked, GRID, stroke) > 0.9
    assert stroke_auc(audio, shifted, GRID, stroke) < 0.6
    by_chance = np.mean([stroke_auc(_noise(seed=seed), asked, GRID, stroke) for seed in range(8)])
    assert by_chance == pytest.approx(0.5, abs=0.15)
    assert np.isnan(stroke_auc(audio, _score([]), GRID, stroke))


def test_onsets_are_counted_against_those_of_the_score() -> None:
    """Two notes at once are one onset; half the strokes give half the ratio."""
    kicks = KIT[Stroke.KICK]
    doubled = _score([*kicks, *KIT[Stroke.SNARE], *(_note(Part.KIT, note.start_s, CLOSED_HAT) for note in kicks)])
    assert onset_ratio(_drum([*kicks, *KIT[Stroke.SNARE]]), doubled) == pytest.approx(1.0, abs=0.15)
    assert onset_ratio(_drum(kicks), doubled) == pytest.approx(0.5, abs=0.1)


def test_an_ending_on_the_bar_line_and_the_tonic_is_recognised() -> None:
    """A last chord of C at a bar line, in C; the same audio is not an ending in F sharp, nor on the line of another tempo."""
    final = [_note(Part.CHORDS, 6.0, pitch, seconds=1.8) for pitch in (60, 64, 67)]
    notes = [*MELODY[:12], *final]
    audio = _play(notes)
    ending = measure_ending(audio, _score(notes, ending_s=6.0), GRID, Key.parse("C major"))
    assert ending.on_bar_line == 1.0
    assert ending.on_tonic > 0.9
    assert ending.on_wrong_tonic < 0.1
    assert ending.tail_db < -40.0
    assert last_onset_on_bar_line(audio, TempoMap.constant(91.0)) == 0.0
    assert np.isnan(measure_ending(audio, _score(notes), GRID, Key.parse("C major")).on_tonic)


def test_levels_at_both_ends_and_between_takes() -> None:
    """Noise that stops abruptly has its own level at the end; a gain of 6 dB is a range of 6 LU."""
    assert tail_db(_noise()) == pytest.approx(0.0, abs=0.5)
    loud = np.ones((2, RATE_HZ), dtype=np.float32)
    first = measure_ending(loud, _score([]), GRID, Key.parse("C major")).first_sample_dbfs
    assert first == pytest.approx(0.0, abs=1e-6)
    spread = level_spread([_noise(0.1), _noise(0.1), _noise(0.2)])
    assert spread.range_lu == pytest.approx(6.02, abs=0.05)
    assert spread.deviation_lu == pytest.approx(6.02 * np.sqrt(2) / 3, abs=0.05)
    assert level_spread([_noise(0.1)]).range_lu == 0.0
