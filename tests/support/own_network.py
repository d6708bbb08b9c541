"""A network of its own for programs: nothing but loopback, where every port is free and only they can reach 0.0.0.0."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import require_debian
from tests.support import documented_shell

_HOLD = 'ip link set lo up && mount --bind "$0" /etc/hosts && echo ready && exec cat'


@dataclass(frozen=True)
class Started:
    """Commands that run; ``output`` is the file of what they print."""

    process: subprocess.Popen[str]
    output: Path

    def text(self) -> str:
        """What they have printed."""
        return self.output.read_text(encoding="utf-8")

    def interrupt(self) -> int:
        """What Ctrl-C does: SIGINT to the shell and what it runs. Returns the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(120)


@dataclass(frozen=True)
class OwnNetwork:
    """The namespaces of a process that holds them."""

    pid: int

    @property
    def prefix(self) -> tuple[str, ...]:
        """The program that starts another one in this network."""
        user = ("--user", "--preserve-credentials") if os.geteuid() else ()
        return ("nsenter", "--target", str(self.pid), "--net", "--mount", *user, "--")

    def run(self, text: str, folder: Path, given: Mapping[str, str]) -> str:
        """Run commands to their end in ``folder``; what they printed to stdout."""
        return documented_shell.run(text, folder, given, prefix=self._in(folder))

    @contextmanager
    def started(self, text: str, folder: Path, given: Mapping[str, str]) -> Iterator[Started]:
        """Commands that run until the block ends."""
        output = folder / "output.txt"
        with output.open("w") as file:
            process = subprocess.Popen(
                [*self._in(folder), *documented_shell.command(text)],
                cwd=folder, env=dict(given), stdin=subprocess.DEVNULL, stdout=file, stderr=file, text=True,
                start_new_session=True,
            )  # fmt: skip
        try:
            yield Started(process, output)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _in(self, folder: Path) -> tuple[str, ...]:
        return (*self.prefix, "env", "-C", str(folder))  # a mount namespace is entered at its root


@contextmanager
def own_network(folder: Path, *hosts: str) -> Iterator[OwnNetwork]:
    """A network in which ``hosts`` are names of this machine. Skips the test where the kernel allows none."""
    require_debian("iproute2", "ip")
    names = folder / "hosts"
    names.write_text("".join(f"127.0.0.1 {host}\n" for host in ("localhost", *hosts)), encoding="utf-8")
    user = ["--user", "--map-root-user"] if os.geteuid() else []
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", *user, "sh", "-c", _HOLD, str(names)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        if holder.stdout.readline() != "ready\n":
            pytest.skip(f"needs a kernel that allows network namespaces: {holder.communicate()[1].strip()}")
        yield OwnNetwork(holder.pid)
    finally:
        holder.kill()
        holder.communicate()
