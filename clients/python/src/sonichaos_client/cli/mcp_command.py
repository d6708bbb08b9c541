"""``sonichaos mcp``: the services as tools for programs that speak the Model Context Protocol."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from sonichaos_client.cli.session import Session, connected


@click.command("mcp", short_help="Give an assistant the services as tools (MCP).")
@click.option(
    "--folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The only folder that tools read recordings from and download results to; it is created.",
)
@connected
def serve_mcp(session: Session, *, folder: Path) -> None:
    """Serve the tools render, rerender, separate, status, cancel, personas and download over stdin and stdout.

    A host, such as an assistant on this machine, starts this command: docs/mcp.md has the configuration.
    """
    if find_spec("mcp") is None:
        raise click.ClickException("sonichaos mcp requires the package mcp: pip install 'sonichaos-client[mcp]'")
    from sonichaos_client.mcp.server import make_server

    session.connections()  # rejects settings that cannot work, before the host is answered
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"Cannot create the folder {folder} (--folder): {error.strerror}.") from error
    make_server(folder, session.async_client).run("stdio")
