"""A separator that loads but cannot run is named before the service takes work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from demucs.htdemucs import HTDemucs

from separation_service.engine import load_separator
from separation_service.pipeline import SeparationPipeline
from separation_service.scratch import ScratchFolder
from separation_service.timing.eta import EtaEstimator
from separation_service.timing.latency_budget import LatencyBudget
from servicekit.clock import SystemClock
from servicekit.errors import FailedPrecondition
from servicekit.gpu_lock import GpuLock
from servicekit.metrics import Metrics
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
    store: Any = None  # warming up stores nothing
    pipeline = SeparationPipeline(
        separator=load_separator("short", repo=tmp_path, device="cpu", threads=1),
        device_lock=GpuLock(tmp_path / "cpu.lock"),
        scratch=ScratchFolder(tmp_path),
        store=store,
        fingerprint={},
        clock=SystemClock(),
        estimator=EtaEstimator(),
        budget=LatencyBudget(30.0, Metrics("separation")),
    )
    with pytest.raises(FailedPrecondition, match="was loaded but cannot run") as caught:
        pipeline.warm()
    assert caught.value.reason == "MODEL_UNUSABLE"
