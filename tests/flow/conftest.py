"""The running pair of services: one per session as ``sonichaos up`` starts it, and fresh ones for tests that break something."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from sonichaos_client import Client
from tests.support.pair import LivePair, Pair
from tests.support.service_processes import ROOT, ServiceForker, plain_environment
from tests.support.tiny_checkpoint import tiny_checkpoint
from tests.support.tiny_separator import NAME, audible_stems, tiny_separator
from tests.support.typescript_build import Pages, serving_pages

FreshPair = Callable[..., Pair]
PERSONAS = ("tone", "hiss")
_RATE_HZ = 44100


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings that name the smallest true renderer and separator."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "SONICHAOS_RENDERER": str(tiny_checkpoint(folder / "renderer", starter_personas=True)),
        "SONICHAOS_SEPARATOR": NAME,
        "SONICHAOS_SEPARATOR_REPO": str(tiny_separator(folder / "separator")),
    }


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two seconds of a tone and of noise, for personas."""
    folder = tmp_path_factory.mktemp("clips")
    seconds = np.arange(2 * _RATE_HZ) / _RATE_HZ
    sounds = {
        "tone": 0.3 * np.sin(2 * np.pi * 220 * seconds),
        "hiss": 0.1 * np.random.default_rng(1).normal(size=88200),
    }
    for name, sound in sounds.items():
        soundfile.write(folder / f"{name}.wav", np.stack([sound, sound]).T, _RATE_HZ, subtype="PCM_24")
    return {name: folder / f"{name}.wav" for name in sounds}


def add_personas(client: Client, clips: dict[str, Path]) -> None:
    """Both test personas."""
    for name in PERSONAS:
        client.create_persona(name, f"a {name}", [clips[name]])


@contextmanager
def running_up(folder: Path, settings: dict[str, str], *, page_port: int | None = None) -> Iterator[LivePair]:
    """Both services under ``sonichaos up`` on free ports, with the data of earlier runs in ``folder``.

    With ``page_port``, the page for browsers is there.
    """
    listen = [f"--{name}-listen=127.0.0.1:0" for name in ("render", "separation", "url")]
    command = [str(Path(sys.executable).parent / "sonichaos"), "up", "--json", "--logs"]
    command += ["--data", str(folder / "data"), *listen]
    if page_port is not None:
        command += ["--web", f"--web-listen=127.0.0.1:{page_port}"]
    log = folder / "up.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, env={**plain_environment(), **settings}, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
        )
    try:
        assert process.stdout is not None
        ready = next((found for found in map(json.loads, process.stdout) if "ready" in found), None)
        assert ready is not None, log.read_text(encoding="utf-8")
        pids = {child.cmdline()[-1]: child.pid for child in psutil.Process(process.pid).children()}
        addresses = {
            "SONICHAOS_RENDER_ADDRESS": ready["renderAddress"],
            "SONICHAOS_SEPARATION_ADDRESS": ready["separationAddress"],
        }
        with Client(ready["renderAddress"], ready["separationAddress"]) as client:
            yield LivePair(
                render_address=ready["renderAddress"],
                separation_address=ready["separationAddress"],
                url_listen=ready["urlListen"],
                data=Path(ready["data"]),
                pid=process.pid,
                render_pid=pids["render_service"],
                separation_pid=pids["separation_service"],
                client=client,
                env={**plain_environment(), **addresses},
                log=log,
                persona=PERSONAS[0],
                other_persona=PERSONAS[1],
                page_url=ready.get("page") or "",
            )
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="session")
def live_pair(
    tmp_path_factory: pytest.TempPathFactory, models: dict[str, str], clips: dict[str, Path]
) -> Iterator[LivePair]:
    """Both services under ``sonichaos up`` on free ports, with two personas. Tests share them and must not break them."""
    with running_up(tmp_path_factory.mktemp("live"), models) as live:
        add_personas(live.client, clips)
        yield live


@pytest.fixture(scope="session")
def pages() -> Iterator[Pages]:
    """The pages of the TypeScript client, on a server."""
    with serving_pages() as running:
        yield running


@pytest.fixture(scope="session")
def example_pair(
    tmp_path_factory: pytest.TempPathFactory, models: dict[str, str], clips: dict[str, Path], pages: Pages
) -> Iterator[LivePair]:
    """As `live_pair`, for the clients' examples: stems are audible and can be re-rendered, and pages may read signed URLs."""
    folder = tmp_path_factory.mktemp("examples")
    settings = {**audible_stems(folder), "SONICHAOS_URL_ORIGINS": pages.origin}
    with running_up(folder, {**models, **settings}) as live:
        add_personas(live.client, clips)
        yield live


@pytest.fixture(scope="session")
def forker() -> Iterator[ServiceForker]:
    """The process that forks services quickly."""
    opened = ServiceForker()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def module_pair(
    forker: ServiceForker, models: dict[str, str], clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FreshPair]:
    """As `fresh_pair`, for one pair that the tests of a module share."""
    yield from _factory(forker, models, clips, tmp_path_factory.mktemp("pairs"))


@pytest.fixture
def fresh_pair(
    forker: ServiceForker, models: dict[str, str], clips: dict[str, Path], tmp_path: Path
) -> Iterator[FreshPair]:
    """Makes pairs: ``fresh_pair(data=FOLDER, SONICHAOS_QUEUE_LIMIT="1")``, started and with personas unless ``start=False``."""
    yield from _factory(forker, models, clips, tmp_path)


def _factory(
    forker: ServiceForker, models: dict[str, str], clips: dict[str, Path], folder: Path
) -> Iterator[FreshPair]:
    made: list[Pair] = []
    numbers = itertools.count()

    def make(*, data: Path | None = None, start: bool = True, gate: Path | None = None, **settings: str) -> Pair:
        own = folder / f"pair{next(numbers)}"
        own.mkdir()
        pair = Pair(forker, own, {**models, **settings}, data or own / "data", gate)
        made.append(pair)
        if start:
            pair.start()
            add_personas(pair.client, clips)
        return pair

    yield make
    for pair in made:
        pair.stop()


def pytest_configure(config: pytest.Config) -> None:
    """Silence gRPC's C core in the test process."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of the kill matrix: each cell that ran, and how many survived."""
    cells = {
        report.nodeid.partition("test_kill_matrix[")[2].rstrip("]"): outcome
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.stats.get(outcome, [])
        if "::test_kill_matrix[" in report.nodeid
    }
    if cells:
        terminalreporter.section("kill matrix")
        for cell, outcome in cells.items():
            terminalreporter.line(f"{cell:72} {'survived' if outcome == 'passed' else outcome}")
        terminalreporter.line(f"{list(cells.values()).count('passed')} of {len(cells)} survived")
