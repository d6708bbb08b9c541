"""What `make` would run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("has_environment", [False, True])
def test_pip_knows_groups_whoever_made_the_environment(*, has_environment: bool, tmp_path: Path) -> None:
    """`--group` needs pip 25.1, which is installed first also where a reader of the Python guide has made .venv."""
    for name in ("Makefile", "pyproject.toml", "clients/python/pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    if has_environment:
        (tmp_path / ".venv/bin").mkdir(parents=True)
        (tmp_path / ".venv/bin/python").touch()
    planned = subprocess.run(
        ["make", "-n", ".venv/.development"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    (upgraded,) = [number for number, line in enumerate(planned) if "--upgrade 'pip>=25.1'" in line]
    (grouped,) = [number for number, line in enumerate(planned) if "--group dev" in line]
    assert upgraded < grouped
