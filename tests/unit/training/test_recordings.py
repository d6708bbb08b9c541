"""Your own recordings as training data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from render_service.renderers.latent_diffusion.controls import channel_slice
from servicekit.delivery.names import STEMS
from training.cli import main
from training.features import read
from training.recordings import RecordingError, read_recording, recorded_stems

RATE_HZ = 44100
FACTS = {"captions": ["slow strings"], "persona": "hall", "key": "A minor", "bpm": 80, "firstDownbeatSecond": 0.1}


def _sound(seed: int, seconds: float = 1.5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 0.2, (round(seconds * RATE_HZ), 2)).astype(np.float32)


def _recording(folder: Path, name: str, *, stems: bool, **more: Any) -> Path:
    """Write a recording of 1.5 s: either a mix, or stems of which the vocals are silent."""
    folder.mkdir(exist_ok=True)
    if stems:
        (folder / name).mkdir()
        for number, stem in enumerate(STEMS):
            audio = _sound(number) * (0.0 if stem == "vocals" else 1.0)
            soundfile.write(folder / name / f"{stem}.flac", audio, RATE_HZ)
    else:
        soundfile.write(folder / f"{name}.wav", _sound(9), RATE_HZ)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**FACTS, **more}))
    return path


def test_recordings_are_cached_as_songs(tmp_path: Path) -> None:
    """`corpus --recordings` computes their features; channels of unknown facts are zero."""
    recordings, work = tmp_path / "recordings", tmp_path / "work"
    _recording(recordings, "plain", stems=False)
    _recording(recordings, "layered", stems=True, chords=[[0.0, "A:min7"], [0.8, "C:maj", "E"]])
    ended = CliRunner().invoke(main, ["corpus", "--recordings", str(recordings), "--work", str(work)])
    assert ended.exit_code == 0, ended.output
    layered, plain = (read(Path(line), with_audio=True) for line in ended.output.split())
    assert plain.captions == ("slow strings",)
    assert (plain.persona, plain.instrumental) == ("hall", False)
    assert not plain.controls[channel_slice("chord")].any()
    assert not plain.controls[channel_slice("playing")].any()
    assert plain.controls[channel_slice("beat_attack")].any()
    assert layered.instrumental
    assert layered.controls[channel_slice("bass")][4, -1] == 1.0
    drums, _, vocals, _ = layered.controls[channel_slice("playing")]
    assert (drums == 1.0).all()
    assert (vocals == -1.0).all()
    total = sum(soundfile.read(recordings / "layered" / f"{stem}.flac", dtype="float32")[0] for stem in STEMS)
    assert np.abs(layered.audio / 32767.0 - total.T[:, : layered.audio.shape[1]]).max() < 1e-4


def test_stems_of_recordings_train_the_separator(tmp_path: Path) -> None:
    """Recordings without stems are skipped; too few for a held-out set are refused."""
    recordings = tmp_path / "recordings"
    _recording(recordings, "plain", stems=False)
    _recording(recordings, "layered", stems=True)
    (song,) = recorded_stems(recordings, tmp_path / "cache")
    assert song.stems.shape == (4, 2, round(1.5 * RATE_HZ))
    assert np.abs(song.crop(0, 1000)[0].T - _sound(0)[:1000]).max() < 2.0**-15
    arguments = ["separator", "--work", str(tmp_path), "--out", str(tmp_path / "out"), "--budget-s", "1"]
    ended = CliRunner().invoke(main, [*arguments, "--recordings", str(recordings), "--held-out", "1"])
    assert ended.exit_code == 2
    assert "--held-out must be less than the number of recordings with stems" in ended.output


def _mono_48k(folder: Path) -> None:
    soundfile.write(folder / "one.wav", _sound(1)[:, 0], 48000)


def _without_tempo(folder: Path) -> None:
    (folder / "one.json").write_text(json.dumps({k: v for k, v in FACTS.items() if k != "bpm"}))


def _odd_key(folder: Path) -> None:
    (folder / "one.json").write_text(json.dumps({**FACTS, "key": "H dur"}))


def _odd_chord(folder: Path) -> None:
    (folder / "one.json").write_text(json.dumps({**FACTS, "chords": [[0, "C:add9"]]}))


def _odd_word(folder: Path) -> None:
    (folder / "one.json").write_text(json.dumps({**FACTS, "caption": "fast"}))


def _three_stems(folder: Path) -> None:
    (folder / "one").mkdir()
    for stem in STEMS[:3]:
        soundfile.write(folder / "one" / f"{stem}.wav", _sound(1), RATE_HZ)


def _no_sound(folder: Path) -> None:
    (folder / "one.wav").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_mono_48k, "one.wav must have 44100 Hz"),
        (_without_tempo, "must have either 'bpm' or 'tempoMap'"),
        (_odd_key, "a tonic and a mode"),
        (_odd_chord, "one of maj, min"),
        (_odd_word, "got ['caption']"),
        (_three_stems, "four stems as WAV or FLAC, missing: other"),
        (_no_sound, "needs one.wav, one.flac or a folder one/ of stems"),
    ],
)
def test_the_error_for_an_unusable_recording_is_precise(damage: Any, message: str, tmp_path: Path) -> None:
    """It names the file, what was expected and what was found."""
    path = _recording(tmp_path / "own", "one", stems=False)
    read_recording(path)
    damage(path.parent)
    with pytest.raises(RecordingError) as refused:
        read_recording(path)
    assert message in str(refused.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """Exit status 2 and a message, no traceback."""
    ended = CliRunner().invoke(main, ["corpus", "--recordings", str(tmp_path), "--work", str(tmp_path / "work")])
    assert ended.exit_code == 2
    assert "contains no recordings" in ended.output
    assert not (tmp_path / "work").exists()
