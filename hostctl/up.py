"""``sonichaos up``: both services on this machine, until told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import grpc
from grpc_health.v1 import health_pb2

from hostctl.child import Child, how_it_ended
from hostctl.installation import RENDER_LISTEN, SEPARATION_LISTEN, URL_LISTEN, Installation, plan_installation
from sonichaos_client import AsyncClient, SonichaosError
from sonichaos_client.cli.session import Session, note
from sonichaos_client.options import channel_options

_POLL_S = 0.2
_GRACE_S = 20.0  # beyond the services' own drain_seconds, to close what is open
_SERVICES = ("separation_service", "render_service")  # started in this order, stopped in the reverse one
_REFUSED = 2  # how a service ends whose settings or models are unusable


def _path_or_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return str(Path(value).absolute()) if value is not None and Path(value).is_dir() else value


@click.command()
@click.option("--separator", metavar="NAME", help="starter, or a model or bag that demucs loads, such as htdemucs_ft.")
@click.option(
    "--separator-repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with the separator's weights; see: sonichaos fetch-weights.",
)
@click.option("--renderer", metavar="NAME_OR_DIR", callback=_path_or_name, help="starter, or a checkpoint's folder.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Where the models run [default: cpu]")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder of everything that is kept."
)
@click.option("--render-listen", metavar="HOST:PORT", help=f"Port 0: a free one [env: {RENDER_LISTEN}]")
@click.option("--separation-listen", metavar="HOST:PORT", help=f"Port 0: a free one [env: {SEPARATION_LISTEN}]")
@click.option("--url-listen", metavar="HOST:PORT", help=f"Where signed URLs are served [env: {URL_LISTEN}]")
@click.option(
    "--insecure", is_flag=True, help="Allow listening beyond this machine, though callers have no identity yet."
)
@click.option("--json", "json_lines", is_flag=True, help="Say that all is ready as one JSON object on stdout.")
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
    """Start both services on this machine and say when they are ready.

    Ctrl-C or SIGTERM drains them: no new work is taken, what runs may end. A second one ends them at once; what was
    accepted goes on at the next start.
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
    context.exit(asyncio.run(_Pair(installation, as_json=as_json).run()))


@dataclass
class _Pair:
    """Both services from their start to their end."""

    installation: Installation
    as_json: bool

    async def run(self) -> int:
        """Start, say when ready, stop when told; gives the exit status."""
        told, at_once = _stop_signals()
        environments = {
            "separation_service": self.installation.separation_environment(),
            "render_service": self.installation.render_environment(),
        }
        children: list[Child] = []
        try:
            for name in _SERVICES:
                child = await Child.start(name, environments[name], _shown_as(name))
                children.append(child)
            return await self._watch_over(children, told)
        finally:
            await self._stop(children, at_once)

    async def _watch_over(self, children: list[Child], told: asyncio.Event) -> int:
        ready = asyncio.create_task(self._say_when_ready())
        stop = asyncio.create_task(told.wait())
        ends = {asyncio.create_task(child.ended()): child for child in children}
        waiting: set[asyncio.Task[Any]] = {ready, stop, *ends}
        try:
            while True:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if stop in done:
                    return 0
                for task in done & ends.keys():
                    return _report(ends[task], task.result(), was_ready=ready.done())
                await ready
        finally:
            for task in (ready, stop, *ends):
                task.cancel()

    async def _say_when_ready(self) -> None:
        render, separation = self.installation.render.for_callers, self.installation.separation.for_callers
        renderer, separator = await _once_serving(render, separation)
        urls, data = self.installation.urls.address, self.installation.data
        if self.as_json:
            ready = {
                "ready": True,
                "renderAddress": render,
                "separationAddress": separation,
                "urlListen": urls,
                "data": str(data),
                "renderer": renderer,
                "separator": separator,
                "pid": os.getpid(),
            }
            click.echo(json.dumps(ready))
            return
        click.echo(
            f"ready\n  render_service      {render}  {renderer}\n  separation_service  {separation}  {separator}"
        )
        click.echo(f"  signed URLs         {urls}\n  data                {data}\n  stop with Ctrl-C")

    async def _stop(self, children: list[Child], at_once: asyncio.Event) -> None:
        """Drain render_service first: what it renders still needs separation_service."""
        stopping = asyncio.create_task(self._stop_in_turn(children))
        hurried = asyncio.create_task(at_once.wait())
        await asyncio.wait({stopping, hurried}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not stopping.done():
            note("Ending both services at once; what was accepted goes on at the next start.")
            for child in children:
                child.send(signal.SIGKILL)
        await stopping

    async def _stop_in_turn(self, children: list[Child]) -> None:
        for child in reversed(children):
            if not await child.stop(self.installation.drain_s + _GRACE_S):
                note(
                    f"{child.name} did not end within its drain time and was killed; its work goes on at the next start."
                )
            await child.ended()


async def _once_serving(render: str, separation: str) -> tuple[str, str]:
    """The names of the loaded renderer and separator, once both services say SERVING."""
    while True:
        await asyncio.gather(_serving(render), _serving(separation))
        try:
            async with AsyncClient(render, separation) as client:
                return (await client.render_model()).name, (await client.separation_model()).name
        except SonichaosError:  # one of them has just gone; its end is seen elsewhere
            await asyncio.sleep(_POLL_S)


async def _serving(address: str) -> None:
    """Return once the health service at ``address`` says SERVING."""
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


def _shown_as(name: str) -> Callable[[str], None]:
    return lambda line: note(f"{name} | {line}")


def _report(child: Child, status: int, *, was_ready: bool) -> int:
    """Say that a service ended by itself; gives the exit status."""
    when = "" if was_ready else " before it was ready"
    lines = "\n".join(f"  {line}" for line in child.last_lines)
    note(f"Error: {child.name} {how_it_ended(status)}{when}; the other is stopped as well. Its last lines:\n{lines}")
    return _REFUSED if status == _REFUSED and not was_ready else 1


def _stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Two events: told to stop, and told again."""
    told, at_once = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (at_once if told.is_set() else told).set()

    for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(which, stop)
    return told, at_once
