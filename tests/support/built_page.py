"""The page in `hostctl/web/page`, built from clients/web once for each state of its sources."""

from __future__ import annotations

import fcntl
import functools
import subprocess
from pathlib import Path

import pytest

from tests.support.typescript_build import require_build

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "clients" / "web"
PAGE = ROOT / "hostctl" / "web" / "page"
_SOURCES = (FOLDER / "src", FOLDER / "public", ROOT / "clients" / "typescript" / "src")


@functools.cache
def _build() -> str:
    """An empty string, or why it could not be built here; a compiler's complaint is an error of the code and raised."""
    if not (FOLDER / "node_modules" / ".bin" / "vite").exists():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--silent"]
        install = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=600)
        if install.returncode != 0:
            return f"needs the npm packages of clients/web (npm ci): {install.stderr.strip()[-300:]}"
    lock_folder = ROOT / "build"
    lock_folder.mkdir(exist_ok=True)
    with (lock_folder / ".page.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes
        index = PAGE / "index.html"
        if not index.exists() or index.stat().st_mtime < _newest_source_s():
            built = subprocess.run(
                [ROOT / "scripts" / "build_page.sh"], capture_output=True, text=True, check=False, timeout=600
            )
            assert built.returncode == 0, built.stdout + built.stderr
    return ""


def _newest_source_s() -> float:
    files = [*FOLDER.glob("*.*"), *(path for folder in _SOURCES for path in folder.rglob("*.*"))]
    return max(path.stat().st_mtime for path in files)


def require_page() -> Path:
    """The folder of the built page; the test is skipped by name where Node.js or its packages are missing."""
    require_build()
    missing = _build()
    if missing:
        pytest.skip(missing)
    return PAGE
