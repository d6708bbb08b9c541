"""The TypeScript client, installed from its lock file and compiled in strict mode, once for each state of its sources.

Programs of `clients/typescript/examples` and `clients/typescript/test` run in Node.js; pages run in Debian's Chromium.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "clients" / "typescript"
OUT = FOLDER / "build"
CHROMIUM = "/usr/bin/chromium"


@functools.cache
def _build() -> str:
    """An empty string, or why it could not be built here; a compiler's complaint is an error of the code and raised."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "needs Node.js 20 or newer with npm"
    if not (FOLDER / "node_modules" / ".bin" / "tsc").exists():
        install = run_npm("ci", "--no-audit", "--no-fund", "--silent", timeout_s=300)
        if install.returncode != 0:
            return f"needs the npm packages of clients/typescript (npm ci): {install.stderr.strip()[-300:]}"
    OUT.mkdir(exist_ok=True)
    built = OUT / ".built"
    with (OUT / ".lock").open("w") as lock:
        # Tests may run in several processes; nothing is rewritten that another one runs.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists() or built.stat().st_mtime < _newest_source_s():
            for script in ("build", "build:web", "build:facts"):
                compiled = run_npm("run", "--silent", script, timeout_s=300)
                assert compiled.returncode == 0, compiled.stdout + compiled.stderr
            built.touch()
    return ""


def _newest_source_s() -> float:
    folders = ("src", "examples", "test")
    sources = [*FOLDER.glob("*.json"), *(path for name in folders for path in (FOLDER / name).rglob("*.*"))]
    return max(path.stat().st_mtime for path in sources)


def run_npm(*words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """An npm command in the client's folder."""
    return subprocess.run(
        ["npm", *words], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=timeout_s
    )


def require_build() -> None:
    """Build the client; the test is skipped by name where Node.js or its packages are missing."""
    missing = _build()
    if missing:
        pytest.skip(missing)


def require_chromium() -> None:
    """Skip where there is no browser."""
    if not Path(CHROMIUM).exists():
        pytest.skip("needs Debian package chromium")


def render_example(
    render_address: str,
    out: Path,
    *options: str,
    file_limit_bytes: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the example of Node.js.

    With ``file_limit_bytes`` the system takes no more bytes of a file, as a disk that becomes full. ``environment`` names
    credentials.
    """
    require_build()
    limited = [] if file_limit_bytes is None else ["prlimit", f"--fsize={file_limit_bytes}"]
    return subprocess.run(
        [*limited, "node", OUT / "examples" / "render.js", "--address", render_address, "--out", out, *options],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def node_answers(address: str, questions: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What a client in Node.js answers to questions of `test/facts.ts`, with its default options."""
    require_build()
    return list(_json_program(["node_facts.js", address], questions))


def page_answers(address: str, origin: str, questions: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What a page of ``origin`` in Chromium answers, by gRPC-Web."""
    return list(_in_page("facts", origin, {"ask": {"address": address, "questions": questions}}))


def page_example(origin: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Fill in and submit the form of the example page, as a page of ``origin``: the text of its result, and its players."""
    return dict(_in_page("web", origin, {"fill": fields}))


def _in_page(folder: str, origin: str, task: Mapping[str, Any]) -> Any:
    require_chromium()
    require_build()
    return _json_program(["browser.js", str(OUT / folder), origin], task)


def _json_program(words: Sequence[str], given: object) -> Any:
    """The JSON that a program of `test` prints for JSON on its standard input."""
    program, *arguments = words
    result = subprocess.run(
        ["node", OUT / "test" / program, *arguments],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
