"""The small copy of the soundfont plays like the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from render_service.composer.score import Note, Part
from training.corpus.compact_soundfont import SoundfontFormatError, compact, corpus_keys, expand
from training.corpus.compose import compose
from training.corpus.soundfont import DEFAULT_SOUNDFONT, Soundfont

PIANO, BASS, STRINGS, KIT = (0, 0), (0, 33), (0, 48), (128, 0)
KEYS = {PIANO: range(58, 63), BASS: range(38, 42), STRINGS: range(60, 64), KIT: {36, 38, 46}}
WINDOW = 1024


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Soundfont, Soundfont]:
    """The original, and an expanded small copy."""
    folder = tmp_path_factory.mktemp("fonts")
    compact(DEFAULT_SOUNDFONT, folder / "small.zip", keys=KEYS, quality=0.6)
    expand(folder / "small.zip", folder / "small.sf2")
    assert (folder / "small.zip").stat().st_size < 0.01 * DEFAULT_SOUNDFONT.stat().st_size
    return Soundfont(DEFAULT_SOUNDFONT), Soundfont(folder / "small.sf2")


def _band_levels_db(audio: NDArray[np.float32]) -> NDArray[np.float64]:
    """Levels of 30 bands in windows of 23 ms."""
    windows = audio.sum(axis=0)[: audio.shape[1] // WINDOW * WINDOW].reshape(-1, WINDOW) * np.hanning(WINDOW)
    edges = np.unique(np.round(np.geomspace(2, WINDOW // 2, 30)).astype(int))
    power = np.add.reduceat(np.square(np.abs(np.fft.rfft(windows))), edges, axis=1)
    return np.asarray(10.0 * np.log10(power + 1e-9))


def _deviation_db(original: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Median difference of the bands that are at most 50 dB below the loudest."""
    levels = _band_levels_db(original)
    loud = levels > levels.max() - 50.0
    return float(np.median(np.abs(levels - _band_levels_db(other))[loud]))


@pytest.mark.parametrize("preset", [PIANO, BASS, STRINGS])
def test_notes_sound_like_the_original(fonts: tuple[Soundfont, Soundfont], preset: tuple[int, int]) -> None:
    """Bands differ by less than 0.5 dB; those of another instrument by more than five times as much."""
    pitch = sorted(KEYS[preset])[1]
    note = Note(part=Part.CHORDS, start_s=0.1, end_s=1.6, pitch=pitch, velocity=0.8)
    original, small = (font.play([note], program=preset[1], frames=88_200) for font in fonts)
    other = fonts[0].play([note], program=56, frames=88_200)
    deviation = _deviation_db(original, small)
    assert deviation < 0.5
    assert _deviation_db(original, other) > 5.0 * deviation


def test_strokes_sound_like_the_original_at_the_same_time(fonts: tuple[Soundfont, Soundfont]) -> None:
    """Kick, snare and open hat at a tuning of a persona's kit: same onset to 1 ms, bands within 1 dB."""
    for key in (36, 38, 46):
        note = Note(part=Part.KIT, start_s=0.05, end_s=1.0, pitch=key, velocity=0.9)
        original, small = (font.strike([note], kit=0, tune=2.0, levels={key: 0.8}, frames=44_100) for font in fonts)
        onsets = [int(np.argmax(np.abs(audio).max(axis=0) > 0.1)) for audio in (original, small)]
        assert abs(onsets[0] - onsets[1]) < 44
        assert _deviation_db(original, small) < 1.0


def test_keys_that_were_not_asked_for_are_left_out(fonts: tuple[Soundfont, Soundfont]) -> None:
    """A drum key outside the kept ones is silent."""
    note = Note(part=Part.KIT, start_s=0.05, end_s=1.0, pitch=56, velocity=0.9)
    original, small = (font.strike([note], kit=0, tune=0.0, levels={56: 0.8}, frames=44_100) for font in fonts)
    assert np.abs(original).max() > 0.1
    assert not small.any()


def test_the_corpus_plays_only_keys_that_are_kept() -> None:
    """Every note of forty songs."""
    keys = corpus_keys()
    for seed in range(40):
        song = compose(seed)
        families = song.caption.instrumentation
        of_part = {
            Part.KIT: (128, song.persona.kit),
            Part.BASS: (0, song.persona.bass.value),
            Part.CHORDS: (0, song.persona.rack(families[0]).chords),
            Part.SECOND_CHORDS: (0, song.persona.rack(families[-1]).chords),
            Part.LINE: (0, song.persona.rack(families[-1]).lines),
        }
        for note in song.score.notes:
            bank, preset = of_part[note.part]
            assert preset is None or note.pitch in keys[bank, preset], (seed, note)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """Neither an SF2 file nor a ZIP of the right entries."""
    (tmp_path / "text").write_text("no font at all", encoding="utf-8")
    with pytest.raises(SoundfontFormatError, match="must be an SF2 file"):
        compact(tmp_path / "text", tmp_path / "out")
    with pytest.raises(SoundfontFormatError, match=r"must be a ZIP with info, pdta"):
        expand(tmp_path / "text", tmp_path / "out")
