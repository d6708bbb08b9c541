"""The starter separator's training code: initial weights, output files, metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from torch import nn

from separation_service.engine.loading import load_models
from training.cli import main
from training.corpus.store import StoredSong
from training.loop import Outcome
from training.separator.command import weights_of
from training.separator.crops import CropSource
from training.separator.measure import FigureTable, measure, si_sdr_db, treble
from training.separator.net import SEGMENT_SAMPLES, SOURCES, build
from training.separator.publish import publish, write_card
from training.separator.task import SeparatorTask, leakage_db, relative_error_db

Audio = NDArray[np.float32]


def music() -> torch.Tensor:
    """Tones, noise and clicks, ``(1, 2, T)``."""
    t = torch.arange(SEGMENT_SAMPLES) / 44100
    generator = torch.Generator().manual_seed(0)
    sound = torch.stack([0.3 * torch.sin(2 * torch.pi * hz * t) for hz in (220.0, 331.0)])
    sound = sound + 0.05 * torch.randn(sound.shape, generator=generator)
    sound[:, ::5000] += 0.5
    return sound[None]


def test_training_starts_at_the_mixture() -> None:
    """Every source of an untrained net is a quarter of the mixture, with an error below -10 dB."""
    mix = music()
    with torch.inference_mode():
        sources = build(0).eval()(mix)
    assert sources.shape == (1, len(SOURCES), 2, SEGMENT_SAMPLES)
    quarter = mix[:, None] / 4
    error = (sources - quarter).square().mean((0, 2, 3))
    assert (10 * torch.log10(quarter.square().mean() / error) > 10).all()


def test_a_published_separator_loads(tmp_path: Path) -> None:
    """The service's loader accepts the folder, and the weights are the net's in float16."""
    net = build(0)
    publish(net, "own", tmp_path)
    models = load_models("own", repo=tmp_path, device="cpu", threads=1)
    assert models.info.licence == "Apache-2.0"
    assert models.info.parameters == sum(parameter.numel() for parameter in net.parameters())
    loaded = models.bag.members[0].model.state_dict()
    assert all(torch.equal(value.half().float(), loaded[key]) for key, value in net.state_dict().items())


def test_training_can_start_from_published_weights(tmp_path: Path) -> None:
    """The starter's weights fit the net and differ from its initial ones."""
    net, shipped = build(0), weights_of("starter", tmp_path)
    initial = net.state_dict()["decoder.0.conv_tr.weight"].clone()
    net.load_state_dict(shipped)
    assert not torch.equal(net.state_dict()["decoder.0.conv_tr.weight"], initial)


def test_si_sdr_ignores_scale_and_counts_noise() -> None:
    """A scaled truth is perfect; noise of a tenth of its amplitude costs all but 20 dB."""
    rng = np.random.default_rng(0)
    truth, noise = rng.standard_normal((2, 2, 44100)).astype(np.float32)
    assert si_sdr_db(0.3 * truth, truth) > 100
    assert si_sdr_db(truth + 0.1 * noise, truth) == pytest.approx(20.0, abs=0.2)


def test_a_silent_source_has_a_finite_error() -> None:
    """Silence that is estimated as silence counts as no error, -20 dB, and not as minus infinity."""
    mix = music()
    truth = torch.zeros(1, 4, 2, SEGMENT_SAMPLES)
    assert relative_error_db(truth, truth, mix).flatten().tolist() == pytest.approx([-20.0] * 4, abs=1e-3)


def test_leakage_is_the_level_where_the_truth_is_silent() -> None:
    """A source at a tenth of the mix in its silent half leaks -20 dB; one that is silent there, -40 dB, the floor."""
    half = SEGMENT_SAMPLES // 2
    mix = torch.ones(1, 2, SEGMENT_SAMPLES)
    truth = torch.zeros(1, 4, 2, SEGMENT_SAMPLES)
    truth[..., :half] = 1.0
    estimate = truth.clone()
    estimate[:, 0, :, half:] = 0.1
    level_db, share = leakage_db(estimate, truth, mix)
    assert level_db.flatten().tolist() == pytest.approx([-20.0, -40.0, -40.0, -40.0], abs=0.1)
    assert share.flatten().tolist() == pytest.approx([0.5] * 4)
    assert leakage_db(estimate, torch.ones_like(truth), mix)[1].max() == 0.0


class Gains(nn.Module):
    """The smallest net: every source is the mix with a gain."""

    def __init__(self, gains: tuple[float, float, float, float]) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.tensor(gains))

    def forward(self, mix: torch.Tensor) -> torch.Tensor:
        """``(B, C, T) -> (B, S, C, T)``."""
        return mix[:, None] * self.gains[:, None, None]


def loss_of(gains: tuple[float, float, float, float]) -> tuple[float, dict[str, float]]:
    """Loss and figures of :class:`Gains` on a song without vocals."""
    stems = torch.randint(-3000, 3000, (4, 2, 2 * SEGMENT_SAMPLES), generator=torch.Generator().manual_seed(0))
    stems[2] = 0  # vocals, in the corpus' order
    crops = CropSource(songs=[stems.to(torch.int16)], device=torch.device("cpu"))
    task = SeparatorTask(net=Gains(gains), crops=crops, batch=2)
    loss, figures = task.loss(torch.Generator().manual_seed(0), 0)
    return float(loss.detach()), dict(figures)


