"""``sonichaos fake``: both services in memory, for tests of an integration."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.param_types import INPUT_FILE, NumberBetween
from sonichaos_client.cli.session import note

if TYPE_CHECKING:
    from sonichaos_client.testing.fake import FakeAddresses, FakeServices

_MAX_SPEED = 10_000


@click.command(short_help="Start both services without weights, for tests.")
@click.option(
    "--render-listen",
    metavar="HOST:PORT",
    default="127.0.0.1:50071",
    show_default=True,
    help="Address of render_service, or unix:///PATH; port 0 is any free port.",
)
@click.option(
    "--separation-listen",
    metavar="HOST:PORT",
    default="127.0.0.1:50072",
    show_default=True,
    help="Address of separation_service, likewise.",
)
@click.option(
    "--url-listen",
    metavar="HOST:PORT",
    default="127.0.0.1:50073",
    show_default=True,
    help="Address of signed URLs; port 0 is any free port.",
)
@click.option("--url-base", metavar="URL", default="", help="How callers reach --url-listen, if that differs.")
@click.option("--script", type=INPUT_FILE, metavar="FILE.yaml", help="Personas, speeds and faults from the start.")
@click.option(
    "--speed",
    type=NumberBetween(0.01, _MAX_SPEED),
    default=1.0,
    show_default=True,
    help="Seconds of the fake's clock that pass in one real second.",
)
@click.option("--manual-clock", is_flag=True, help="Time passes only when a call of SkipTime skips it.")
@click.option(
    "--api-key", "api_keys", metavar="KEY", multiple=True, help="Callers need this key. Repeat it for several keys."
)
@click.option(
    "--certificate", type=INPUT_FILE, metavar="FILE", help="Certificate chain as PEM; all addresses then speak TLS."
)
@click.option("--private-key", type=INPUT_FILE, metavar="FILE", help="Private key of --certificate as PEM.")
@click.option("--json", "as_json", is_flag=True, help="When ready, print one JSON object to stdout.")
@click.pass_context
def fake(
    context: click.Context,
    *,
    render_listen: str,
    separation_listen: str,
    url_listen: str,
    url_base: str,
    script: Path | None,
    speed: float,
    manual_clock: bool,
    api_keys: tuple[str, ...],
    certificate: Path | None,
    private_key: Path | None,
    as_json: bool,
) -> None:
    """Start both services without weights, in memory, to test an integration against.

    They keep the contract of the real services: jobs, events, files, signed URLs and errors. Audio is tones. The calls of
    FakeControlService skip time and script faults (docs/fake.md). Ctrl-C ends it at once; nothing is stored.
    """
    if (certificate is None) != (private_key is None):
        raise click.UsageError("--certificate and --private-key belong together; give both or none.")
    try:
        from sonichaos_client.testing.fake import FakeOptions, FakeServices, Script, read_script
    except ImportError as error:
        note(f"Error: sonichaos fake requires the extra 'testing' ({error}): pip install 'sonichaos-client[testing]'.")
        context.exit(ExitStatus.FAILED)
    try:
        options = FakeOptions(
            render_listen=render_listen,
            separation_listen=separation_listen,
            url_listen=url_listen,
            url_base=url_base,
            speed=0.0 if manual_clock else speed,
            script=Script() if script is None else read_script(script),
            api_keys=api_keys,
            certificate=certificate,
            private_key=private_key,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    asyncio.run(_serve(lambda: FakeServices(options), as_json=as_json))


async def _serve(make: Callable[[], FakeServices], *, as_json: bool) -> None:
    """Serve until SIGINT or SIGTERM."""
    services = make()
    try:
        addresses = await services.start()
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    _print_ready(addresses, as_json=as_json)
    running, stopping = asyncio.create_task(services.run()), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        stopping.cancel()
        running.cancel()
        await services.stop()


def _print_ready(addresses: FakeAddresses, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "renderAddress": addresses.render,
            "separationAddress": addresses.separation,
            "urlAddress": addresses.url,
        }
        click.echo(json.dumps(facts))
        return
    click.echo(f"render_service      {addresses.render}")
    click.echo(f"separation_service  {addresses.separation}")
    click.echo(f"signed URLs         {addresses.url}")
    click.echo("Ready: fake services without weights. Press Ctrl-C to end them.")
