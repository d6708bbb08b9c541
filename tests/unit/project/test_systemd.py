"""The systemd units of docs/tasks/systemd.md."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.doc_blocks import ROOT, blocks

PAGE = ROOT / "docs" / "tasks" / "systemd.md"
NAMES = ("sonichaos-separation.service", "sonichaos-render.service")
UNITS = [block.code for block in blocks(PAGE, "ini") if block.code.startswith("[Unit]")]


def test_units_start_the_services() -> None:
    """Each unit is named on the page and starts a module that is there, without files of the current folder."""
    text = PAGE.read_text(encoding="utf-8")
    for name, unit, service in zip(NAMES, UNITS, ("separation_service", "render_service"), strict=True):
        assert f"/etc/systemd/system/{name}" in text
        assert f"ExecStart=/opt/sonichaos/bin/python -P -m {service}\n" in unit
        assert (ROOT / service / "__main__.py").is_file()


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """``systemd-analyze verify`` finds nothing to say about them, with a Python that exists."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for name, unit in zip(NAMES, UNITS, strict=True):
        (tmp_path / name).write_text(re.sub("/opt/sonichaos/bin/python", sys.executable, unit), encoding="utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in NAMES)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in checked.stderr.splitlines() if "sonichaos" in line]
    assert (checked.returncode, said) == (0, [])
