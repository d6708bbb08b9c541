"""The separator on a GPU against demucs in fp32, compiled and not; skipped without a GPU."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demucs.api import Separator as Stock

from separation_service.engine import EngineOptions, load_separator
from servicekit.delivery.names import STEMS
from tests.support.tiny_models import ONE_HOT, quiet, save_bag
from tests.unit.separation.test_engine_agreement import music, snr_db

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


@pytest.fixture(scope="module")
def one_hot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag in the form of htdemucs_ft."""
    return save_bag(tmp_path_factory.mktemp("one_hot"), "ft", weights=ONE_HOT)


def load(folder: Path, **options: Any) -> Any:
    """The bag on the GPU."""
    return load_separator("ft", repo=folder, device="cuda", threads=1, options=EngineOptions(**options))


@pytest.mark.parametrize(
    ("options", "min_db"),
    [({"compiled": False}, 90.0), ({}, 90.0), ({"precision": "reduced"}, 50.0)],
    ids=["eager", "compiled", "reduced"],
)
def test_a_gpu_agrees(one_hot: Path, options: dict[str, Any], min_db: float) -> None:
    """Every stem agrees with demucs on the same GPU in fp32 within the bound; the next run gives the same samples."""
    mix = music(300_001)
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        stock = Stock(model="ft", repo=one_hot, device="cuda", shifts=0, overlap=0.25, progress=False)
        expected = stock.separate_tensor(torch.from_numpy(mix.copy()))[1]
    separator = load(one_hot, **options)
    separator.warm()
    found = separator.separate(mix, quiet)
    for index, stem in enumerate(STEMS):
        assert snr_db(expected[stem].numpy(), found[index]) >= min_db, stem
    assert (separator.separate(mix, quiet) == found).all()


def test_neighbours_do_not_matter(one_hot: Path) -> None:
    """Four concurrent threads each get the samples that their mix gives alone."""
    separator = load(one_hot, compiled=False)
    mixes = [music(frames, seed=frames) for frames in (300_000, 100_001, 20_000, 450_000)]
    alone = [separator.separate(mix, quiet) for mix in mixes]
    together: dict[int, Any] = {}

    def work(index: int) -> None:
        together[index] = separator.separate(mixes[index], quiet)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(mixes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, samples in enumerate(alone):
        assert np.array_equal(together[index], samples)


def test_memory_is_given_back(one_hot: Path) -> None:
    """After a job only what was allocated before it stays allocated, and the cache is empty."""
    separator = load(one_hot, compiled=False)
    separator.warm()
    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    separator.separate(music(300_000), quiet)
    assert torch.cuda.memory_allocated() == allocated
    assert torch.cuda.memory_reserved() <= reserved
