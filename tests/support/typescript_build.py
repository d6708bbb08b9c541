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
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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
    return subprocess.run(["npm", *words], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=timeout_s)


def require_build() -> None:
    """Build the client; the test is skipped by name where Node.js or its packages are missing."""
    missing = _build()
    if missing:
        pytest.skip(missing)


def render_example(
    address: str, out: Path, *options: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the example of Node.js. ``environment`` names credentials."""
    require_build()
    return _node("examples/render.js", "--address", address, "--out", str(out), *options, environment=environment)


def node_answers(
    address: str,
    questions: Sequence[Mapping[str, Any]],
    *,
    environment: Mapping[str, str] | None = None,
    file_limit_bytes: int | None = None,
) -> list[Any]:
    """What a client in Node.js answers to questions of `test/facts.ts` and `test/node_facts.ts`, with its default options.

    ``environment`` names credentials. With ``file_limit_bytes`` the system takes no more bytes of a file, as a disk that becomes
    full.
    """
    require_build()
    limit = () if file_limit_bytes is None else ("prlimit", f"--fsize={file_limit_bytes}")
    return list(_printed(_node("test/node_facts.js", address, given=questions, environment=environment, limit=limit)))


def start_pings(address: str, job_id: str, seconds: int) -> subprocess.Popen[str]:
    """Start the program of Node.js that pings."""
    require_build()
    program = ["node", str(OUT / "test/client_pings.js"), address, job_id, str(seconds)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


@dataclass(frozen=True)
class Pages:
    """The built pages on a server of loopback. A browser lets pages of other servers call loopback only if its user agrees.

    ``facts`` is the path of the page with facts.
    """

    origin: str
    facts: str = "/facts/"

    def answers(self, address: str, questions: Sequence[Mapping[str, Any]]) -> list[Any]:
        """What a page in Chromium answers to questions of `test/facts.ts`, by gRPC-Web."""
        return list(self._do(self.facts, {"ask": {"address": address, "questions": questions}}))

    def example(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Fill in and submit the form of the example page: the text of its result, and the number of its players."""
        return dict(self._do("/web/", {"fill": fields}))

    def _do(self, path: str, task: Mapping[str, Any]) -> Any:
        if not Path(CHROMIUM).exists():
            pytest.skip("needs Debian package chromium")
        require_build()
        return _printed(_node("test/browser.js", f"{self.origin}{path}", given=task))


@contextmanager
def serving_pages() -> Iterator[Pages]:
    """The server of the pages, on a free port."""
    OUT.mkdir(exist_ok=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_PageHandler, directory=str(OUT))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield Pages(f"http://localhost:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


class _PageHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the tests look at the pages."""


def _node(
    program: str,
    *arguments: str,
    given: object = None,
    environment: Mapping[str, str] | None = None,
    limit: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a built program with JSON on its standard input."""
    return subprocess.run(
        [*limit, "node", OUT / program, *arguments],
        env={**os.environ, **(environment or {})},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _printed(result: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a program printed."""
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
