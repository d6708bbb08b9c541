"""``sonichaos up --web`` with two small services: readiness from the first moment, crashes, failures, addresses, TLS."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sonichaos.render.v1 import render_pb2
from tests.support.certificates import Authority
from tests.support.pair import eventually
from tests.support.small_up import REAL_LOG, ROOT, Up, ends, read_until, services
from tests.support.web_bridge import CONTENT_TYPE, frame, read_answer
from tests.support.web_page import require_page

MODEL = "/sonichaos.render.v1.RenderService/GetModelInfo"
WEB = ("--web", "--web-listen=127.0.0.1:0")
LATE = 'while not os.path.exists(os.path.join(chosen["SONICHAOS_DATA"], "go")):\n    time.sleep(0.02)\n'


@pytest.fixture(autouse=True)
def _page() -> None:
    require_page()


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    """The instances that a test started; they are killed at its end."""
    started: list[Up] = []
    yield started
    for one in started:
        one.process.kill()
        one.process.wait()


def first(up: Up) -> dict[str, Any]:
    """The first line that it prints."""
    assert up.process.stdout is not None
    line = up.process.stdout.readline()
    assert line, up.log()
    return dict(json.loads(line))


def readiness(page: str) -> dict[str, dict[str, str]]:
    """What the page shows of the services."""
    with urllib.request.urlopen(f"{page}/readiness.json", timeout=30) as answer:  # noqa: S310  loopback
        return dict(json.load(answer)["services"])


def states(page: str) -> set[str]:
    """The states of both services."""
    return {one["state"] for one in readiness(page).values()}


def call(page: str, context: ssl.SSLContext | None = None, **headers: str) -> tuple[list[bytes], dict[str, str]]:
    """An empty request for the renderer's name."""
    request = urllib.request.Request(  # noqa: S310  loopback
        page + MODEL, data=frame(b""), headers={"Content-Type": CONTENT_TYPE, **headers}
    )
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310  loopback
        return read_answer(answer.read())


