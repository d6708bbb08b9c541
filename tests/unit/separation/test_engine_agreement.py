"""The engine against stock demucs, in one run, on small models whose errors show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from demucs.api import Separator as Stock
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from numpy.typing import NDArray

from separation_service.engine import EngineOptions, load_separator
from separation_service.engine.hybrid import is_supported
from servicekit.delivery.names import STEMS
from tests.support.tiny_models import SIX, quiet, save_bag, save_th, tiny

RATE_HZ = 44100
LEAST_SNR_DB = 90.0
SILENT_FLOOR = 1e-9

Audio = NDArray[np.float32]


def music(frames: int, seed: int = 0) -> Audio:
    """Tones and noise, ``(2, T)``, each channel its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames) / RATE_HZ
    tones = np.stack([0.3 * np.sin(2 * np.pi * hz * t) for hz in (110.0, 523.0)])
    return (tones + 0.1 * rng.standard_normal((2, frames))).astype(np.float32)


def stock(mix: Audio, name: str, repo: Path) -> dict[str, Audio]:
    """What `demucs.api.Separator` gives with shifts=0, by source."""
    separator = Stock(model=name, repo=repo, device="cpu", shifts=0, overlap=0.25, progress=False)
    return {name: stem.numpy() for name, stem in separator.separate_tensor(torch.from_numpy(mix.copy()))[1].items()}


def ours(mix: Audio, name: str, repo: Path, options: EngineOptions | None = None) -> dict[str, Audio]:
    """What the engine gives, by stem."""
    separator = load_separator(name, repo=repo, device="cpu", threads=1, options=options)
    return dict(zip(STEMS, separator.separate(mix, quiet), strict=True))


def snr_db(truth: Audio, found: Audio) -> float:
    """Signal to difference; infinite for a difference below the floor."""
    difference = float(np.square(found.astype(np.float64) - truth).mean())
    signal = float(np.square(truth.astype(np.float64)).mean())
    return float("inf") if difference < SILENT_FLOOR**2 else 10.0 * np.log10(signal / difference)


def assert_agree(
    mix: Audio, name: str, repo: Path, options: EngineOptions | None = None, *, least_db: float = LEAST_SNR_DB
) -> None:
    """Every stem within the bound of stock's."""
    expected, found = stock(mix, name, repo), ours(mix, name, repo, options)
    for stem in STEMS:
        assert found[stem].shape == mix.shape
        assert snr_db(expected[stem], found[stem]) >= least_db, stem


@pytest.mark.parametrize("frames", [2, 4410, 30_870, 30_871, 61_739])
def test_every_length_agrees(one_hot: Path, frames: int) -> None:
    """From two samples over just under, at and over one segment to several, odd ones too, the stems are stock's."""
    assert_agree(music(frames), "ft", one_hot)


def test_half_a_minute_agrees(tmp_path: Path) -> None:
    """58 segments of one model agree from the first to the last."""
    save_th(tiny(), "one", tmp_path)
    assert_agree(music(30 * RATE_HZ + 1), "one", tmp_path)


@pytest.mark.parametrize("case", ["silence", "full scale", "left only", "offset"])
def test_extremes_agree(one_hot: Path, case: str) -> None:
    """Silence, a full-scale square wave, one silent channel and a constant offset are separated as stock does."""
    mix = music(RATE_HZ)
    if case == "silence":
        mix[:] = 0.0
    elif case == "full scale":
        mix = np.sign(mix)
    elif case == "left only":
        mix[1] = 0.0
    else:
        mix += 0.25
    assert_agree(mix, "ft", one_hot)


def test_weighted_bags_agree(tmp_path: Path) -> None:
    """A bag whose models share sources is averaged as demucs does."""
    weights = [[1.0, 0.5, 0.0, 2.0], [1.0, 0.25, 3.0, 0.0]]
    save_bag(tmp_path, "mix", weights=weights, models=2)
    assert_agree(music(40_000), "mix", tmp_path)


def test_bags_without_weights_agree(tmp_path: Path) -> None:
    """A bag without weights is a plain average."""
    save_bag(tmp_path, "plain", weights=None, models=2)
    assert_agree(music(40_000), "plain", tmp_path)


@pytest.mark.parametrize("kind", [HDemucs, Demucs])
@pytest.mark.parametrize("frames", [20_000, 60_001])
def test_older_models_agree(tmp_path: Path, kind: type[torch.nn.Module], frames: int) -> None:
    """HDemucs and Demucs, which see a shorter last segment instead of a padded one, agree too."""
    save_th(tiny(kind), "older", tmp_path)
    assert_agree(music(frames), "older", tmp_path)


def test_two_more_sources_join_other(tmp_path: Path) -> None:
    """Of a model with six sources, guitar and piano are part of ``other``."""
    save_th(tiny(sources=SIX), "six", tmp_path)
    mix = music(40_000)
    expected, found = stock(mix, "six", tmp_path), ours(mix, "six", tmp_path)
    rest = expected["other"] + expected["guitar"] + expected["piano"]
    assert snr_db(rest, found["other"]) >= LEAST_SNR_DB
    assert snr_db(expected["vocals"], found["vocals"]) >= LEAST_SNR_DB


@pytest.mark.parametrize("frames", [4410, 100_001])
def test_batches_agree(one_hot: Path, frames: int) -> None:
    """Batches of four, filled or not, give stock's stems too."""
    assert_agree(music(frames), "ft", one_hot, EngineOptions(batch=4))


def test_reduced_precision_agrees_less(one_hot: Path) -> None:
    """With transformers in bfloat16 every stem stays within 50 dB of stock, and that it is less than float32's shows its use."""
    mix, options = music(40_000), EngineOptions(precision="reduced")
    assert_agree(mix, "ft", one_hot, options, least_db=50.0)
    plain, reduced = ours(mix, "ft", one_hot), ours(mix, "ft", one_hot, options)
    assert snr_db(plain["drums"], reduced["drums"]) < 100.0


def test_models_that_mask_agree(tmp_path: Path) -> None:
    """An HTDemucs that gives magnitudes for the mix's own phases, as the starter does, agrees and is taken apart."""
    model = tiny(cac=False, wiener_iters=-1, end_iters=-1)
    assert is_supported(model)
    save_th(model, "mask", tmp_path)
    assert_agree(music(40_000), "mask", tmp_path)


def test_models_of_different_segments_agree(tmp_path: Path) -> None:
    """A bag of an HTDemucs and an HDemucs, whose segments differ in length, is averaged sample for sample."""
    save_th(tiny(), "short", tmp_path)
    save_th(tiny(HDemucs), "long", tmp_path)
    (tmp_path / "both.yaml").write_text("models: [short, long]")
    assert_agree(music(100_001), "both", tmp_path)
