"""Takes and uploads while faults are injected everywhere: each accepted job is done, with the samples of an undisturbed run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow.conftest import FreshPair
from tests.support.faults import check_samples


def test_faults_change_no_sample(fresh_pair: FreshPair, clips: dict[str, Path], tmp_path: Path) -> None:
    """One statement in a hundred is refused, and so are reads, writes, calls and log lines."""
    check_samples(fresh_pair(), clips["tone"], tmp_path, faults="seed=7,rate=0.01", takes=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_many_faults_change_no_sample(fresh_pair: FreshPair, clips: dict[str, Path], tmp_path: Path, seed: int) -> None:
    """Ten takes and ten uploads with three times as many faults."""
    check_samples(fresh_pair(), clips["tone"], tmp_path, faults=f"seed={seed},rate=0.03", takes=10)
