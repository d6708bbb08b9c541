"""Training of the renderer's nets: features, the loop, and the export, on one short song."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from render_service.renderers.latent_diffusion.autoencoder import Autoencoder, AutoencoderConfig
from render_service.renderers.latent_diffusion.checkpoint import load
from render_service.renderers.latent_diffusion.controls import channel_slice
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec
from render_service.renderers.load import weights_folder
from training.autoencoder import (
    AutoencoderTask,
    fit_bands,
    fit_components,
    freeze_all_but_decoder,
    reconstruction_error_db,
)
from training.cli import main
from training.corpus.compose import compose
from training.corpus.song import perform
from training.features import SongFeatures, drop_controls, extract, read, write
from training.latents import read_latents
from training.loop import LoopSpec, train
from training.training_set import persona_of
from training.work_folder import WorkFolder

SIZES = AutoencoderConfig(encoder_width=16, decoder_width=16, encoder_blocks=1, decoder_blocks=1)


@pytest.fixture(scope="module")
def song() -> SongFeatures:
    """A 10 s instrumental of the corpus."""
    played = perform(compose(5, seconds=10.0, instrumental=True))
    return extract(played, FrontEnd(FrontEndSpec()))


class _Line:
    """The smallest task: linear regression. It can be interrupted at a step."""

    name = "line"

    def __init__(self, *, interrupt_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.net: torch.nn.Module = torch.nn.Linear(3, 1)
        self._interrupt_at = interrupt_at

    def loss(self, generator: torch.Generator, step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        if step == self._interrupt_at:
            raise KeyboardInterrupt
        x = torch.randn(16, 3, generator=generator)
        error = (self.net(x)[:, 0] - x @ torch.tensor([1.0, -2.0, 0.5])).square().mean()
        return error, {"error": float(error.detach())}


def _train(task: _Line, folder: Path) -> Mapping[str, torch.Tensor]:
    spec = LoopSpec(budget_s=1e9, max_steps=30, warmup_steps=1, learning_rate=0.1)
    train(task, folder, spec, device=torch.device("cpu"), on_progress=lambda *_: None)
    return task.net.state_dict()


def test_features_survive_a_round_trip(song: SongFeatures, tmp_path: Path) -> None:
    """Features are read as written; audio, mel and controls have the same duration; a silent voice is marked silent."""
    path = write(song, tmp_path)
    loaded = read(path, with_audio=True)
    assert (loaded.persona, loaded.captions, loaded.seed) == (song.persona, song.captions, song.seed)
    assert np.array_equal(loaded.log_mel, song.log_mel)
    assert np.array_equal(loaded.audio, song.audio)
    assert song.log_mel.shape[-1] == 4 * song.controls.shape[-1] == song.audio.shape[-1] // 512
    drums, _, vocals, _ = song.controls[channel_slice("playing")]
    assert (vocals == -1.0).all()
    assert drums.max() == 1.0


def test_what_a_drop_leaves_of_the_controls(song: SongFeatures) -> None:
    """Without the score the phrase position is there, with it the notes are; which stems play is dropped by itself."""
    controls = torch.from_numpy(song.controls).float().repeat(3, 1, 1)
    playing, score = torch.tensor([False, True, False]), torch.tensor([False, False, True])
    dropped = drop_controls(controls, playing=playing, score=score)
    present = {
        name: dropped[:, channel_slice(name)].abs().sum(dim=(1, 2)).bool().tolist()
        for name in ("playing", "score_kit", "score_known", "phrase_phase", "chord")
    }
    assert present == {
        "playing": [True, False, True],
        "score_kit": [True, True, False],
        "score_known": [True, True, False],
        "phrase_phase": [False, False, True],
        "chord": [True, True, True],
    }


def test_the_number_of_a_song_determines_its_persona() -> None:
    """Even numbers cycle through twelve named personas; every random persona has two songs."""
    assert persona_of(0).id == persona_of(24).id
    assert persona_of(1) == persona_of(3)
    assert persona_of(1) != persona_of(5)


def test_an_interrupted_run_resumes_exactly(tmp_path: Path) -> None:
    """It ends in the same weights, bit by bit, as an uninterrupted run, and they fit the line."""
    uninterrupted = _train(_Line(), tmp_path / "uninterrupted")
    with pytest.raises(KeyboardInterrupt):
        _train(_Line(interrupt_at=17), tmp_path / "resumed")
    resumed = _train(_Line(), tmp_path / "resumed")
    assert all(torch.equal(value, resumed[name]) for name, value in uninterrupted.items())
    start = _Line().net.state_dict()["weight"]
    target = torch.tensor([[1.0, -2.0, 0.5]])
    assert (uninterrupted["weight"] - target).norm() < 0.5 * (start - target).norm()


def test_training_improves_on_the_principal_components(song: SongFeatures, tmp_path: Path) -> None:
    """A few steps lower the error of the linear part; with the rest frozen, only the decoder has gradients."""
    torch.manual_seed(0)
    front_end, net = FrontEnd(FrontEndSpec()), Autoencoder(SIZES)
    fit_bands(front_end, [song])
    fit_components(net, front_end, [song])
    before = reconstruction_error_db(net, front_end, [song])
    task = AutoencoderTask(net, front_end, [song], batch=4, crop_frames=128)
    spec = LoopSpec(budget_s=1e9, max_steps=40, warmup_steps=5, ema_decay=0.9)
    train(task, tmp_path, spec, device=torch.device("cpu"), on_progress=lambda *_: None)
    after = reconstruction_error_db(net, front_end, [song])
    assert after < before
    trained = {name for name, p in freeze_all_but_decoder(net).named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("decoder.") for name in trained)


def test_init_copies_the_weights_of_a_checkpoint(tmp_path: Path) -> None:
    """After `init` every net has the starter's weights, band statistics included; a folder with runs is refused."""
    work = tmp_path / "work"
    ended = CliRunner().invoke(main, ["init", "--work", str(work)])
    assert ended.exit_code == 0, ended.output
    _, starter = load(weights_folder("starter"))
    initial = WorkFolder(path=work).nets()
    for role in ("front_end", "autoencoder", "denoiser", "persona", "habits"):
        ours, theirs = initial.of(role).state_dict(), starter.of(role).state_dict()
        assert all(torch.equal(value, ours[name]) for name, value in theirs.items()), role
    origin = WorkFolder(path=work).origin()
    assert origin is not None
    assert origin["checkpoint"] == "starter"
    _train(_Line(), work)
    ended = CliRunner().invoke(main, ["init", "--work", str(work)])
    assert ended.exit_code == 2
    assert "line.pt" in ended.output


