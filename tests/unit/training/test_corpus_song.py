"""The corpus as audio."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count, islice, pairwise
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy.signal import fftconvolve

from render_service.composer.score import Note, Part
from servicekit.delivery.names import STEMS
from training.corpus.builtin_personas import personas
from training.corpus.bus import convolve
from training.corpus.compose import compose
from training.corpus.composition import Composition
from training.corpus.loudness import levelling_lufs, loudness_lufs
from training.corpus.preview import write_preview
from training.corpus.song import Song, perform
from training.corpus.song import songs as songs_of
from training.corpus.soundfont import DEFAULT_SOUNDFONT, SAMPLE_RATE_HZ, SoundfontMissingError, load_soundfont
from training.corpus.store import StaleSongError, cached_songs, map_in_order, map_songs
from training.corpus.sub_bass import play_808

needs_soundfont = pytest.mark.skipif(not DEFAULT_SOUNDFONT.is_file(), reason="needs Debian package fluid-soundfont-gm")
SECONDS = 8.0


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    """Four short songs."""
    return list(songs_of(range(4), SECONDS))


@needs_soundfont
def test_stems_sum_exactly_to_the_mix(songs: list[Song]) -> None:
    """In float32 and in any order; the mix has 1 dB of headroom."""
    for song in songs:
        assert tuple(song.stems) == STEMS
        forward = sum(song.stems.values(), start=np.zeros_like(song.mix))
        backward = sum(reversed(song.stems.values()), start=np.zeros_like(song.mix))
        assert np.array_equal(forward, song.mix)
        assert np.array_equal(backward, song.mix)
        for audio in (song.mix, *song.stems.values()):
            assert audio.dtype == np.float32
            assert audio.shape == (2, round(SECONDS * SAMPLE_RATE_HZ))
        assert np.abs(song.mix).max() <= 10.0 ** (-1.0 / 20.0)


@needs_soundfont
def test_the_same_seed_gives_the_same_samples(songs: list[Song]) -> None:
    """Bit by bit."""
    again = perform(compose(songs[1].seed, seconds=SECONDS))
    assert np.array_equal(again.mix, songs[1].mix)


@needs_soundfont
def test_only_an_instrumental_has_a_silent_vocals_stem() -> None:
    """Silent means all zeros."""
    quiet = perform(compose(2, seconds=6.0, instrumental=True))
    assert not quiet.stems["vocals"].any()
    assert all(quiet.stems[stem].any() for stem in ("drums", "bass", "other"))
    assert perform(compose(2, seconds=20.0, instrumental=False)).stems["vocals"].any()


@needs_soundfont
def test_strokes_sound_where_the_score_has_them() -> None:
    """With kicks alone, the level of the audio rises at each kick and not before."""
    checked = 0
    for seed in range(3):
        whole = compose(seed, seconds=SECONDS, persona=personas()[seed])
        kicks = tuple(note for note in whole.score.notes if note.part is Part.KIT and note.pitch == 36)
        song = replace(whole, score=replace(whole.score, notes=kicks))
        drums = perform(song).stems["drums"].astype(np.float64).sum(axis=0)
        step = SAMPLE_RATE_HZ // 1000
        level = np.sqrt(np.square(drums[: len(drums) // step * step]).reshape(-1, step).mean(axis=1))
        for event in song.score.events:
            at = round(event.start_s * SAMPLE_RATE_HZ / step)
            if event.stem == "drums" and 30 < at < len(level) - 30:
                before = level[at - 12 : at - 1].max()
                checked += 1
                assert level[at : at + 5].max() > 3.0 * before
    assert checked > 10


@needs_soundfont
def test_stems_are_balanced_like_a_mix() -> None:
    """The loudness of stems differs by less than 9 LU."""
    for seed in range(3):
        song = perform(compose(seed, seconds=20.0, instrumental=False))
        levels = {stem: loudness_lufs(audio) for stem, audio in song.stems.items()}
        sounding = [level for level in levels.values() if level is not None]
        assert len(sounding) == 4
        assert max(sounding) - min(sounding) < 9.0


@needs_soundfont
def test_personas_sound_different_on_the_same_score() -> None:
    """The long-term spectra of two personas with one seed differ more than those of one persona with two seeds."""
    spectra = np.array(
        [[_spectrum_db(perform(compose(seed, seconds=8.0, persona=p)).mix) for seed in (1, 2)] for p in personas()[:4]]
    )
    within = np.abs(spectra[:, 0] - spectra[:, 1]).mean()
    across = np.mean([np.abs(spectra[i, 0] - spectra[j, 0]).mean() for i in range(4) for j in range(i)])
    assert across > within


def test_loudness_agrees_with_pyloudnorm() -> None:
    """Within 0.05 LU; silence has no loudness."""
    rng = np.random.default_rng(0)
    audio = (0.1 * rng.standard_normal((2, 5 * SAMPLE_RATE_HZ)) * np.linspace(0.0, 1.0, 5 * SAMPLE_RATE_HZ)).astype(
        np.float32
    )
    reference = pyloudnorm.Meter(SAMPLE_RATE_HZ, filter_class="DeMan").integrated_loudness(audio.T)
    assert loudness_lufs(audio) == pytest.approx(reference, abs=0.05)
    assert loudness_lufs(np.zeros_like(audio)) is None


@needs_soundfont
def test_the_loudness_for_levelling_is_close(songs: list[Song]) -> None:
    """To that of every frame: an RMS error under 0.25 LU for stems and mixes of 8 s, which add to a spread of 0.8 LU."""
    sounding = [audio for song in songs for audio in (song.mix, *song.stems.values()) if audio.any()]
    assert len(sounding) > 12
    errors = np.array([levelling_lufs(audio) for audio in sounding]) - [loudness_lufs(audio) for audio in sounding]
    assert np.sqrt(np.mean(np.square(errors))) < 0.25
    assert levelling_lufs(np.zeros_like(songs[0].mix)) is None


@pytest.mark.parametrize("frames", [1, 5_000, 16_384, 70_001])
@pytest.mark.parametrize("sides", [1, 2])
def test_convolution_in_blocks_is_convolution(frames: int, sides: int) -> None:
    """For audio shorter than the response, of one block and of several groups of blocks; mono in gives two sides."""
    rng = np.random.default_rng(frames)
    audio = rng.standard_normal((sides, frames)).astype(np.float32)
    response = rng.standard_normal((2, 6_000)).astype(np.float32)
    expected = fftconvolve(audio, response, axes=1)[:, :frames]
    assert np.abs(convolve(audio, response) - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_808_starts_at_its_frame_with_its_pitch() -> None:
    """Silent before its frame; once the drop is over, its pitch is the note's."""
    note = Note(part=Part.BASS, pitch=33, start_s=0.5, end_s=1.5, velocity=1.0)
    (tone,) = play_808([note], drive=0.0, frames=2 * SAMPLE_RATE_HZ)
    start = SAMPLE_RATE_HZ // 2
    assert not tone[: start + 1].any()
    assert tone[start + 1]
    spectrum = np.abs(np.fft.rfft(tone[start + SAMPLE_RATE_HZ // 5 :][: SAMPLE_RATE_HZ // 2], 4 * SAMPLE_RATE_HZ))
    assert int(np.argmax(spectrum)) / 4 == pytest.approx(55.0, abs=0.5)


def test_the_error_for_a_missing_soundfont_names_the_package(tmp_path: Path) -> None:
    """The user sees what to install."""
    with pytest.raises(SoundfontMissingError, match="fluid-soundfont-gm"):
        load_soundfont(tmp_path / "none.sf2")


@needs_soundfont
def test_stored_songs_are_read_with_their_score_and_sum(tmp_path: Path) -> None:
    """Stems have 16 bits; a song that its seed no longer gives is refused."""
    (stored,) = cached_songs([5], 3.0, tmp_path)
    assert stored.composition == compose(5, seconds=3.0)
    mix = perform(stored.composition).mix
    crop = stored.crop(1000, 2000)
    assert crop.shape == (4, 2, 2000)
    assert np.abs(crop.sum(axis=0) - mix[:, 1000:3000]).max() < 4 * 2.0**-16
    row = tmp_path / "seed-5.json"
    row.write_text(row.read_text().replace('"seconds": 3.0', '"seconds": 4.0'))
    with pytest.raises(StaleSongError, match="seed-5"):
        next(cached_songs([5], 4.0, tmp_path))


@needs_soundfont
def test_songs_are_mapped_in_the_order_of_their_seeds() -> None:
    """The results of the function are in the order of the seeds."""
    found = list(map_songs(_frames_of, [3, 1, 2], 2.0))
    assert found == [(3, 88_200), (1, 88_200), (2, 88_200)]


def test_results_of_two_processes_are_in_order() -> None:
    """Only a few numbers are taken ahead, however many there are; an error reaches the caller."""
    numbers = count()
    squares = map_in_order(partial(pow, exp=2), numbers, processes=2)
    assert list(islice(squares, 30)) == [number**2 for number in range(30)]
    squares.close()
    assert next(numbers) < 60
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(partial(pow, exp=-1), [2, 0, 1], processes=2))


def _frames_of(composition: Composition, song: Song) -> tuple[int, int]:
    return composition.seed, song.mix.shape[1]


def _spectrum_db(mix: np.ndarray) -> np.ndarray:
    power = np.square(np.abs(np.fft.rfft(mix.sum(axis=0))))
    edges = np.geomspace(40.0, 16_000.0, 25) * mix.shape[1] / SAMPLE_RATE_HZ
    bands = [power[int(a) : int(b)].mean() for a, b in pairwise(edges)]
    return 10.0 * np.log10(np.array(bands) + 1e-9)


@needs_soundfont
def test_a_preview_has_mix_stems_and_plan(tmp_path: Path) -> None:
    """Five WAV files of equal length per song, and a text with its caption."""
    (folder,) = write_preview([3], tmp_path, seconds=2.0)
    assert {soundfile.info(path).frames for path in folder.glob("*.wav")} == {88_200}
    assert len(list(folder.glob("*.wav"))) == 5
    assert compose(3, seconds=2.0).caption.text in (folder / "plan.txt").read_text()
