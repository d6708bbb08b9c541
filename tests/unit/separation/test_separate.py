"""The separate stage: a separator that loads but cannot run is named before the service accepts work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from demucs.htdemucs import HTDemucs

from separation_service.engine import load_separator
from separation_service.separate import warm_separator
from servicekit.errors import FailedPrecondition
from tests.support.tiny_models import FOUR, save_th


def test_a_separator_that_cannot_run_is_named(tmp_path: Path) -> None:
    """A network that knows fewer positions than its own segment has is MODEL_UNUSABLE, not a traceback."""
    shape = {
        "sources": FOUR,
        "channels": 4,
        "t_layers": 1,
        "t_heads": 2,
        "segment": 1,
        "t_emb": "scaled",
        "t_max_positions": 1,
    }
    model: Any = HTDemucs(**shape)
    model.made_with = shape
    save_th(model, "short", tmp_path)
    with pytest.raises(FailedPrecondition, match="was loaded but cannot run") as caught:
        warm_separator(load_separator("short", repo=tmp_path, device="cpu", threads=1))
    assert caught.value.reason == "MODEL_UNUSABLE"