def go_on(folder: Path) -> None:
    """Let services with `LATE` go on."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "go").touch()


def test_the_page_is_there_before_the_services(tmp_path: Path, ups: list[Up]) -> None:
    """It shows how far they are; then calls work, and its address is the last thing that is printed."""
    running = Up(services(tmp_path, extra=LATE + REAL_LOG), *WEB)
    ups.append(running)
    page = first(running)["page"]
    with urllib.request.urlopen(page, timeout=30) as answer:  # noqa: S310  loopback
        assert b"<title>SONICHAOS AI Studio</title>" in answer.read()
    eventually(lambda: states(page) == {"loading"}, "both services load")
    assert call(page)[1]["grpc-status"] == "14"
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{page}/healthz", timeout=30)  # noqa: S310  loopback
    go_on(tmp_path)
    ready = running.ready()
    assert list(ready)[-1] == "page"
    assert ready["page"] == page
    assert states(page) == {"serving"}
    ((message,), trailers) = call(page)
    assert (render_pb2.GetModelInfoResponse.FromString(message).name, trailers) == ("starter", {"grpc-status": "0"})
    with urllib.request.urlopen(f"{page}/healthz", timeout=30) as answer:  # noqa: S310  loopback
        assert answer.status == 200
    running.process.terminate()
    assert running.process.wait(60) == 0


def test_a_terminal_sees_the_address_of_the_page_last(tmp_path: Path, ups: list[Up]) -> None:
    """And before that, because the page is there before the services."""
    master, slave = pty.openpty()
    running = Up(services(tmp_path, extra=REAL_LOG), *WEB, output=(), stdout=slave, stderr=slave)
    ups.append(running)
    os.close(slave)
    shown = read_until(master, b"The page: ")
    running.process.send_signal(signal.SIGINT)
    shown += read_until(master, None)
    assert running.process.wait(60) == 0
    (address,) = re.findall(r"\nCtrl-C stops the services.\nThe page: (http://127.0.0.1:\d+)\n", shown)
    assert shown.index(f"The page shows how far the services are: {address}") < shown.index("\nReady.")


def test_the_page_may_read_signed_urls(tmp_path: Path, ups: list[Up]) -> None:
    """By both of its names, unless the operator has chosen other origins; it may connect to them and to nothing else."""
    first_folder, second_folder = tmp_path / "a", tmp_path / "b"
    for folder in (first_folder, second_folder):
        folder.mkdir()
        services(folder)
    running = Up(first_folder, *WEB)
    other = Up(second_folder, *WEB, environment={"SONICHAOS_URL_ORIGINS": "https://app.example.com"})
    ups.extend([running, other])
    ready = running.ready()
    port = ready["page"].rpartition(":")[2]
    expected = f"http://127.0.0.1:{port},http://localhost:{port}"
    assert running.environment_of("render_service")["SONICHAOS_URL_ORIGINS"] == expected
    with urllib.request.urlopen(ready["page"], timeout=30) as answer:  # noqa: S310  loopback
        assert f"connect-src 'self' http://{ready['urlListen']};" in answer.headers["Content-Security-Policy"]
    other.ready()
    assert other.environment_of("render_service")["SONICHAOS_URL_ORIGINS"] == "https://app.example.com"


def test_a_service_that_crashes_is_started_again(tmp_path: Path, ups: list[Up]) -> None:
    """The page shows it while it starts, and calls work again. The fourth crash ends both."""
    running = Up(services(tmp_path, extra=REAL_LOG), *WEB)
    ups.append(running)
    page = running.ready()["page"]
    for crashes in range(1, 4):
        pid = running.pids("render_service")[-1]
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: readiness(page)["render_service"]["state"] == "restarting", "the crash is shown")
        assert readiness(page)["render_service"]["detail"] == (
            "render_service was killed by SIGKILL and was started again."
        )
        assert readiness(page)["separation_service"]["state"] == "serving"
        eventually(lambda: len(running.pids("render_service")) == crashes + 1, "it is started again")  # noqa: B023
        eventually(lambda: call(page)[1] == {"grpc-status": "0"}, "calls work again")
        assert states(page) == {"serving"}
    separation = running.pids("separation_service")[-1]
    os.kill(running.pids("render_service")[-1], signal.SIGKILL)
    assert running.process.wait(60) == 1
    assert ends(separation)
    assert "The other service is stopped too" in running.log()


def test_a_service_that_crashes_can_be_stopped_while_it_starts_again(tmp_path: Path, ups: list[Up]) -> None:
    """Ctrl-C ends everything; no service stays behind."""
    running = Up(services(tmp_path), *WEB)
    ups.append(running)
    page = running.ready()["page"]
    pids = running.pids("render_service") + running.pids("separation_service")
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: readiness(page)["render_service"]["state"] == "restarting", "the crash is shown")
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0
    assert all(map(ends, pids + running.pids("render_service")))


def test_an_open_page_learns_why_a_service_could_not_start(tmp_path: Path, ups: list[Up]) -> None:
    """The last line, without the folder in it. The exit status stays that of a refusal."""
    refusal = (
        LATE
        + 'if name == "render_service":\n    print("no model in /opt/models/nope", file=sys.stderr)\n    sys.exit(2)\n'
    )
    running = Up(services(tmp_path, extra=refusal), *WEB)
    ups.append(running)
    page = first(running)["page"]
    eventually(lambda: states(page) == {"loading"}, "both load")
    go_on(tmp_path)
    shown: list[dict[str, str]] = []

    def failed() -> bool:
        shown.append(readiness(page)["render_service"])
        return shown[-1]["state"] == "failed"

    eventually(failed, "the failure is shown")
    assert shown[-1]["detail"].startswith("render_service exited with status 2 before it was ready: no model in nope\n")
    assert running.process.wait(60) == 2


def test_without_a_built_page_nothing_starts(tmp_path: Path, ups: list[Up]) -> None:
    """It says what to do."""
    shutil.copytree(ROOT / "hostctl", tmp_path / "hostctl", ignore=shutil.ignore_patterns("page", "__pycache__"))
    services(tmp_path)
    running = Up(tmp_path, *WEB)
    ups.append(running)
    assert running.process.wait(60) == 2
    assert "make web" in running.log()
    assert "environment" not in running.log()


def test_an_address_that_others_reach_needs_tls(tmp_path: Path, ups: list[Up]) -> None:
    """Nothing is started."""
    services(tmp_path)
    for options, words in (
        (("--web", "--web-listen=0.0.0.0:0"), "needs TLS"),
        (("--web", "--web-listen=unix:/tmp/page.sock"), "must be HOST:PORT"),
        (("--web-listen=127.0.0.1:0",), "--web-listen needs --web"),
    ):
        running = Up(tmp_path, *options)
        ups.append(running)
        assert running.process.wait(60) == 2
        assert words in running.log()
        assert "environment" not in running.log()


def test_beyond_this_machine_callers_need_a_credential(tmp_path: Path, ups: list[Up]) -> None:
    """Also those on this machine, as at the services; with TLS, and by the certificate's name."""
    authority = Authority.create(tmp_path)
    certificate = authority.server()
    settings = {
        "SONICHAOS_TLS_CERTIFICATE": str(certificate.certificate),
        "SONICHAOS_TLS_KEY": str(certificate.key),
        "SONICHAOS_WEB_NAMES": "studio.example.com",
    }
    running = Up(services(tmp_path), "--web", "--web-listen=0.0.0.0:0", environment=settings)
    ups.append(running)
    ready = running.ready()
    port = ready["page"].rpartition(":")[2]
    assert ready["page"] == f"https://127.0.0.1:{port}"
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    for name in ("localhost", "127.0.0.1"):
        page = f"https://{name}:{port}"
        with urllib.request.urlopen(page, timeout=30, context=trusting) as answer:
            assert answer.status == 200
        assert call(page, trusting)[1]["grpc-status"] == "16"
        assert call(page, trusting, Authorization="Bearer k")[1]["grpc-status"] == "0"
    origins = running.environment_of("render_service")["SONICHAOS_URL_ORIGINS"].split(",")
    assert f"https://studio.example.com:{port}" in origins


def test_nothing_is_on_stderr(tmp_path: Path, ups: list[Up]) -> None:
    """Without --logs the page's server is as quiet as the services, also while it starts them."""
    running = Up(services(tmp_path), *WEB, output=())
    ups.append(running)
    running.ready()
    running.process.terminate()
    assert running.process.wait(20) == 0
    assert running.log() == ""
