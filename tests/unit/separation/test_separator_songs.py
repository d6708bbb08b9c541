"""The songs that the separator trains on: with solos, in a renderer's sound, and the command from songs to model card."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from render_service.composer.score import Note, Part
from render_service.renderers.load import weights_folder
from servicekit.delivery.names import STEMS
from tests.support.tiny_checkpoint import tiny_checkpoint
from training.cli import main
from training.corpus.compose import compose
from training.corpus.loudness import loudness_lufs
from training.corpus.song import perform
from training.corpus.soundfont import DEFAULT_SOUNDFONT
from training.corpus.store import StoredSong
from training.separator.data import ComposedSongs, DataError, SongSet, TrainingData, with_renderer_sound
from training.separator.renderer_sound import RendererSound
from training.separator.solos import as_instrumental, cached_solos, with_solo

needs_soundfont = pytest.mark.skipif(not DEFAULT_SOUNDFONT.is_file(), reason="needs Debian package fluid-soundfont-gm")
CPU = torch.device("cpu")
DRUMS, BASS, VOCALS, OTHER = range(4)


def silently(songs: Iterable[StoredSong], count: int, label: str) -> Iterable[StoredSong]:
    """Show no progress."""
    del count, label
    return songs


def tones(*hertz: float, seconds: float = 1.0) -> StoredSong:
    """A stem for each tone; 0 Hz is silence."""
    t = np.arange(round(seconds * 44100)) / 44100
    stems = [np.stack([8000.0 * np.sin(2 * np.pi * hz * t)] * 2) for hz in hertz]
    return StoredSong(composition=None, stems=np.stack(stems).astype(np.int16))


def strongest_hz(stem: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> float:
    """Frequency of the highest peak of the spectrum of ``(2, T)``."""
    return float(np.abs(np.fft.rfft(stem.astype(np.float64).sum(0))).argmax() * 44100 / stem.shape[-1])


def test_the_renderer_sound_keeps_tones_levels_and_silence(tmp_path: Path) -> None:
    """Each stem passes alone: its tone and level stay, its waveform does not, and a silent stem stays zero."""
    song = tones(200.0, 110.0, 0.0, 440.0)
    rendered = RendererSound(weights_folder("starter"), tmp_path, device=CPU).apply(song)
    assert rendered.stems.dtype == np.int16
    assert rendered.stems.shape == song.stems.shape
    assert not rendered.stems[VOCALS].any()
    for row, hertz in ((DRUMS, 200.0), (BASS, 110.0), (OTHER, 440.0)):
        assert strongest_hz(rendered.stems[row]) == pytest.approx(hertz, abs=12.0)
        levels = [float(np.square(each.stems[row], dtype=np.float64).mean()) for each in (song, rendered)]
        assert abs(10.0 * np.log10(levels[1] / levels[0])) < 4.0
    assert not np.array_equal(rendered.stems[OTHER], song.stems[OTHER])


def test_the_bass_alone_follows_the_notes_of_the_score(tmp_path: Path) -> None:
    """As in takes: its pitch moves towards the note's 55 Hz. The other stems do not change."""
    unknown = tones(58.0, 58.0, 0.0, 440.0)
    composition = compose(3, seconds=1.0)
    note = Note(part=Part.BASS, start_s=0.0, end_s=1.0, pitch=33, velocity=1.0)
    known = replace(unknown, composition=replace(composition, score=replace(composition.score, notes=(note,), sung=())))
    sound = RendererSound(weights_folder("starter"), tmp_path, device=CPU)
    without, with_score = sound.apply(unknown).stems, sound.apply(known).stems
    assert np.array_equal(without[DRUMS], with_score[DRUMS])
    assert np.array_equal(without[OTHER], with_score[OTHER])
    assert abs(strongest_hz(with_score[BASS]) - 55.0) < abs(strongest_hz(without[BASS]) - 55.0)


def test_the_renderer_sound_is_kept_on_disk(tmp_path: Path) -> None:
    """A repeated song is read from its file; another renderer's sound has a file of its own."""
    song, cache = tones(200.0, 110.0, 0.0, 440.0, seconds=0.3), tmp_path / "sound"
    sound = RendererSound(tiny_checkpoint(tmp_path / "one"), cache, device=CPU)
    first = sound.apply(song)
    (file,) = cache.iterdir()
    written = file.stat().st_mtime_ns
    again = sound.apply(song)
    assert np.array_equal(first.stems, again.stems)
    assert file.stat().st_mtime_ns == written
    other = RendererSound(tiny_checkpoint(tmp_path / "other", seed=1), cache, device=CPU).apply(song)
    assert len(list(cache.iterdir())) == 2
    assert not np.array_equal(first.stems, other.stems)


