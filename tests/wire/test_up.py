"""``sonichaos up`` with two small services instead of the real ones: start, readiness, shutdown order, crashes."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostctl.child import Child
from tests.support.small_up import REAL_LOG, Up, ends, read_until, services

SERVICES = ("render_service", "separation_service")


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    """The instances that a test started; they are killed at its end."""
    started: list[Up] = []
    yield started
    for one in started:
        one.process.kill()
        one.process.wait()


def test_it_prints_its_addresses_and_drains_in_order(tmp_path: Path, ups: list[Up]) -> None:
    """Each service gets its own settings; SIGTERM drains render_service first, then separation_service."""
    services(tmp_path)
    running = Up(
        tmp_path, "--separator=htdemucs_ft", "--renderer=starter", f"--data={tmp_path / 'data'}", "--device=cpu"
    )
    ups.append(running)
    ready = running.ready()
    assert (ready["renderer"], ready["separator"]) == ("starter", "htdemucs_ft")
    assert ready["data"] == str(tmp_path / "data")
    render, separation = running.environment_of("render_service"), running.environment_of("separation_service")
    assert render["SONICHAOS_RENDER_LISTEN"] == ready["renderAddress"]
    assert render["SONICHAOS_SEPARATION_ADDRESS"] == ready["separationSocket"]
    assert ready["separationSocket"] == f"unix:{tmp_path / 'data' / 'run' / 'separation.sock'}"
    assert separation["SONICHAOS_SEPARATION_LISTEN"] == ready["separationAddress"]
    assert render["SONICHAOS_DATA"] == separation["SONICHAOS_DATA"] == ready["data"]
    assert "SONICHAOS_SEPARATOR" not in render
    assert "SONICHAOS_RENDERER" not in separation
    running.process.terminate()
    assert running.process.wait(20) == 0
    log = running.log()
    assert 0 < log.index("render_service drains") < log.index("separation_service drains")


def test_if_a_service_dies_the_other_is_stopped(tmp_path: Path, ups: list[Up]) -> None:
    """The exit is reported with the last lines of output, the other service is stopped, and the exit status is 1."""
    running = Up(services(tmp_path))
    ups.append(running)
    running.ready()
    other = running.pid("separation_service")
    os.kill(running.pid("render_service"), signal.SIGKILL)
    assert running.process.wait(20) == 1
    assert "render_service was killed by SIGKILL. The other service is stopped too" in running.log()
    assert "separation_service drains" in running.log()
    assert ends(other)


def test_a_drained_service_ends_both_without_an_error(tmp_path: Path, ups: list[Up]) -> None:
    """As after `sonichaos drain`: the other service is drained too, and the exit status is 0."""
    running = Up(services(tmp_path))
    ups.append(running)
    running.ready()
    os.kill(running.pid("render_service"), signal.SIGTERM)
    assert running.process.wait(20) == 0
    assert "Error" not in running.log()
    assert "separation_service drains" in running.log()


def test_a_service_with_invalid_settings_says_why(tmp_path: Path, ups: list[Up]) -> None:
    """The last lines of a service that cannot start are repeated at the end; the exit status is 2."""
    refusal = 'if name == "separation_service":\n    print("no such separator: nope", file=sys.stderr)\n    sys.exit(2)'
    running = Up(services(tmp_path, extra=refusal), "--separator=nope")
    ups.append(running)
    assert running.process.wait(20) == 2
    assert "separation_service exited with status 2 before it was ready" in running.log()
    assert "\n  no such separator: nope" in running.log()


def test_a_second_signal_stops_at_once(tmp_path: Path, ups: list[Up]) -> None:
    """A second Ctrl-C ends a long drain."""
    running = Up(services(tmp_path, drain="time.sleep(600)"))
    ups.append(running)
    running.ready()
    pids = [running.pid("render_service"), running.pid("separation_service")]
    running.process.send_signal(signal.SIGINT)
    while "render_service drains" not in running.log():
        time.sleep(0.02)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(20) == 0
    assert all(ends(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: prctl")
def test_no_service_outlives_a_killed_parent(tmp_path: Path, ups: list[Up]) -> None:
    """If ``up`` itself is killed, both services end."""
    running = Up(services(tmp_path))
    ups.append(running)
    running.ready()
    pids = [running.pid("render_service"), running.pid("separation_service")]
    running.process.kill()
    assert all(ends(pid) for pid in pids)


def test_a_port_in_use_is_reported_before_anything_starts(tmp_path: Path, ups: list[Up]) -> None:
    """The error for a port in use names the option and the setting that choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = Up(services(tmp_path), f"--render-listen=127.0.0.1:{taken.getsockname()[1]}")
        ups.append(running)
        assert running.process.wait(20) == 1
    assert "is in use" in running.log()
    assert "SONICHAOS_RENDER_LISTEN" in running.log()
    assert "environment" not in running.log()


