"""A bag in the form of htdemucs_ft: four HTDemucs, each good for one source only."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.tiny_models import ONE_HOT, save_bag


@pytest.fixture(scope="session")
def one_hot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the bag ``ft``."""
    return save_bag(tmp_path_factory.mktemp("one_hot"), "ft", weights=ONE_HOT)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small models on small machines."""
    torch.set_num_threads(1)
