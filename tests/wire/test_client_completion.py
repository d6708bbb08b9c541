"""``sonichaos completion`` in the shells themselves: commands, options, and ids from scripted services."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sonichaos.render.v1 import render_pb2
from tests.conftest import require_debian
from tests.support.scripted_services import ScriptedPair, scripted_pair

ROOT = Path(__file__).resolve().parents[2]
# A shell waits for this program, so what it completes is on the screen before the next line is read.
SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
}
SETUP = {"bash": "", "zsh": "autoload -Uz compinit; compinit -u -D; "}


@pytest.fixture(scope="module")
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services with a job and a persona."""
    with scripted_pair() as running:
        running.render.accept("j-take-1", stems=False, prompt="slow, dusty")
        running.render.personas["ember"] = render_pb2.Persona(id="ember", built_in=True, prefix="warm, low")
        yield running


def environment(pair: ScriptedPair, folder: Path) -> dict[str, str]:
    """The environment of a shell: the installed command, and the services' addresses."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "clients" / "python" / "src")])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "PYTHONPATH": paths, "HOME": str(folder), "PS1": "", "TERM": "xterm"}
    return {**os.environ, **pair.environment, **own}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_at_its_prompt(shell: str, pair: ScriptedPair, tmp_path: Path) -> None:
    """The tab key completes a command, a path, a job id and a persona; the completed line runs."""
    require_debian(shell, shell)
    (tmp_path / "new-folder").mkdir()
    master, slave = pty.openpty()
    process = subprocess.Popen(
        SHELLS[shell],
        env=environment(pair, tmp_path),
        cwd=tmp_path,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        os.write(master, f"{SETUP[shell]}source <(sonichaos completion {shell}); echo load''ed\n".encode())
        read_until(master, b"loaded\r\n")
        for typed, completed in (
            ("sonichaos reren\t", b"rerender "),
            ("sonichaos get --out new-f\t", b"new-folder/"),
            ("sonichaos get j-t\t", b"j-take-1 "),
            ("sonichaos render --persona em\t", b"ember "),
        ):
            os.write(master, typed.encode())
            read_until(master, completed)
            os.write(master, b"\x15")  # deletes the line
        os.write(master, b"sonichaos get j-t\t --json; exit\n")
        read_until(master, b'"jobId":"j-take-1"')
        process.wait(20)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def read_until(descriptor: int, end: bytes) -> None:
    """Read what the terminal shows, without the codes of colours and of the cursor, until ``end``."""
    shown = b""
    while end not in re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown):
        assert select.select([descriptor], [], [], 30)[0], shown  # a shell that hangs
        shown += os.read(descriptor, 4096)


def test_fish_completes(pair: ScriptedPair, tmp_path: Path) -> None:
    """Its own ``complete -C`` lists what the tab key would."""
    require_debian("fish", "fish")
    script = "sonichaos completion fish | source; for line in $argv; complete -C $line; end"
    lines = ("sonichaos reren", "sonichaos get j-t", "sonichaos render --persona em")
    result = subprocess.run(
        ["fish", "--no-config", "-c", script, *lines],
        env=environment(pair, tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.stderr == ""
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["rerender", "j-take-1", "ember"]


def test_without_services_nothing_is_completed_and_nothing_is_said(tmp_path: Path) -> None:
    """Neither for jobs nor for personas, nor with a key file that is missing."""
    nowhere = {"SONICHAOS_RENDER_ADDRESS": "127.0.0.1:1", "SONICHAOS_SEPARATION_ADDRESS": "127.0.0.1:1"}
    for words in ("sonichaos get ", "sonichaos --api-key-file /nonexistent get "):
        number = str(len(words.split()))
        asked = {"_SONICHAOS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number}
        result = subprocess.run(
            [sys.executable, "-m", "sonichaos_client"],
            env={**os.environ, **nowhere, **asked, "PYTHONPATH": str(ROOT / "clients" / "python" / "src")},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert (result.stdout.strip(), result.stderr) == ("", "")
