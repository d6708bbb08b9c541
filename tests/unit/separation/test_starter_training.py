"""The starter separator's training code: initial weights, output files, metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from separation_service.engine.loading import load_models
from training.cli import main
from training.separator.command import weights_of
from training.separator.measure import si_sdr_db
from training.separator.net import SEGMENT_SAMPLES, SOURCES, build
from training.separator.publish import publish
from training.separator.task import relative_error_db


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
