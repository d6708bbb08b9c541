"""Blocks of the documentation that install into the environment of ``make setup``, in a clone with an environment of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import documented_shell
from tests.support.doc_blocks import ROOT

THIS = "tests/flow/test_installs.py"
_LIMIT_S = 1800  # torch is large


@pytest.mark.soak
def test_extras_and_the_package_for_a_gpu_host(tmp_path: Path) -> None:
    """They need package registries. Then training's commands and ACE-Step's pipeline are there, and so is ``build/gpu-carry``."""
    project = tmp_path / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    given = documented_shell.environment(
        tmp_path, PIP_CACHE_DIR=os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    )
    given.pop("PYTHONPATH", None)
    given["PATH"] = os.pathsep.join([str(project / ".venv" / "bin"), os.environ["PATH"]])
    install, prepare = documented_shell.documented("docs/training.md", THIS)
    (ace_step,) = documented_shell.documented("docs/checkpoint.md", THIS)
    checks = "sonichaos-train --help; python -c 'import diffusers, sonichaos_client, tinysoundfont'"
    for text in ("make setup", install, ace_step, checks, prepare):
        ran = subprocess.run(
            documented_shell.command(text),
            cwd=project, env=given, capture_output=True, text=True, check=False, timeout=_LIMIT_S,
        )  # fmt: skip
        assert ran.returncode == 0, f"{text}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
    assert any((project / "build" / "gpu-carry").iterdir())