CHATTY = """
import threading
def chat():
    for number in range(4000):
        print("x" * 1000, flush=True)
    open(os.path.join(os.environ["WORKED"], name), "w").close()
threading.Thread(target=chat, daemon=True).start()
"""


@pytest.mark.parametrize("reader", ["gone", "stopped"])
def test_output_that_nobody_reads_does_not_stop_the_services(reader: str, tmp_path: Path, ups: list[Up]) -> None:
    """Each service writes 4 MB of log; the reader of stderr is gone, or does not read. Both services work on."""
    folder = tmp_path / "services"
    folder.mkdir()
    read_end, write_end = os.pipe()
    running = Up(services(folder, extra=CHATTY), environment={"WORKED": str(tmp_path)}, stderr=write_end)
    ups.append(running)
    os.close(write_end)
    if reader == "gone":
        os.close(read_end)
    running.ready()
    for name in ("render_service", "separation_service"):
        for _ in range(400):
            if (tmp_path / name).exists():
                break
            time.sleep(0.05)
        assert (tmp_path / name).exists(), f"{name} hangs"
    running.process.terminate()
    assert running.process.wait(20) == 0
    if reader == "stopped":
        os.close(read_end)


def test_a_pipe_gets_json_lines_and_the_logs_go_to_files(tmp_path: Path, ups: list[Up]) -> None:
    """Without any option: a line for each state of each service, the addresses, the end. Nothing on stderr."""
    running = Up(services(tmp_path, extra=REAL_LOG), output=())
    ups.append(running)
    assert running.process.stdout is not None
    states: list[dict[str, Any]] = []
    while "ready" not in (report := json.loads(running.process.stdout.readline())):
        states.append(report)
    running.process.terminate()
    ends = [json.loads(line) for line in running.process.stdout]
    assert running.process.wait(20) == 0
    assert running.log() == ""
    for name in SERVICES:
        assert [one["state"] for one in states if one["service"] == name] == ["loading", "warming", "serving"]
        assert next(one["pid"] for one in states if one["service"] == name) > 0
    assert ends == [{"stopping": True}, *({"service": name, "state": "ended", "status": 0} for name in SERVICES)]
    folder = tmp_path / "data" / "logs"
    assert report["logs"] == str(folder)
    for name in SERVICES:
        text = (folder / f"{name}.log").read_text()
        assert f"{name} drains" in text
        assert (folder / f"{name}.log").stat().st_mode & 0o777 == 0o600


def test_a_failure_shows_the_last_lines_and_names_the_log(tmp_path: Path, ups: list[Up]) -> None:
    """Structured lines are made readable, their traceback included; a program gets the same as JSON."""
    line = {
        "timestamp": "2026-01-02T03:04:05.6Z",
        "level": "error",
        "event": "no weights",
        "path": "/w",
        "exception": "Traceback:\nOSError: gone",
    }
    running = Up(services(tmp_path, extra=f"print(json.dumps({line!r}), flush=True)\nsys.exit(1)"), output=())
    ups.append(running)
    assert running.process.stdout is not None
    error = next(report["error"] for report in map(json.loads, running.process.stdout) if "error" in report)
    assert running.process.wait(20) == 1
    name = error["message"].split()[0]
    assert error["message"].startswith(f"{name} exited with status 1 before it was ready")
    assert error["lastLines"][-1] == "03:04:05 error: no weights path=/w\nTraceback:\nOSError: gone"
    assert error["log"] == str(tmp_path / "data" / "logs" / f"{name}.log")
    assert "\n  03:04:05 error: no weights path=/w\n  Traceback:\n  OSError: gone\n" in running.log()
    assert running.log().endswith(f"All of its log: {error['log']}\n")


def test_a_terminal_sees_progress_then_the_addresses(tmp_path: Path, ups: list[Up]) -> None:
    """A live line for each service, then an address per line and "Ready"; no log line, no JSON."""
    master, slave = pty.openpty()
    running = Up(services(tmp_path, extra=REAL_LOG), output=(), stdout=slave, stderr=slave)
    ups.append(running)
    os.close(slave)
    shown = read_until(master, b"Ctrl-C stops the services.")
    running.process.send_signal(signal.SIGINT)
    shown += read_until(master, None)
    assert running.process.wait(20) == 0
    progress, _, rest = shown.rpartition("\x1b[2K")
    assert "separation_service  loads its models" in progress
    assert "✓ separation_service  ready" in progress
    assert "render_service      ready" in rest
    assert "\n  signed URLs         http://" in rest
    assert f"\n  logs                {tmp_path / 'data' / 'logs'}" in rest
    assert "\nReady." in rest
    assert "Stopping: running jobs finish first." in rest
    assert "{" not in shown


async def test_a_service_runs_no_file_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though `python -m` would put the folder first."""
    (tmp_path / "json.py").write_text("print('not the library')")
    monkeypatch.chdir(tmp_path)
    lines: list[str] = []
    child = await Child.start("json.tool", os.environ, lines.append)
    await child.ended()
    assert lines
    assert "not the library" not in lines
