"""The ``sonichaos`` command as a process: Ctrl-C, progress bars, a closed pipe, confirmation."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripted_services import ScriptedPair, scripted_pair

ROOT = Path(__file__).resolve().parents[2]
RENDER = ("render", "--prompt", "dusty boom bap", "--persona", "ember")


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


def started(pair: ScriptedPair, *arguments: str, **options: int) -> subprocess.Popen[str]:
    """Start the command as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "sonichaos_client", *arguments],
        env={**os.environ, **pair.environment, "PYTHONPATH": str(ROOT / "clients" / "python" / "src")},
        text=True,
        **options,
    )


def test_ctrl_c_does_not_stop_the_job(pair: ScriptedPair) -> None:
    """Ctrl-C prints the commands that watch and cancel the job, one a line, cancels nothing, and exits with 130."""
    pair.render.pause_after = 4
    address = ("--render-address", pair.render_address)
    process = started(pair, *RENDER, *address, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    job_id = json.loads(process.stdout.readline())["jobId"]
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines()[2:] == [
        f"sonichaos watch {job_id} --render-address {pair.render_address}",
        f"sonichaos cancel {job_id} --render-address {pair.render_address}",
    ]
    assert pair.render.requests("CancelJob") == []


def test_progress_bars_on_a_terminal(pair: ScriptedPair) -> None:
    """Each track has a live bar on stderr; stdout has only the result."""
    master, slave = pty.openpty()
    process = started(pair, *RENDER, "--stems", stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while data := os.read(master, 4096):
            shown += data
    except OSError:  # Linux: the other end of the terminal was closed
        pass
    answer, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "render" in shown.decode()
    assert "stems" in shown.decode()
    assert "\x1b[" in shown.decode()
    assert "\x1b[" not in answer


def test_a_closed_pipe_is_no_traceback(pair: ScriptedPair) -> None:
    """``sonichaos jobs | head -1`` does not end in a traceback."""
    for index in range(50):
        pair.render.accept(f"j-{index}", stems=False)
    process = started(pair, "jobs", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.wait(20)
    process.stderr.close()


@pytest.mark.parametrize(
    ("typed", "status", "message", "erased"),
    [
        (b"y\n", 0, "prompt erased", True),
        (b"YES\n", 0, "prompt erased", True),
        (b"n\n", 1, "Nothing was erased", False),
        (b"\n", 1, "Nothing was erased", False),
        (b"\x03", 130, "Interrupted", False),
    ],
)
def test_erase_prompt_asks_on_a_terminal(
    pair: ScriptedPair, typed: bytes, status: int, message: str, *, erased: bool
) -> None:
    """The question names the job and says that erasing is final; only a yes erases."""
    pair.render.accept("j-1", stems=False)
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLED, "erase-prompt", "j-1"],
        env={**os.environ, **pair.environment, "PYTHONPATH": str(ROOT / "clients" / "python" / "src")},
        stdin=(terminal := pty.openpty())[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(terminal[1])
    assert process.stderr is not None
    question = b""
    while not question.endswith(b"[y/N]: "):
        question += process.stderr.read(1)
    assert b"j-1" in question
    assert b"cannot be restored" in question
    os.write(terminal[0], typed)
    answer, errors = process.communicate(timeout=20)
    os.close(terminal[0])
    assert process.returncode == status
    assert message in answer.decode() + errors.decode()
    assert bool(pair.render.requests("ErasePrompt")) == erased


# The command in a session of its own, whose controlling terminal is stdin, so that a typed Ctrl-C reaches it.
CONTROLLED = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from sonichaos_client.cli import main
main()
"""
