"""A backup is made and restored with the commands of docs/tasks/backup.md, by doing it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sonichaos_client import JobState, NotFoundError
from sonichaos_client.verify import verify_zip
from tests.flow.conftest import FreshPair
from tests.support.doc_blocks import ROOT, blocks
from tests.support.pair import RENDER, SEPARATION, Pair
from tests.support.service_processes import plain_environment
from tests.support.takes import brief, take


def _run(commands: str, pair: Pair, folder: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    addresses = {
        "SONICHAOS_RENDER_ADDRESS": pair.address(RENDER),
        "SONICHAOS_SEPARATION_ADDRESS": pair.address(SEPARATION),
    }
    environment = {**plain_environment(), **addresses, "PATH": path, "SONICHAOS_DATA": str(pair.data)}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


def test_a_restored_backup_has_its_jobs_and_files(fresh_pair: FreshPair, tmp_path: Path) -> None:
    """The take of before the backup is there again, with its files and the same audit chain; a later one is gone."""
    back_up, restore, check = (
        block.code
        for block in blocks(ROOT / "docs" / "tasks" / "backup.md", "sh")
        if block.run_by == "tests/flow/test_backup.py"
    )
    pair = fresh_pair()
    kept = take(pair.client, brief(stems=True)).job
    _run(back_up, pair, tmp_path)
    later = take(pair.client, brief(seed=8)).job
    pair.client.delete(kept.job_id)
    pair.stop()
    _run(restore, pair, tmp_path)
    pair.start()
    _run(check, pair, tmp_path)
    assert JobState(pair.client.get_job(kept.job_id).state) is JobState.DONE
    assert not verify_zip(pair.client.download(kept.job_id, tmp_path / "out").path).failures
    with pytest.raises(NotFoundError):
        pair.client.get_job(later.job_id)
