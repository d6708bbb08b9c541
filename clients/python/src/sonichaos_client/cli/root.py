"""The command group ``sonichaos``.

It holds the client's own commands and the operator's from the full install, and is the one place where errors become
exit statuses.
"""

from __future__ import annotations

import errno
from functools import partial
from importlib.metadata import entry_points
from typing import Any

import click

from sonichaos_client.cli.audit_commands import audit
from sonichaos_client.cli.exit_status import ExitStatus, as_object, exit_status, in_words
from sonichaos_client.cli.job_commands import cancel, delete, get, jobs, url, watch
from sonichaos_client.cli.model_commands import models
from sonichaos_client.cli.persona_commands import persona, personas
from sonichaos_client.cli.rerender_commands import analyze, drift_report, rerender
from sonichaos_client.cli.session import Session, connected, note
from sonichaos_client.cli.take_commands import render, separate, stems
from sonichaos_client.cli.verify_command import verify
from sonichaos_client.errors import SonichaosError

OPERATOR_GROUP = "sonichaos.commands"
# Named here so that they are listed, and explained, where the full install is missing.
OPERATOR_COMMANDS = {
    "up": "Start both services on this machine.",
    "fetch-weights": "Download a model's weights once, pinned and verified.",
}


class Root(click.Group):
    """The group ``sonichaos``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The client's own commands and the operator's, in alphabetical order."""
        installed = {point.name for point in entry_points(group=OPERATOR_GROUP)}
        return sorted({*super().list_commands(ctx), *OPERATOR_COMMANDS, *installed})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; an operator's is loaded from the full install, or explains how to get it."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for point in entry_points(group=OPERATOR_GROUP, name=cmd_name):
            try:
                command: click.Command = point.load()
            except ImportError as error:
                return _missing(cmd_name, f" (it is installed, but incomplete: {error})")
            return command
        return _missing(cmd_name) if cmd_name in OPERATOR_COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        """Run the command that was asked for; its errors become words and an exit status."""
        try:
            return super().invoke(ctx)
        except SonichaosError as error:
            note(in_words(error))
            ctx.ensure_object(Session).emit(as_object(error))
            ctx.exit(exit_status(error))
        except KeyboardInterrupt:
            note("Interrupted.")
            ctx.exit(ExitStatus.INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            note(f"Error: {error}")
            ctx.exit(ExitStatus.FAILED)


def _missing(name: str, why: str = "") -> click.Command:
    def explain(**_: object) -> None:
        note(
            f"Error: sonichaos {name} comes with the full install{why}. In a checkout of the repository: "
            "pip install ./clients/python ."
        )
        click.get_current_context().exit(ExitStatus.FAILED)

    return click.Command(
        name,
        callback=explain,
        help=f"{OPERATOR_COMMANDS.get(name, '')} Comes with the full install.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="sonichaos-client", prog_name="sonichaos")
@partial(connected, with_environment=True)
def cli(_session: Session) -> None:
    """Takes, stems and audit of SONICHAOS AI Studio, through its running services.

    Exit status: 0 done, 2 bad usage or refused input, 3 a check or replay that does not match, 75 try again later,
    130 interrupted, 1 anything else.
    """


for _command in (
    analyze,
    audit,
    cancel,
    delete,
    drift_report,
    get,
    jobs,
    models,
    persona,
    personas,
    render,
    rerender,
    separate,
    stems,
    url,
    verify,
    watch,
):
    cli.add_command(_command)
