"""The composer page as ``sonichaos up --web`` serves it, and the specs of clients/web/test, which drive it in Debian's Chromium.

A spec runs in Node.js. What it cannot do itself, such as to kill a service, it orders from this process by HTTP.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from servicekit.gpu_lock import GpuLock
from tests.conftest import require_debian
from tests.support.pair import LivePair, eventually
from tests.support.typescript_build import CHROMIUM, require_build

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "clients" / "web"
BUILT = ROOT / "hostctl" / "web" / "page"
Orders = Mapping[str, Callable[[], object]]


def run_npm(
    *words: str, environment: Mapping[str, str] | None = None, timeout_s: float = 300
) -> subprocess.CompletedProcess[str]:
    """An npm command in the page's folder."""
    return subprocess.run(
        ["npm", *words],
        cwd=FOLDER,
        env={**os.environ, "NO_COLOR": "1", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


@functools.cache
def _missing_packages() -> str:
    """An empty string, or why the page's packages are not there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "needs Node.js 20 or newer with npm"
    if not (FOLDER / "node_modules" / ".bin" / "vitest").exists():
        install = run_npm("ci", "--no-audit", "--no-fund", "--silent")
        if install.returncode != 0:
            return f"needs the npm packages of clients/web (npm ci): {install.stderr.strip()[-300:]}"
    return ""


def require_packages() -> None:
    """Install the page's packages; the test is skipped by name where Node.js or they are missing."""
    missing = _missing_packages()
    if missing:
        pytest.skip(missing)
    require_build()  # of the TypeScript client, which the page imports


@functools.cache
def _build() -> None:
    built = BUILT / "index.html"
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "web-page.lock").open("w") as lock:
        # Tests may run in several processes; nothing is rewritten that another one serves.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists() or built.stat().st_mtime < _newest_source_s():
            script = ROOT / "scripts" / "build_page.sh"
            made = subprocess.run([script], capture_output=True, text=True, check=False, timeout=300)
            assert made.returncode == 0, made.stdout + made.stderr


def require_page() -> None:
    """Build the page if its sources are newer; skipped as `require_packages`."""
    require_packages()
    _build()


def _newest_source_s() -> float:
    client = FOLDER.parent / "typescript" / "src"
    folders = (FOLDER / "src", FOLDER / "public", client)
    sources = [FOLDER / "index.html", FOLDER / "vite.config.ts", FOLDER / "package-lock.json"]
    return max(path.stat().st_mtime for path in [*sources, *(path for one in folders for path in one.rglob("*.*"))])


class ServicePause:
    """Holds the GPU lock, so that the work of both services stops where it needs the lock next."""

    def __init__(self, data: Path) -> None:
        self._lock = data / "run" / "cpu.lock"
        self._held: ExitStack | None = None

    def hold(self) -> None:
        """Stop all work."""
        assert self._held is None, "already held"
        self._held = self._taken()

    def release(self) -> None:
        """Let all work go on."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def step(self) -> None:
        """Let the work that waits have the lock once, and stop all work again where it needs the lock next."""
        assert self._held is not None, "not held"
        eventually(lambda: GpuLock(self._lock).has_waiter, "work waits for the lock")
        taken: list[ExitStack] = []
        # Asked for while the work already waits: the test comes second.
        thread = threading.Thread(target=lambda: taken.append(self._taken()))
        thread.start()
        self._held.close()
        thread.join()
        (self._held,) = taken

    def _taken(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(GpuLock(self._lock).held())
        return stack


@contextmanager
def taking_orders(orders: Orders) -> Iterator[str]:
    """A server of loopback on which each POST of a name calls that order; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            order = orders.get(self.path.removeprefix("/"))
            try:
                answer, status = str(order() if order else f"no order {self.path}"), HTTPStatus.OK
            except (AssertionError, OSError, pytest.fail.Exception) as error:
                answer, status = str(error), HTTPStatus.INTERNAL_SERVER_ERROR
            body = answer.encode()
            self.send_response(status if order else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: the spec reports what went wrong."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def run_spec(name: str, live: LivePair, orders: Orders | None = None, *, url: str = "", **environment: str) -> None:
    """Run the specs of ``clients/web/test/NAME.spec.ts``; they must all pass. ``url`` is another way to the page."""
    require_debian("chromium", CHROMIUM)
    with taking_orders(orders or {}) as control:
        personas = [live.persona, live.other_persona]
        stack = {"url": url or live.page_url, "control": control, "personas": personas, "out": ""}
        environment["SONICHAOS_PAGE_TEST"] = json.dumps(stack)
        ran = run_npm("run", "--silent", "test:browser", "--", f"{name}.spec.ts", environment=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
