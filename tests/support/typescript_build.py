"""The TypeScript client, installed from its lock file and compiled in strict mode, once for each state of its sources."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "clients" / "typescript"
BUILT = FOLDER / "node_modules" / ".built"


@functools.cache
def _build() -> str:
    """An empty string, or why it could not be built here; a compiler's complaint is an error of the code and raised."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "needs Node.js 20 or newer with npm"
    if not (FOLDER / "node_modules" / ".bin" / "tsc").exists():
        install = _run("npm", "ci", "--no-audit", "--no-fund", "--silent", timeout_s=300)
        if install.returncode != 0:
            return f"needs the npm packages of clients/typescript (npm ci): {install.stderr.strip()[-300:]}"
    with (FOLDER / "node_modules" / ".build.lock").open("w") as lock:
        fcntl.flock(
            lock, fcntl.LOCK_EX
        )  # tests may run in several processes; nothing is rewritten that another one runs
        if not _is_built():
            compiled = _run("npm", "run", "--silent", "build", timeout_s=300)
            assert compiled.returncode == 0, compiled.stdout + compiled.stderr
            BUILT.touch()
    return ""


def _is_built() -> bool:
    sources = [*FOLDER.glob("*.json"), *(FOLDER / "src").rglob("*.ts"), *(FOLDER / "examples").rglob("*.ts")]
    newest_s = max(path.stat().st_mtime for path in sources)
    return BUILT.exists() and (FOLDER / "dist").is_dir() and BUILT.stat().st_mtime > newest_s


def _run(*command: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=timeout_s)


def render_example(
    render_address: str,
    out: Path,
    *options: str,
    file_limit_bytes: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the example; the test is skipped by name where Node.js or its packages are missing.

    With ``file_limit_bytes`` the system takes no more bytes of a file, as a disk that becomes full. ``environment`` names
    credentials.
    """
    missing = _build()
    if missing:
        pytest.skip(missing)
    limited = [] if file_limit_bytes is None else ["prlimit", f"--fsize={file_limit_bytes}"]
    return subprocess.run(
        [*limited, "node", str(FOLDER / "dist" / "examples" / "render.js"), "--out", str(out), *options],
        env={**os.environ, "SONICHAOS_RENDER_ADDRESS": render_address, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
