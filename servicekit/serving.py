"""Runs a service process: listen, warm up, serve, drain on SIGTERM, SIGINT or a call, exit.

Health reports NOT_SERVING until the models are warm and again from the first request to stop on. A further signal exits at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import NoReturn, Protocol

from servicekit.errors import ServiceError, cause_of
from servicekit.logs import logger
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.server import RpcServer

EXIT_UNUSABLE = 2
_STREAM_GRACE_S = 1.0
_KEEP_ALIVE_S = 1.0
_log = logger(__name__)


class Drainable(Protocol):
    """Work that can be drained, such as `servicekit.work.Runner`."""

    def drain(self, timeout_s: float) -> bool:
        """Start nothing new and let running work finish for at most ``timeout_s``; True where all work finished by itself."""

    def keep_alive(self) -> bool:
        """Replace threads that have died; False where one cannot be started, so that work would stand still."""


class KeptAlive(Protocol):
    """A thread beside the work, such as `servicekit.work.repeating_thread.RepeatingThread`."""

    def keep_alive(self) -> bool:
        """Replace the thread if it has died; False where none can be started."""


class StopRequest:
    """Asks a service process to stop, as SIGTERM does. ``drain_seconds`` is how long running work may then take to finish."""

    def __init__(self, drain_seconds: float) -> None:
        self.drain_seconds = drain_seconds
        self.requested = asyncio.Event()

    def stop(self, drain_seconds: float | None = None) -> float:
        """Ask for it; returns the seconds that work has. Those of the first request count. Call it in the event loop."""
        if drain_seconds is not None and not self.requested.is_set():
            self.drain_seconds = drain_seconds
        self.requested.set()
        return self.drain_seconds


@dataclass(frozen=True, kw_only=True)
class ServiceProcess:
    """A service's server and work. ``warm`` runs in a worker thread after the server listens and before health is SERVING.

    ``stopping`` is set by the first signal, or by whoever else has it. ``upkeep`` are threads that run for as long as the process;
    health is NOT_SERVING while one of them is missing.
    """

    name: str
    server: RpcServer
    endpoints: Sequence[Endpoint]
    runner: AbstractContextManager[Drainable]
    warm: Callable[[], None]
    stopping: StopRequest
    upkeep: Sequence[KeptAlive] = ()

    async def run(self) -> None:
        """Serve until the first request to stop, then drain."""
        stop_requested = self.stopping.requested
        _stop_on_signals(self.stopping)
        bound = await self.server.start(self.endpoints)
        _log.info("listening", addresses=bound)
        if not await self._warm(stop_requested):
            _log.info("stopped before serving")
            return
        with self.runner as runner:
            await self.server.serve()
            _log.info("serving", addresses=bound)
            await self._keep_alive(runner, stop_requested)
            _log.info("draining", seconds=self.stopping.drain_seconds)
            await self.server.drain()
            all_finished = await asyncio.to_thread(runner.drain, self.stopping.drain_seconds)
            await self.server.stop(_STREAM_GRACE_S)
        _log.info("stopped", all_work_finished=all_finished)

    async def _warm(self, stop_requested: asyncio.Event) -> bool:
        """Warm up; False where a signal came before the end of that: then the service drains and never opens."""
        ended = asyncio.Event()
        threads = ThreadPoolExecutor(1, thread_name_prefix="warm")  # not the event loop's, whose end would wait for it
        try:
            warming = asyncio.get_running_loop().run_in_executor(threads, self.warm)
            warming.add_done_callback(lambda _: ended.set())
            stopping = asyncio.create_task(_set_with(stop_requested, ended))
            await ended.wait()
            stopping.cancel()
            if not stop_requested.is_set():
                await warming
                return True
            _log.info("draining before serving", seconds=self.stopping.drain_seconds)
            await self.server.drain()
            await asyncio.wait({warming}, timeout=self.stopping.drain_seconds)
            await self.server.stop(_STREAM_GRACE_S)
        finally:
            threads.shutdown(wait=False)
        return False

    async def _keep_alive(self, runner: Drainable, stop_requested: asyncio.Event) -> None:
        """Until the first request to stop, see that no thread is missing. Health is NOT_SERVING while one is."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop_requested.wait(), _KEEP_ALIVE_S)
                return
            await self.server.report(works=all(kept.keep_alive() for kept in (runner, *self.upkeep)))


async def _set_with(first: asyncio.Event, second: asyncio.Event) -> None:
    """Set the second event once the first is set."""
    await first.wait()
    second.set()


def _stop_on_signals(stopping: StopRequest) -> None:
    """The first SIGTERM or SIGINT asks to stop; one after a request to stop exits."""
    loop = asyncio.get_running_loop()

    def stop(which: signal.Signals) -> None:
        if stopping.requested.is_set():
            sys.exit(128 + which)
        stopping.stop()

    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, stop, which)


def exit_unusable(name: str, error: Exception) -> int:
    """Write to stderr why the service cannot start; returns the exit status."""
    with suppress(OSError):
        cause = cause_of(error) if isinstance(error, ServiceError) else ""
        sys.stderr.write(f"{name} cannot start: {error}\n" + (f"{cause}\n" if cause else ""))
    return EXIT_UNUSABLE


def end_process(status: int) -> NoReturn:
    """Flush the output and exit at once, without the interpreter's shutdown.

    Everything is closed by then, and shutting down an interpreter with loaded models would delay a restart by seconds.
    """
    logging.shutdown()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
