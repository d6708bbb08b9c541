"""What `make` would run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def _planned(folder: Path, target: str) -> list[str]:
    for name in ("Makefile", "pyproject.toml", "clients/python/pyproject.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return subprocess.run(
        ["make", "-n", target], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize("has_environment", [False, True])
def test_pip_knows_groups_whoever_made_the_environment(*, has_environment: bool, tmp_path: Path) -> None:
    """`--group` needs pip 25.1, which is installed first also where a reader of the Python guide has made .venv."""
    if has_environment:
        (tmp_path / ".venv/bin").mkdir(parents=True)
        (tmp_path / ".venv/bin/python").touch()
    planned = _planned(tmp_path, ".venv/.development")
    (upgraded,) = [number for number, line in enumerate(planned) if "--upgrade 'pip>=25.1'" in line]
    (grouped,) = [number for number, line in enumerate(planned) if "--group dev" in line]
    assert upgraded < grouped


def test_setup_installs_every_extra_that_the_tutorial_uses(tmp_path: Path) -> None:
    """`rerender --plot` needs an extra that the packages themselves do not ask for."""
    assert "--plot" in (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    assert "clients/python[plot]" in " ".join(_planned(tmp_path, "setup"))
