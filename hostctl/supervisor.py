"""Runs both services until a signal or a failure, and the page beside them."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2

from hostctl.child import Child, format_exit
from hostctl.installation import Installation
from hostctl.service_log import LogFile, readable
from hostctl.up_report import Ready, Report, ServiceState, state_in
from hostctl.web.readiness import Readiness
from sonichaos_client import AsyncClient, Credentials, SonichaosError
from sonichaos_client.options import channel_options

if TYPE_CHECKING:
    from hostctl.web.plan import WebPlan  # loads an HTTP server, which only a page needs

SERVICES = ("separation_service", "render_service")  # started in this order, stopped in reverse
_POLL_S = 0.2
_SHUTDOWN_S = 20.0  # allowed after drain_seconds for closing connections and files
_FLUSH_S = 2.0  # for the last lines of output, which may have no reader any more
_RESTART_PAUSE_S = 1.0
_MAX_CRASHES = 3
_CRASH_WINDOW_S = 600.0
_SHOW_FAILURE_S = 5.0
_INVALID_CONFIGURATION = 2  # exit status of a service with invalid settings or models


@dataclass
class CrashLimit:
    """Admits three crashes within ten minutes."""

    clock: Callable[[], float] = time.monotonic
    _times_s: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_CRASHES))

    def admits(self) -> bool:
        """Count a crash; whether the service is to be started again."""
        now_s = self.clock()
        is_admitted = len(self._times_s) < _MAX_CRASHES or now_s - self._times_s[0] > _CRASH_WINDOW_S
        self._times_s.append(now_s)
        return is_admitted


@dataclass
class Supervisor:
    """Runs both services, and the page's server if there is a ``web``."""

    installation: Installation
    report: Report
    logs: Mapping[str, LogFile]
    """The log file of each service; empty if the logs go to stderr."""
    web: WebPlan | None = None
    _states: dict[str, ServiceState] = field(default_factory=dict)
    _readiness: Readiness = field(default_factory=lambda: Readiness(SERVICES))
    _children: dict[str, Child] = field(default_factory=dict)
    _crashes: dict[str, CrashLimit] = field(default_factory=lambda: {name: CrashLimit() for name in SERVICES})

    async def run(self) -> int:
        """Start, report readiness, stop on a signal; returns the exit status."""
        stop, kill = _stop_events()
        async with AsyncExitStack() as resources:
            if self.web is not None:
                await resources.enter_async_context(self.web.serving(self._readiness))
                self.report.on_page(self.web.installation.page_address or "")
            try:
                status = await self._run_services(stop, kill)
            finally:
                for log in self.logs.values():
                    log.flush(_FLUSH_S)
                self.report.flush()
            if status != 0 and self.web is not None:
                await _show_failure(self._readiness, stop)
            return status

    async def _run_services(self, stop: asyncio.Event, kill: asyncio.Event) -> int:
        try:
            for name in SERVICES:
                await self._start(name)
            return await self._supervise(stop)
        finally:
            await self._stop(kill)

    async def _start(self, name: str) -> Child:
        made = self.installation
        environment = made.separation_environment() if name == "separation_service" else made.render_environment()
        child = await Child.start(name, environment, self._on_line(name))
        self._children[name] = child
        self._on_state(name, ServiceState.LOADING, pid=child.process.pid)
        return child

    def _on_line(self, name: str) -> Callable[[str], None]:
        """Where the lines of a service's log go. They also say how far its start is."""

        def on_line(line: str) -> None:
            if name in self.logs:
                self.logs[name].write(line)
            else:
                self.report.note(f"{name} | {line}")
            if self._states.get(name) is not ServiceState.SERVING and (reached := state_in(line)) is not None:
                self._on_state(name, reached)

        return on_line

    def _on_state(self, name: str, state: ServiceState, reason: str = "", **details: int) -> None:
        if self._states.get(name) is not state:
            self._states[name] = state
            self._readiness.on_state(name, state, reason)
            self.report.on_state(name, state, **details)

    async def _supervise(self, stop: asyncio.Event) -> int:
        ready = asyncio.create_task(self._report_ready())
        stopped = asyncio.create_task(stop.wait())
        kept = {asyncio.create_task(self._keep_running(child, ready)) for child in self._children.values()}
        waiting: set[asyncio.Task[Any]] = {ready, stopped, *kept}
        try:
            while True:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if stopped in done:
                    self.report.on_stopping()
                    return 0
                for task in done & kept:
                    return self._report_exit(*task.result(), was_ready=ready.done())
                await ready
        finally:
            for task in (ready, stopped, *kept):
                task.cancel()
            await asyncio.gather(*kept, return_exceptions=True)  # none of them starts anything from here on

    async def _keep_running(self, child: Child, ready: asyncio.Task[None]) -> tuple[Child, int]:
        """Until a service ends for good; its last process and the exit status.

        Beside a page, a service that crashes after both were ready is started again: the page shows it, and jobs continue.
        """
        while True:
            status = await child.ended()
            if status == 0 or self.web is None or not ready.done() or not self._crashes[child.name].admits():
                return child, status
            reason = f"{child.name} {format_exit(status)} and was started again."
            self.report.note(reason)
            self._on_state(child.name, ServiceState.RESTARTING, reason, status=status)
            await asyncio.sleep(_RESTART_PAUSE_S)
            child = await self._start(child.name)

    def _report_exit(self, child: Child, status: int, *, was_ready: bool) -> int:
        """Report that a service ended before this process stopped it; returns the exit status, 0 after a drain."""
        if status == 0 and was_ready:
            self.report.note(f"{child.name} was drained, as 'sonichaos drain' does. The other service is drained too.")
            return 0
        when = "" if was_ready else " before it was ready"
        ended = f"{child.name} {format_exit(status)}{when}"
        lines = [readable(line) for line in child.last_lines]
        log = str(self.logs[child.name].path) if child.name in self.logs else None
        self._readiness.on_failure(child.name, ended, lines)
        self.report.on_failure(f"{ended}. The other service is stopped too. Its last lines:", lines, log)
        return _INVALID_CONFIGURATION if status == _INVALID_CONFIGURATION and not was_ready else 1

    async def _report_ready(self) -> None:
        ticking = asyncio.create_task(self._tick())
        made = self.installation
        try:
            renderer, separator = await _loaded_models(made.render_socket, made.separation_socket)
        finally:
            ticking.cancel()
        for name in SERVICES:
            self._on_state(name, ServiceState.SERVING)
        logs = next((str(log.path.parent) for log in self.logs.values()), None)
        self.report.on_ready(Ready(installation=made, renderer=renderer, separator=separator, logs=logs))

    async def _tick(self) -> None:
        while True:
            self.report.tick()
            await asyncio.sleep(_POLL_S)

    async def _stop(self, kill: asyncio.Event) -> None:
        """Drain render_service first, because its running jobs need separation_service."""
        for name in self._children:
            self._readiness.on_state(name, ServiceState.STOPPING)
        stopping = asyncio.create_task(self._stop_in_order())
        killed = asyncio.create_task(kill.wait())
        await asyncio.wait({stopping, killed}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not stopping.done():
            self.report.note("Stopping both services at once. Unfinished jobs continue at the next start.")
            for child in self._children.values():
                child.send(signal.SIGKILL)
        await stopping

    async def _stop_in_order(self) -> None:
        for child in reversed(self._children.values()):
            if not await child.stop(self.installation.drain_s + _SHUTDOWN_S):
                self.report.note(
                    f"{child.name} did not stop within its drain time and was killed. Unfinished jobs continue at the next start."
                )
            self._on_state(child.name, ServiceState.ENDED, status=await child.ended())


async def _show_failure(readiness: Readiness, stop: asyncio.Event) -> None:
    """Let an open page, which asks every few seconds, learn why there is no service any more."""
    if readiness.was_asked:
        shown, stopped = asyncio.create_task(readiness.failure_shown.wait()), asyncio.create_task(stop.wait())
        await asyncio.wait({shown, stopped}, timeout=_SHOW_FAILURE_S, return_when=asyncio.FIRST_COMPLETED)
        for task in (shown, stopped):
            task.cancel()


async def _loaded_models(render: str, separation: str) -> tuple[str, str]:
    """Wait until both services are SERVING; returns the names of the renderer and the separator."""
    while True:
        await asyncio.gather(_serving(render), _serving(separation))
        try:
            async with AsyncClient(render, separation, credentials=Credentials()) as client:
                return (await client.get_render_model()).name, (await client.get_separation_model()).name
        except SonichaosError:  # a service just ended, which _supervise reports
            await asyncio.sleep(_POLL_S)


async def _serving(address: str) -> None:
    """Wait until the health service at ``address`` answers SERVING."""
    async with grpc.aio.insecure_channel(address, options=channel_options(address)) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        while True:
            try:
                answer = await check(health_pb2.HealthCheckRequest(), timeout=5.0, wait_for_ready=False)
            except grpc.aio.AioRpcError:
                answer = None
            if answer is not None and answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            await asyncio.sleep(_POLL_S)


def _stop_events() -> tuple[asyncio.Event, asyncio.Event]:
    """Two events, set by the first and by the second signal."""
    stop, kill = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (kill if stop.is_set() else stop).set()

    for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(which, on_signal)
    return stop, kill