def test_noise_on_latents_raises_the_loss(song: SongFeatures) -> None:
    """The loss of a batch is larger with noise, and the same for the same seed."""
    front_end, net = FrontEnd(FrontEndSpec()), Autoencoder(SIZES)
    fit_bands(front_end, [song])
    fit_components(net, front_end, [song])

    def error(noise: float) -> float:
        task = AutoencoderTask(net, front_end, [song], batch=4, crop_frames=64, noise=noise)
        return task.loss(torch.Generator().manual_seed(0), 0)[0].item()

    assert error(0.0) < error(0.35) == error(0.35)


def test_a_preview_needs_no_work_folder(tmp_path: Path) -> None:
    """`corpus --preview` writes mix and stems; without --preview and --work the command is refused."""
    arguments = ["corpus", "--preview", str(tmp_path), "--songs", "1", "--first", "3", "--seconds", "2"]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 0, ended.output
    assert len(list((tmp_path / "seed-3").glob("*.wav"))) == 5
    refused = CliRunner().invoke(main, ["corpus"])
    assert refused.exit_code == 2
    assert "--work" in refused.output


def test_songs_have_the_length_that_is_asked_for(tmp_path: Path) -> None:
    """`corpus` and `latents` compose songs of --seconds."""
    work = str(tmp_path)
    for arguments in (
        ["init", "--work", work],
        ["corpus", "--work", work, "--songs", "1", "--seconds", "3"],
        ["latents", "--work", work, "--songs", "2", "--seconds", "2.5"],
    ):
        ended = CliRunner().invoke(main, arguments)
        assert ended.exit_code == 0, ended.output
    folder = WorkFolder(path=tmp_path)
    (song,) = (read(path) for path in folder.songs.glob("*.safetensors"))
    assert song.log_mel.shape[-1] * 512 / 44100 == pytest.approx(3.0, abs=0.1)
    encoded, composed = read_latents(folder.latents)
    assert encoded.frames * 2048 / 44100 == pytest.approx(3.0, abs=0.1)
    assert composed.frames * 2048 / 44100 == pytest.approx(2.5, abs=0.1)


def test_an_exported_checkpoint_loads(song: SongFeatures, tmp_path: Path) -> None:
    """`export` writes config, weights, model card and data sheet at any point of the training; --plain has no refiner."""
    work, to = tmp_path / "work", tmp_path / "checkpoint"
    work_folder = WorkFolder(path=work)
    write(song, work_folder.songs)
    front_end = work_folder.front_end()
    fit_bands(front_end, [song])
    work_folder.save_front_end(front_end)
    result = CliRunner().invoke(main, ["export", "--work", str(work), "--to", str(to), "--name", "mine", "--plain"])
    assert result.exit_code == 0, result.output
    config, nets = load(to)
    assert config.name == "mine"
    assert not config.vocoder.refined
    assert torch.allclose(nets.front_end.band_mean, front_end.band_mean)
    assert "not used" in (to / "MODEL_CARD.md").read_text()
    assert (to / "data_sheet.json").is_file()
