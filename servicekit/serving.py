"""The life of a service process: listen, warm up, serve, drain on SIGTERM or SIGINT, end.

Health says NOT_SERVING until the models are warm and again from the first signal on. A second signal ends the process at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn, Protocol

from servicekit.logs import logger
from servicekit.rpc.server import RpcServer

EXIT_UNUSABLE = 2
_STREAM_GRACE_S = 1.0
_log = logger(__name__)


class Drainable(Protocol):
    """Work that can be brought to an orderly end. `servicekit.work.Runner` is one."""

    def drain(self, timeout_s: float) -> bool:
        """Begin nothing more and let running work end, for ``timeout_s`` at most; True where everything ended by itself."""


@dataclass(frozen=True, kw_only=True)
class ServiceProcess:
    """``open_service`` warms the models and mounts the servicers; it runs in the event loop's thread before health says SERVING."""

    name: str
    server: RpcServer
    addresses: Sequence[str]
    runner: AbstractContextManager[Drainable]
    warm: Callable[[], None]
    drain_seconds: float

    async def run(self) -> None:
        """Serve until told to stop, then drain."""
        told = _stop_signals()
        bound = await self.server.start(self.addresses)
        _log.info("listening", addresses=bound)
        await asyncio.to_thread(self.warm)
        with self.runner as runner:
            await self.server.serve()
            _log.info("serving", addresses=bound)
            await told.wait()
            _log.info("draining", seconds=self.drain_seconds)
            await self.server.drain()
            ended = await asyncio.to_thread(runner.drain, self.drain_seconds)
            await self.server.stop(_STREAM_GRACE_S)
        _log.info("stopped", everything_ended=ended)


def _stop_signals() -> asyncio.Event:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(which: signal.Signals) -> None:
        if told.is_set():
            sys.exit(128 + which)
        told.set()

    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, stop, which)
    return told


def exit_unusable(name: str, error: Exception) -> int:
    """Say on stderr why the service cannot start; gives the exit status."""
    sys.stderr.write(f"{name} cannot start: {error}\n")
    return EXIT_UNUSABLE


def end_process(status: int) -> NoReturn:
    """End now, with what was written flushed.

    Everything that matters is closed by then; taking apart the interpreter with its loaded models costs seconds that a restart
    would wait for.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
