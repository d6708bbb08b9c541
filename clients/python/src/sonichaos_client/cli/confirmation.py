"""Asks before something is erased for good."""

from __future__ import annotations

import sys

import click

from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.session import note


def confirm(question: str, *, yes: bool) -> None:
    """Ask on stderr, because stdout may be redirected, unless ``yes``. Any answer but a yes ends the command with status 1.

    Ctrl-C interrupts the command. Raises UsageError where stdin is not a terminal.
    """
    if yes:
        return
    context = click.get_current_context()
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{context.info_name} asks for confirmation, and stdin is not a terminal. Pass --yes to confirm."
        )
    click.echo(f"{question} [y/N]: ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        note("Nothing was erased.")
        context.exit(ExitStatus.FAILED)
