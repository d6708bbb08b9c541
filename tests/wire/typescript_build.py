"""The TypeScript client, installed from its lock file and compiled in strict mode, once a test run."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "clients" / "typescript"


@functools.cache
def _build() -> str:
    """An empty string, or why it could not be built here; a compiler's complaint is an error of the code and raised."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "needs Node.js 20 or newer with npm"
    if not (FOLDER / "node_modules" / ".bin" / "tsc").exists():
        install = _run("npm", "ci", "--no-audit", "--no-fund", "--silent", timeout_s=300)
        if install.returncode != 0:
            return f"needs the npm packages of clients/typescript (npm ci): {install.stderr.strip()[-300:]}"
    compiled = _run("npm", "run", "--silent", "build", timeout_s=300)
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
    return ""


def _run(*command: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=timeout_s)


def render_example(render_address: str, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the example; the test is skipped by name where Node.js or its packages are missing."""
    missing = _build()
    if missing:
        pytest.skip(missing)
    return subprocess.run(
        ["node", str(FOLDER / "dist" / "examples" / "render.js"), "--out", str(out), *options],
        env={**os.environ, "SONICHAOS_RENDER_ADDRESS": render_address},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
