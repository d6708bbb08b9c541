"""``sonichaos up``: runs both services on this machine until it is stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import grpc
from grpc_health.v1 import health_pb2

from hostctl.child import Child, format_exit
from hostctl.installation import RENDER_LISTEN, SEPARATION_LISTEN, URL_LISTEN, Installation, plan_installation
from servicekit.line_writer import LineWriter
from sonichaos_client import AsyncClient, SonichaosError
from sonichaos_client.cli.session import Session
from sonichaos_client.options import channel_options

_POLL_S = 0.2
_SHUTDOWN_S = 20.0  # allowed after drain_seconds for closing connections and files
_SERVICES = ("separation_service", "render_service")  # started in this order, stopped in reverse
_FLUSH_S = 2.0  # for the last lines of output, which may have no reader any more
_INVALID_CONFIGURATION = 2  # exit status of a service with invalid settings or models


def _path_or_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return str(Path(value).absolute()) if value is not None and Path(value).is_dir() else value


@click.command()
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
@click.option("--json", "json_lines", is_flag=True, help="When ready, print one JSON object to stdout.")
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
    json_lines: bool,
) -> None:
    """Start both services on this machine and print their addresses when they are ready.

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
    as_json = json_lines or context.ensure_object(Session).json_lines
    context.exit(asyncio.run(_Services(installation, as_json=as_json).run()))


def _output(descriptor: int) -> LineWriter:
    """Output that cannot stop the services: no line waits for a reader that is slow, stopped or gone."""
    return LineWriter(os.dup(descriptor), on_dropped=lambda lines: f"{lines} lines were dropped")


@dataclass
class _Services:
    """Runs both services."""

    installation: Installation
    as_json: bool
    _results: LineWriter = field(default_factory=lambda: _output(sys.stdout.fileno()))
    _notes: LineWriter = field(default_factory=lambda: _output(sys.stderr.fileno()))

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
                child = await Child.start(name, environments[name], self._printer(name))
                children.append(child)
            return await self._supervise(children, stop)
        finally:
            await self._stop(children, kill)
            self._results.flush(_FLUSH_S)
            self._notes.flush(_FLUSH_S)

    def _printer(self, name: str) -> Callable[[str], None]:
        return lambda line: self._notes.write(f"{name} | {line}")

    async def _supervise(self, children: list[Child], stop: asyncio.Event) -> int:
        ready = asyncio.create_task(self._report_ready())
        stopped = asyncio.create_task(stop.wait())
        ends = {asyncio.create_task(child.ended()): child for child in children}
        waiting: set[asyncio.Task[Any]] = {ready, stopped, *ends}
        try:
            while True:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if stopped in done:
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
            self._notes.write(f"{child.name} was drained, as 'sonichaos drain' does. The other service is drained too.")
            return 0
        when = "" if was_ready else " before it was ready"
        lines = "\n".join(f"  {line}" for line in child.last_lines)
        self._notes.write(
            f"Error: {child.name} {format_exit(status)}{when}. The other service is stopped too. Its last lines:\n{lines}"
        )
        return _INVALID_CONFIGURATION if status == _INVALID_CONFIGURATION and not was_ready else 1

    async def _report_ready(self) -> None:
        made = self.installation
        renderer, separator = await _loaded_models(made.render_socket, made.separation_socket)
        render, separation = made.for_callers(made.render), made.for_callers(made.separation)
        urls, data = made.urls.address, made.data
        if self.as_json:
            ready = {
                "ready": True,
                "renderAddress": render,
                "separationAddress": separation,
                "renderSocket": made.render_socket,
                "separationSocket": made.separation_socket,
                "urlListen": urls,
                "data": str(data),
                "renderer": renderer,
                "separator": separator,
                "pid": os.getpid(),
            }
            self._results.write(json.dumps(ready))
            return
        lines = (
            "ready",
            f"  render_service      {render}  {renderer}",
            f"                      {made.render_socket}",
            *[f"                      {address}  (client certificates)" for address in made.for_certificates("RENDER")],
            f"  separation_service  {separation}  {separator}",
            f"                      {made.separation_socket}",
            *[
                f"                      {address}  (client certificates)"
                for address in made.for_certificates("SEPARATION")
            ],
            f"  signed URLs         {made.url_base}",
            f"  data                {data}",
            "  stop with Ctrl-C",
        )
        self._results.write("\n".join(lines))

    async def _stop(self, children: list[Child], kill: asyncio.Event) -> None:
        """Drain render_service first, because its running jobs need separation_service."""
        stopping = asyncio.create_task(self._stop_in_order(children))
        killed = asyncio.create_task(kill.wait())
        await asyncio.wait({stopping, killed}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not stopping.done():
            self._notes.write("Stopping both services at once. Unfinished jobs continue at the next start.")
            for child in children:
                child.send(signal.SIGKILL)
        await stopping

    async def _stop_in_order(self, children: list[Child]) -> None:
        for child in reversed(children):
            if not await child.stop(self.installation.drain_s + _SHUTDOWN_S):
                self._notes.write(
                    f"{child.name} did not stop within its drain time and was killed. Unfinished jobs continue at the next start."
                )
            await child.ended()


async def _loaded_models(render: str, separation: str) -> tuple[str, str]:
    """Wait until both services are SERVING; returns the names of the renderer and the separator."""
    while True:
        await asyncio.gather(_serving(render), _serving(separation))
        try:
            async with AsyncClient(render, separation) as client:
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
