"""Training of the renderer's nets: features, the loop, and the way to a checkpoint, on one short song."""

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
from training.autoencoder import AutoencoderTask, decoder_alone, fit_bands, fit_components, reconstruction_error_db
from training.cache import persona_of
from training.cli import main
from training.corpus.compose import compose
from training.corpus.song import perform
from training.denoiser import heard_elsewhere
from training.features import SongFeatures, extract, read, without_playing, write
from training.loop import LoopSpec, train
from training.workshop import Workshop

SIZES = AutoencoderConfig(encoder_width=16, decoder_width=16, encoder_blocks=1, decoder_blocks=1)


@pytest.fixture(scope="module")
def song() -> SongFeatures:
    """Ten seconds of the corpus, instrumental."""
    played = perform(compose(5, seconds=10.0, instrumental=True))
    return extract(played, FrontEnd(FrontEndSpec()))


class _Line:
    """The smallest task: fit a line. It can be cut off at a step."""

    name = "line"

    def __init__(self, *, cut_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.net: torch.nn.Module = torch.nn.Linear(3, 1)
        self._cut_at = cut_at

    def loss(self, generator: torch.Generator, step: int) -> tuple[torch.Tensor, Mapping[str, float]]:
        if step == self._cut_at:
            raise KeyboardInterrupt
        x = torch.randn(16, 3, generator=generator)
        error = (self.net(x)[:, 0] - x @ torch.tensor([1.0, -2.0, 0.5])).square().mean()
        return error, {"error": float(error.detach())}


def _train(task: _Line, folder: Path) -> Mapping[str, torch.Tensor]:
    spec = LoopSpec(budget_s=1e9, max_steps=30, warmup_steps=1, learning_rate=0.1)
    train(task, folder, spec, device=torch.device("cpu"), progress=lambda *_: None)
    return task.net.state_dict()


def test_features_are_kept_whole(song: SongFeatures, tmp_path: Path) -> None:
    """What is written is read; audio, mel and controls cover the same time; a silent voice rests."""
    path = write(song, tmp_path)
    again = read(path, with_audio=True)
    assert (again.persona, again.captions, again.seed) == (song.persona, song.captions, song.seed)
    assert np.array_equal(again.log_mel, song.log_mel)
    assert np.array_equal(again.audio, song.audio)
    assert song.log_mel.shape[-1] == 4 * song.controls.shape[-1] == song.audio.shape[-1] // 512
    drums, _, vocals, _ = song.controls[channel_slice("playing")]
    assert (vocals == -1.0).all()
    assert drums.max() == 1.0
    opened = without_playing(torch.from_numpy(song.controls).float())
    assert not opened[channel_slice("playing")].any()
    assert opened[channel_slice("chord")].any()


def test_captions_are_drawn_apart_from_personas() -> None:
    """The persona of a song follows from its number alone, and every drawn identity has two songs."""
    assert persona_of(0).id == persona_of(24).id
    assert persona_of(1) == persona_of(3)
    assert persona_of(1) != persona_of(5)


def test_a_persona_is_heard_in_its_other_songs() -> None:
    """A song's own windows would tell what plays in it; they are used only where the persona has no other song."""
    windows = [torch.full((count, 2), float(count)) for count in (1, 2, 3)]
    personas = ["one", "two", "one"]
    assert torch.equal(heard_elsewhere(0, personas, windows), windows[2])
    assert torch.equal(heard_elsewhere(2, personas, windows), windows[0])
    assert torch.equal(heard_elsewhere(1, personas, windows), windows[1])


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Cut off in the middle and started again, a run ends in the same weights bit for bit, and they fit the line."""
    whole = _train(_Line(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        _train(_Line(cut_at=17), tmp_path / "parts")
    parts = _train(_Line(), tmp_path / "parts")
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    start = _Line().net.state_dict()["weight"]
    target = torch.tensor([[1.0, -2.0, 0.5]])
    assert (whole["weight"] - target).norm() < 0.5 * (start - target).norm()


def test_components_come_first_and_the_net_mends_them(song: SongFeatures, tmp_path: Path) -> None:
    """The linear part alone decodes; some steps of training lower its error; then the decoder goes on alone."""
    torch.manual_seed(0)
    front_end, net = FrontEnd(FrontEndSpec()), Autoencoder(SIZES)
    fit_bands(front_end, [song])
    fit_components(net, front_end, [song])
    before = reconstruction_error_db(net, front_end, [song])
    task = AutoencoderTask(net, front_end, [song], batch=4, crop_frames=128)
    spec = LoopSpec(budget_s=1e9, max_steps=40, warmup_steps=5, ema_decay=0.9)
    train(task, tmp_path, spec, device=torch.device("cpu"), progress=lambda *_: None)
    after = reconstruction_error_db(net, front_end, [song])
    assert after < before
    trained = {name for name, p in decoder_alone(net).named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("decoder.") for name in trained)


def test_a_run_begins_from_weights_that_are_there(tmp_path: Path) -> None:
    """After `begin` every net is the starter's, band statistics too; a folder in which a run has begun refuses."""
    work = tmp_path / "work"
    ended = CliRunner().invoke(main, ["begin", "--work", str(work)])
    assert ended.exit_code == 0, ended.output
    _, starter = load(weights_folder("starter"))
    begun = Workshop(folder=work).nets()
    for role in ("front_end", "autoencoder", "denoiser", "persona"):
        ours, theirs = begun.of(role).state_dict(), starter.of(role).state_dict()
        assert all(torch.equal(value, ours[name]) for name, value in theirs.items()), role
    origin = Workshop(folder=work).origin()
    assert origin is not None
    assert origin["checkpoint"] == "starter"
    _train(_Line(), work)
    ended = CliRunner().invoke(main, ["begin", "--work", str(work)])
    assert ended.exit_code == 2
    assert "line.pt" in ended.output


def test_a_decoder_hears_rough_latents(song: SongFeatures) -> None:
    """With noise the error of a batch is larger, and the same noise comes again."""
    front_end, net = FrontEnd(FrontEndSpec()), Autoencoder(SIZES)
    fit_bands(front_end, [song])
    fit_components(net, front_end, [song])

    def error(noise: float) -> float:
        task = AutoencoderTask(net, front_end, [song], batch=4, crop_frames=64, noise=noise)
        return task.loss(torch.Generator().manual_seed(0), 0)[0].item()

    assert error(0.0) < error(0.35) == error(0.35)


def test_a_few_songs_can_be_heard_first(tmp_path: Path) -> None:
    """`corpus --preview` writes mix and stems and needs no work folder."""
    arguments = ["corpus", "--preview", str(tmp_path), "--songs", "1", "--first", "3", "--seconds", "2"]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 0, ended.output
    assert len(list((tmp_path / "seed-3").glob("*.wav"))) == 5
    refused = CliRunner().invoke(main, ["corpus"])
    assert refused.exit_code == 2
    assert "--work" in refused.output


def test_a_work_folder_becomes_a_checkpoint_that_loads(song: SongFeatures, tmp_path: Path) -> None:
    """`export` writes config, weights and cards from whatever is trained so far; --plain ships no refiner."""
    work, to = tmp_path / "work", tmp_path / "checkpoint"
    workshop = Workshop(folder=work)
    write(song, workshop.songs)
    front_end = workshop.front_end()
    fit_bands(front_end, [song])
    workshop.keep_front_end(front_end)
    result = CliRunner().invoke(main, ["export", "--work", str(work), "--to", str(to), "--name", "mine", "--plain"])
    assert result.exit_code == 0, result.output
    config, nets = load(to)
    assert config.name == "mine"
    assert not config.vocoder.refined
    assert torch.allclose(nets.front_end.band_mean, front_end.band_mean)
    assert "not used" in (to / "MODEL_CARD.md").read_text()
    assert (to / "data_sheet.json").is_file()