def test_the_mix_in_the_renderer_sound_stays_below_full_scale(tmp_path: Path) -> None:
    """Four stems at the same frequency would add up to more."""
    song = tones(300.0, 300.0, 300.0, 300.0, seconds=0.3)
    rendered = RendererSound(weights_folder("starter"), tmp_path, device=CPU).apply(song)
    mix = rendered.crop(0, rendered.stems.shape[-1]).sum(0)
    assert 0.1 < np.abs(mix).max() < 1.0


def test_a_share_of_the_songs_gets_the_renderer_sound(tmp_path: Path) -> None:
    """Evenly spread over the songs; the first held-out set is measured in it as well."""
    songs = [tones(200.0 + i, 0.0, 0.0, 0.0, seconds=0.1) for i in range(10)]
    held_out = [SongSet(title="first", songs=songs[:1]), SongSet(title="second", songs=songs[1:2])]
    data = TrainingData(songs=songs, held_out=held_out, trained_on="tones")
    sound = RendererSound(tiny_checkpoint(tmp_path / "tiny"), tmp_path / "sound", device=CPU)
    both = with_renderer_sound(data, sound, 0.3, silently)
    assert len(both.rendered) == 3
    assert [one.title for one in both.held_out] == ["first", "second", "first, in the sound of the renderer tiny"]
    assert "3 of them also in the sound of the renderer tiny" in both.trained_on


def test_held_out_seeds_include_those_of_solos(tmp_path: Path) -> None:
    """Solos take the seeds after the songs; a range that reaches the held-out seeds is refused."""
    composed = ComposedSongs(first=999_998, songs=2, solos=1, held_out=1, seconds=2.0, work=tmp_path)
    with pytest.raises(DataError, match="999998 to 1000000"):
        composed.load(silently)


@needs_soundfont
def test_a_solo_takes_the_place_of_the_voice() -> None:
    """The melody is played by the stem "other", about as loud as the voice was, and nobody sings."""
    composition = compose(3, seconds=12.0, instrumental=False)
    sung = perform(composition)
    played = with_solo(composition, sung)
    assert composition.score.sung
    assert not played.stems["vocals"].any()
    melody = {(note.start_s, note.pitch) for note in composition.score.sung}
    assert melody <= {(note.start_s, note.pitch) for note in played.score.notes if note.part is Part.LINE}
    assert np.allclose(sum(played.stems.values()), played.mix, atol=1e-5)
    assert np.abs(played.mix).max() <= 10.0 ** (-1.0 / 20.0) + 1e-6
    fit = float(np.abs(played.stems["bass"]).max() / np.abs(sung.stems["bass"]).max())
    solo, voice = loudness_lufs(played.stems["other"] / fit - sung.stems["other"]), loudness_lufs(sung.stems["vocals"])
    assert solo is not None
    assert voice is not None
    assert solo == pytest.approx(voice, abs=0.5)


@needs_soundfont
def test_composed_songs_and_solos_are_loaded_with_their_scores(tmp_path: Path) -> None:
    """A second run reads what the first composed; held-out sets have seeds of their own."""
    composed = ComposedSongs(first=0, songs=1, solos=1, held_out=1, seconds=3.0, work=tmp_path)
    data = composed.load(silently)
    sung, solo = data.songs
    assert [one.title.split(",")[0] for one in data.held_out] == [
        "Composed songs",
        "With a loud solo instead of the voice",
    ]
    assert sung.composition == compose(0, seconds=3.0)
    assert solo.composition == as_instrumental(compose(1, seconds=3.0))
    assert not solo.stems[STEMS.index("vocals")].any()
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    (again,) = cached_solos(range(1, 2), 3.0, tmp_path / "solos")
    assert np.array_equal(again.stems, solo.stems)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == files


@needs_soundfont
def test_the_command_trains_publishes_and_compares(tmp_path: Path) -> None:
    """One step from the starter's weights; the card has figures on both sounds, before and after."""
    renderer = tiny_checkpoint(tmp_path / "tiny")
    arguments = ["separator", "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--budget-s", "0.001"]
    arguments += ["--songs", "1", "--held-out", "1", "--song-s", "3", "--batch", "1", "--init-from", "starter"]
    arguments += ["--solo-share", "0", "--renderer", str(renderer), "--renderer-share", "1"]
    ended = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "1 steps from the weights of `starter`" in card
    assert card.count("in the sound of the renderer tiny:") == 2
    before, after = card.index("| drums |"), card.index("The weights of `starter`, before")
    assert before < after
    assert (tmp_path / "out" / "own.yaml").is_file()
