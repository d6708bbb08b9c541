"""A service as a child process: its log is passed on line by line, it ends when its parent does."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_LAST_LINES = 20
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None, use_errno=True)


def _end_with_parent() -> None:
    """Between fork and exec: the kernel sends SIGTERM when the parent dies, however it dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """A running service."""

    name: str
    process: asyncio.subprocess.Process
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    _pump: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, module: str, environment: Mapping[str, str], show: Callable[[str], None]) -> Child:
        """Run ``python -m module``; ``show`` gets each line that it writes.

        In a session of its own: Ctrl-C reaches the parent alone, which then ends its children in order.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        child = cls(module, process)
        child._pump = asyncio.create_task(child._pass_on(show))
        return child

    async def _pass_on(self, show: Callable[[str], None]) -> None:
        """Lines of any length, the last one even without its end."""
        rest = b""
        while self.process.stdout is not None and (data := await self.process.stdout.read(65536)):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._line(line, show)
        if rest:
            self._line(rest, show)

    def _line(self, line: bytes, show: Callable[[str], None]) -> None:
        text = line.decode("utf-8", errors="replace").rstrip("\r")
        self.last_lines.append(text)
        show(text)

    async def ended(self) -> int:
        """The exit status, negative for a signal, once the process has ended and its last line was passed on.

        A grandchild that kept the log open does not hold this up.
        """
        status = await self.process.wait()
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=2.0)
        return status

    def send(self, which: signal.Signals) -> None:
        """Send a signal; nothing where the process has ended already. SIGKILL goes to all that it started."""
        if self.process.returncode is not None:
            return
        if which is signal.SIGKILL:
            os.killpg(self.process.pid, which)
        else:
            self.process.send_signal(which)

    async def stop(self, most_s: float) -> bool:
        """SIGTERM, then wait for the drain; SIGKILL after ``most_s``. True where it ended by itself."""
        self.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), most_s)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.process.wait()
            return False
        return True


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
