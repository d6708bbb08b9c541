"""The composer page in Debian's Chromium, as ``sonichaos up --web`` serves it: the specs of clients/web/test."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.conftest import require_debian
from tests.flow.conftest import add_personas, running_up
from tests.support.cuttable_proxy import HttpProxy
from tests.support.doc_blocks import blocks
from tests.support.pair import RENDER, LivePair, eventually
from tests.support.s3_servers import free_port
from tests.support.tiny_separator import audible_stems
from tests.support.typescript_build import CHROMIUM
from tests.support.web_page import ROOT, Orders, ServicePause, require_page, run_spec

_LONG_S = 180.0


@pytest.fixture(scope="module")
def page_port() -> int:
    """Where the page will be."""
    return free_port()


@pytest.fixture(scope="module")
def proxy(page_port: int) -> Iterator[HttpProxy]:
    """A way to the page that can be cut."""
    with HttpProxy(page_port) as running:
        yield running


@pytest.fixture(scope="module")
def served(
    page_port: int,
    proxy: HttpProxy,
    tmp_path_factory: pytest.TempPathFactory,
    models: dict[str, str],
    clips: dict[str, Path],
) -> Iterator[LivePair]:
    """The pair with the page; stems are audible and can be re-rendered. Specs share it and add jobs to it."""
    require_debian("chromium", CHROMIUM)
    require_page()
    folder = tmp_path_factory.mktemp("page")
    origins = {"SONICHAOS_URL_ORIGINS": f"http://127.0.0.1:{page_port},{proxy.url}"}
    with running_up(folder, {**models, **audible_stems(folder), **origins}, page_port=page_port) as live:
        add_personas(live.client, clips)
        yield live


@pytest.fixture
def orders(served: LivePair, proxy: HttpProxy) -> Iterator[Orders]:
    """What specs can order: work is held, a service is killed, the connection of pages is cut."""
    pause, cuts = ServicePause(served.data), ExitStack()
    yield {
        "hold": pause.hold,
        "step": pause.step,
        "release": pause.release,
        "kill-renderer": lambda: _kill_renderer(served),
        "cut": lambda: cuts.enter_context(proxy.cut()),
        "mend": cuts.close,
    }
    cuts.close()
    pause.release()


def _kill_renderer(live: LivePair) -> int:
    """SIGKILL to render_service, whichever process it is now; gives the id of the process that was killed."""
    (child,) = [one for one in psutil.Process(live.pid).children() if one.cmdline()[-1] == RENDER]
    os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(child.pid), "render_service has ended")
    return child.pid


def test_the_documented_start(served: LivePair) -> None:
    """docs/web.md starts the page as these tests do, but for free ports and tiny models."""
    (commands,) = blocks(ROOT / "docs" / "web.md", "sh")
    program, *words = shlex.split(commands.code.splitlines()[-1], comments=True)
    assert Path(program).name == "sonichaos"
    assert words == ["up", "--web"]
    assert set(words) <= set(psutil.Process(served.pid).cmdline())


@pytest.mark.parametrize("spec", ["brief", "draft", "library", "take", "player", "audio", "display"])
def test_the_page(spec: str, served: LivePair, orders: Orders) -> None:
    """Each spec is a list of sentences in clients/web/test."""
    run_spec(spec, served, orders)


def test_the_page_through_trouble(served: LivePair, proxy: HttpProxy, orders: Orders) -> None:
    """A service is killed, connections are lost, pages are closed and opened again: no event is lost, no job is made twice."""
    run_spec("trouble", served, orders, url=proxy.url)


@pytest.mark.soak
def test_five_long_files_fit_into_memory(served: LivePair) -> None:
    """The longest take with its stems, loaded and played."""
    brief = {"prompt": "a long night", "persona_id": served.persona, "seconds": _LONG_S, "seed": 3, "stems": True}
    served.client.wait(served.client.create_render(**brief))
    run_spec("memory", served)


@pytest.mark.soak
def test_the_page_in_firefox(served: LivePair) -> None:
    """Debian's Firefox: a brief is written and submitted, its take plays."""
    require_debian("firefox-esr", "firefox-esr")
    run_spec("firefox", served, NODE_OPTIONS="--experimental-websocket")
