"""``sonichaos up``: runs both services on this machine until it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import grpc
from grpc_health.v1 import health_pb2

from hostctl.child import Child, format_exit
from hostctl.installation import RENDER_LISTEN, SEPARATION_LISTEN, URL_LISTEN, Installation, plan_installation
from hostctl.service_log import LogFile, readable
from hostctl.up_report import JsonReport, Ready, Report, ServiceState, TextReport, output_to, state_in
from sonichaos_client import AsyncClient, Credentials, SonichaosError
from sonichaos_client.cli.session import Session
from sonichaos_client.options import channel_options

_POLL_S = 0.2
_SHUTDOWN_S = 20.0  # allowed after drain_seconds for closing connections and files
_SERVICES = ("separation_service", "render_service")  # started in this order, stopped in reverse
_FLUSH_S = 2.0  # for the last lines of output, which may have no reader any more
_INVALID_CONFIGURATION = 2  # exit status of a service with invalid settings or models


def _path_or_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return str(Path(value).absolute()) if value is not None and Path(value).is_dir() else value


@click.command(short_help="Start both services on this machine.")
@click.option(
    "--separator", metavar="NAME", help="starter, or a model that demucs loads, such as htdemucs_ft [default: starter]"
)
@click.option(
    "--separator-repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with the weights of the separator, as saved by 'sonichaos fetch-weights'.",
)
@click.option(
    "--renderer",
    metavar="NAME_OR_DIR",
    callback=_path_or_name,
    help="starter, or the folder of a checkpoint [default: starter]",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Device of the models [default: cpu]")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Data folder: journal, files, weights [default: ~/.local/share/sonichaos]",
)
@click.option(
    "--render-listen",
    metavar="HOST:PORT",
    help=f"Addresses of render_service, separated by commas; port 0 is any free port [env: {RENDER_LISTEN}]",
)
@click.option(
    "--separation-listen",
    metavar="HOST:PORT",
    help=f"Addresses of separation_service, separated by commas; port 0 is any free port [env: {SEPARATION_LISTEN}]",
)
@click.option(
    "--url-listen", metavar="HOST:PORT", help=f"Address of signed URLs; port 0 is any free port [env: {URL_LISTEN}]"
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Allow plain text on addresses that other machines reach. Callers without a credential then act for the tenant local.",
)
@click.option(
    "--logs",
    is_flag=True,
    help="Send the services' logs to stderr [default: to DIR/logs, where DIR is the data folder]",
)
@click.option(
    "--json",
    "json_lines",
    is_flag=True,
    help="Print one JSON object per line to stdout, as without a terminal there: states of the services, and their addresses.",
)
@click.pass_context
def up(
    context: click.Context,
    *,
    separator: str | None,
    separator_repo: Path | None,
    renderer: str | None,
    device: str | None,
    data: Path | None,
    render_listen: str | None,
    separation_listen: str | None,
    url_listen: str | None,
    insecure: bool,
    logs: bool,
    json_lines: bool,
) -> None:
    """Start both services on this machine and print their addresses when they are ready.

    While the models load, a terminal shows how far each service is. The services' logs go to files in the data folder, which
    never exceed 64 MiB per service.

    Ctrl-C or SIGTERM drains them: they accept no new jobs and finish the running ones. A second Ctrl-C stops them at once;
    unfinished jobs continue at the next start.
    """
    chosen = {
        "SONICHAOS_SEPARATOR": separator,
        "SONICHAOS_SEPARATOR_REPO": str(separator_repo.absolute()) if separator_repo is not None else None,
        "SONICHAOS_RENDERER": renderer,
        "SONICHAOS_DEVICE": device,
        "SONICHAOS_INSECURE": "1" if insecure else None,
    }
    listen = {RENDER_LISTEN: render_listen, SEPARATION_LISTEN: separation_listen, URL_LISTEN: url_listen}
    installation = plan_installation(os.environ, data=data, chosen=chosen, listen=listen)
    report = _report(as_json=json_lines or context.ensure_object(Session).json_lines, with_logs=logs)
    files = {} if logs else _log_files(installation.data)
    context.exit(asyncio.run(_Services(installation, report, files).run()))


def _report(*, as_json: bool, with_logs: bool) -> Report:
    """JSON where a program reads stdout. Live lines where a terminal shows nothing else at the same time."""
    notes = output_to(sys.stderr.fileno())
    if as_json or not sys.stdout.isatty():
        return JsonReport(notes)
    return TextReport(notes, is_live=sys.stderr.isatty() and not with_logs and os.environ.get("TERM") != "dumb")


def _log_files(data: Path) -> dict[str, LogFile]:
    """The log file of each service. Raises click.ClickException."""
    folder = data / "logs"
    try:
        return {name: LogFile(folder / f"{name}.log") for name in _SERVICES}
    except OSError as error:
        raise click.ClickException(
            f"Cannot write logs to {folder}: {error.strerror}. Choose another data folder with --data, or use --logs."
        ) from error


@dataclass
class _Services:
    """Runs both services."""

    installation: Installation
    report: Report
    logs: Mapping[str, LogFile]
    """The log file of each service; empty if the logs go to stderr."""
    _states: dict[str, ServiceState] = field(default_factory=dict)

    async def run(self) -> int:
        """Start, report readiness, stop on a signal; returns the exit status."""
        stop, kill = _stop_events()
        environments = {
            "separation_service": self.installation.separation_environment(),
            "render_service": self.installation.render_environment(),
        }
        children: list[Child] = []
        try:
            for name in _SERVICES:
                child = await Child.start(name, environments[name], self._on_line(name))
                children.append(child)
                self._on_state(name, ServiceState.LOADING, pid=child.process.pid)
            return await self._supervise(children, stop)
        finally:
            await self._stop(children, kill)
            for log in self.logs.values():
                log.flush(_FLUSH_S)
            self.report.flush()

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

    def _on_state(self, name: str, state: ServiceState, **details: int) -> None:
        if self._states.get(name) is not state:
            self._states[name] = state
            self.report.on_state(name, state, **details)

    async def _supervise(self, children: list[Child], stop: asyncio.Event) -> int:
        ready = asyncio.create_task(self._report_ready())
        stopped = asyncio.create_task(stop.wait())
        ends = {asyncio.create_task(child.ended()): child for child in children}
        waiting: set[asyncio.Task[Any]] = {ready, stopped, *ends}
        try:
            while True:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if stopped in done:
                    self.report.on_stopping()
                    return 0
                for task in done & ends.keys():
                    return self._report_exit(ends[task], task.result(), was_ready=ready.done())
                await ready
        finally:
            for task in (ready, stopped, *ends):
                task.cancel()

    def _report_exit(self, child: Child, status: int, *, was_ready: bool) -> int:
        """Report that a service ended before this process stopped it; returns the exit status, 0 after a drain."""
        if status == 0 and was_ready:
            self.report.note(f"{child.name} was drained, as 'sonichaos drain' does. The other service is drained too.")
            return 0
        when = "" if was_ready else " before it was ready"
        message = f"{child.name} {format_exit(status)}{when}. The other service is stopped too. Its last lines:"
        log = str(self.logs[child.name].path) if child.name in self.logs else None
        self.report.on_failure(message, [readable(line) for line in child.last_lines], log)
        return _INVALID_CONFIGURATION if status == _INVALID_CONFIGURATION and not was_ready else 1

    async def _report_ready(self) -> None:
        ticking = asyncio.create_task(self._tick())
        made = self.installation
        try:
            renderer, separator = await _loaded_models(made.render_socket, made.separation_socket)
        finally:
            ticking.cancel()
        for name in _SERVICES:
            self._on_state(name, ServiceState.SERVING)
        logs = next((str(log.path.parent) for log in self.logs.values()), None)
        self.report.on_ready(Ready(installation=made, renderer=renderer, separator=separator, logs=logs))

    async def _tick(self) -> None:
        while True:
            self.report.tick()
            await asyncio.sleep(_POLL_S)

    async def _stop(self, children: list[Child], kill: asyncio.Event) -> None:
        """Drain render_service first, because its running jobs need separation_service."""
        stopping = asyncio.create_task(self._stop_in_order(children))
        killed = asyncio.create_task(kill.wait())
        await asyncio.wait({stopping, killed}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not stopping.done():
            self.report.note("Stopping both services at once. Unfinished jobs continue at the next start.")
            for child in children:
                child.send(signal.SIGKILL)
        await stopping

    async def _stop_in_order(self, children: list[Child]) -> None:
        for child in reversed(children):
            if not await child.stop(self.installation.drain_s + _SHUTDOWN_S):
                self.report.note(
                    f"{child.name} did not stop within its drain time and was killed. Unfinished jobs continue at the next start."
                )
            self._on_state(child.name, ServiceState.ENDED, status=await child.ended())


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
