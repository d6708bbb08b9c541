"""``sonichaos verify``: check a ZIP against the contract, without any service."""

from __future__ import annotations

from pathlib import Path

import click

from sonichaos_client.cli.session import Session, connected


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@connected
def verify(session: Session, *, file: Path) -> None:
    """Check a ZIP of stems: layout, WAVs, sums, digests, manifest. Exit status 3 where something does not hold."""
