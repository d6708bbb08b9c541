"""A service as a child process: its log is forwarded line by line, and it ends when its parent does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_LAST_LINES = 20
_END_WITH_PARENT = """
import ctypes, os, signal, sys
parent, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != int(parent):
        sys.exit("the parent has ended")
os.execv(command[0], command)
"""
"""A program that becomes a command, to which the kernel sends SIGTERM when the parent dies, however it dies.

A function that runs between fork and exec would do it too, but then Python forks in place of vfork: gRPC's threads would run into
the fork, and gRPC would report that on stderr.
"""


@dataclass
class Child:
    """A running service."""

    name: str
    process: asyncio.subprocess.Process
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    _forwarder: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, module: str, environment: Mapping[str, str], on_line: Callable[[str], None]) -> Child:
        """Run ``python -P -m module``; ``on_line`` is called with each line of its output. It must neither wait nor raise.

        The process has its own session, so that Ctrl-C reaches the parent only, which then stops its children in order.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            "-c",
            _END_WITH_PARENT,
            str(os.getpid()),
            sys.executable,
            "-P",  # else Python files of the current folder would replace modules of the service
            "-m",
            module,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        child = cls(module, process)
        child._forwarder = asyncio.create_task(child._forward_output(on_line))
        return child

    async def _forward_output(self, on_line: Callable[[str], None]) -> None:
        """Forward lines of any length, and a last one without a newline."""
        rest = b""
        while self.process.stdout is not None and (data := await self.process.stdout.read(65536)):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._forward(line, on_line)
        if rest:
            self._forward(rest, on_line)

    def _forward(self, line: bytes, on_line: Callable[[str], None]) -> None:
        text = line.decode("utf-8", errors="replace").rstrip("\r")
        self.last_lines.append(text)
        on_line(text)

    async def ended(self) -> int:
        """Wait for the end of the process and of its output; returns the exit status, negative for a signal.

        Waits at most 2 s for the output, which a grandchild may keep open.
        """
        status = await self.process.wait()
        if self._forwarder is not None:
            await asyncio.wait({self._forwarder}, timeout=2.0)
        return status

    def send(self, which: signal.Signals) -> None:
        """Send a signal if the process still runs. SIGKILL goes to its whole process group."""
        if self.process.returncode is not None:
            return
        if which is signal.SIGKILL:
            os.killpg(self.process.pid, which)
        else:
            self.process.send_signal(which)

    async def stop(self, timeout_s: float) -> bool:
        """Send SIGTERM and wait; send SIGKILL after ``timeout_s``. Returns whether it ended before that."""
        self.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), timeout_s)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.process.wait()
            return False
        return True


def format_exit(status: int) -> str:
    """An exit status as text."""
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