def test_the_loss_wants_silence_silent() -> None:
    """Vocals at -40 dB of the mix cost clearly less than at -20 dB where nobody sings, in spite of the errors' floor of -20 dB."""
    loud, quiet = loss_of((0.33, 0.33, 0.33, 0.1)), loss_of((0.33, 0.33, 0.33, 0.01))
    assert loud[0] - quiet[0] > 0.2
    assert loud[1]["leakage"] > quiet[1]["leakage"]


def test_the_loss_wants_sources_that_sum_to_the_mix() -> None:
    """The figure is the floor where they do."""
    assert loss_of((0.3, 0.3, 0.4, 0.0))[1]["sum"] == pytest.approx(-20.0, abs=0.01)
    assert loss_of((0.2, 0.2, 0.2, 0.0))[1]["sum"] == pytest.approx(10 * np.log10(0.16 + 0.01), abs=0.01)


def test_treble_is_compared_above_6_khz() -> None:
    """A stem without its hiss has no treble, and its error is all of it; a wrong bass does not count."""
    t = np.arange(44100) / 44100
    low, high = (np.stack([np.sin(2 * np.pi * hz * t)] * 2).astype(np.float32) for hz in (200.0, 9000.0))
    found = treble(low, low + 0.1 * high)
    assert found.level_db < -60
    assert found.error_db == pytest.approx(0.0, abs=0.1)
    exact = treble(0.1 * high, low + 0.1 * high)
    assert exact.level_db == pytest.approx(0.0, abs=0.1)
    assert exact.error_db < -60


class Splitter:
    """Separates by a function."""

    def __init__(self, split: Callable[[Audio], Audio]) -> None:
        self._split = split

    def separate(self, mix: Audio, report: Callable[[int, int], None]) -> Audio:
        """``(C, T) -> (N, C, T)``."""
        report(1, 1)
        return self._split(mix)


def noisy_song() -> StoredSong:
    """A second of noise in every stem but vocals."""
    stems = np.random.default_rng(0).integers(-3000, 3000, (4, 2, 44100), dtype=np.int16)
    stems[2] = 0
    return StoredSong(composition=None, stems=stems)


def test_the_mixture_as_estimate_is_the_null() -> None:
    """It improves nothing, leaks at the mix's level, and has its own treble figures."""
    drums, _, vocals, _ = measure(Splitter(lambda mix: np.stack([mix] * 4)), [noisy_song()])
    assert drums.improvement_db == 0.0
    assert drums.treble == drums.mixture_treble
    assert drums.mixture_treble.error_db > 0
    assert vocals.songs == 0
    assert vocals.leakage_db == pytest.approx(0.0)


def test_the_truth_as_estimate_is_perfect() -> None:
    """No leakage, no error of the treble."""
    song = noisy_song()
    drums, _, vocals, _ = measure(Splitter(lambda mix: song.crop(0, mix.shape[-1])), [song])
    assert drums.improvement_db > 60
    assert drums.treble.level_db == pytest.approx(0.0)
    assert drums.treble.error_db < -60
    assert vocals.leakage_db is not None
    assert vocals.leakage_db < -60


def test_the_model_card_compares_with_the_weights_before(tmp_path: Path) -> None:
    """Each set of songs has a table for the new weights and one for those that training started from."""
    rows = measure(Splitter(lambda mix: np.stack([mix] * 4)), [noisy_song()])
    outcome = Outcome(task="separator", steps=3, seconds=1.0, seed=0, device="CPU", threads=1, loss=0.5)
    tables = [FigureTable(title="Noise", rows=rows)]
    write_card(
        tmp_path,
        parameters=3_260_000,
        outcome=outcome,
        trained_on="noise",
        init_from="starter",
        measured=tables,
        before=tables,
    )
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert card.count("Noise:\n\n| stem |") == 2
    assert "| vocals | 0 | - | - | 0.0 | - | - |" in card
    assert "3 steps from the weights of `starter`" in card


def test_the_name_of_the_starter_is_reserved(tmp_path: Path) -> None:
    """Weights named ``starter`` in another folder could never be loaded, so the command refuses the name before training."""
    arguments = ["separator", "--work", str(tmp_path), "--out", str(tmp_path), "--name", "starter", "--budget-s", "1"]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 2
    assert "is reserved for the weights in" in ended.output


def test_held_out_seeds_are_not_trained_on(tmp_path: Path) -> None:
    """A range that includes them is refused before any song is composed."""
    arguments = ["separator", "--work", str(tmp_path), "--out", str(tmp_path), "--budget-s", "1"]
    ended = CliRunner().invoke(main, [*arguments, "--first-song", "999999", "--songs", "2"])
    assert ended.exit_code == 2
    assert "are held out" in ended.output
