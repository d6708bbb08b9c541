"""The command group ``sonichaos``: the client's commands and, from the full install, the operator's.

This is the only place that converts errors to exit statuses.
"""

from __future__ import annotations

import errno
from functools import partial
from importlib.metadata import entry_points
from typing import Any

import click

from sonichaos_client.cli.analyze_command import analyze
from sonichaos_client.cli.audit_commands import audit, erase_prompt
from sonichaos_client.cli.completion import completion
from sonichaos_client.cli.conformance_command import conformance
from sonichaos_client.cli.create_commands import render, retry, separate, stems
from sonichaos_client.cli.error_output import error_as_dict, format_error
from sonichaos_client.cli.exit_status import ExitStatus, exit_status
from sonichaos_client.cli.fake_command import fake
from sonichaos_client.cli.info_commands import DISTRIBUTION, models, show_help, show_version, usage
from sonichaos_client.cli.job_commands import cancel, delete, get, jobs, sign_url, watch
from sonichaos_client.cli.mcp_command import serve_mcp
from sonichaos_client.cli.operator_calls import drain, erase
from sonichaos_client.cli.persona_commands import persona, personas
from sonichaos_client.cli.rerender_commands import drift_report, rerender
from sonichaos_client.cli.session import Session, connected, note
from sonichaos_client.cli.verify_command import verify
from sonichaos_client.cli.webhook_commands import webhooks
from sonichaos_client.errors import InvalidRequestError, SonichaosError

OPERATOR_GROUP = "sonichaos.commands"
# Listed here too, so that they can say how to install them if the full install is missing.
OPERATOR_COMMANDS = {
    "keys": "Create, list, revoke and rotate API keys.",
    "up": "Start both services on this machine.",
    "fetch-weights": "Download the weights of a model and verify them.",
    "url-secret": "Manage the secret that signs URLs of the folder store.",
}


class Root(click.Group):
    """The group ``sonichaos``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The client's and the operator's commands, in alphabetical order."""
        installed = {point.name for point in entry_points(group=OPERATOR_GROUP)}
        return sorted({*super().list_commands(ctx), *OPERATOR_COMMANDS, *installed})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command. An operator's command is loaded from the full install, or says how to install it."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for point in entry_points(group=OPERATOR_GROUP, name=cmd_name):
            try:
                command: click.Command = point.load()
            except ImportError as error:
                return _missing(cmd_name, f", which is incomplete here ({error})")
            return command
        return _missing(cmd_name) if cmd_name in OPERATOR_COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        """Run the command and convert its errors to messages and an exit status."""
        try:
            return super().invoke(ctx)
        except SonichaosError as error:
            self._report(error, ctx)
        except UnicodeEncodeError as error:
            self._report(_not_utf8(error), ctx)
        except KeyboardInterrupt:
            note("Interrupted.")
            ctx.exit(ExitStatus.INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            note(f"Error: {error}")
            ctx.exit(ExitStatus.FAILED)

    @staticmethod
    def _report(error: SonichaosError, ctx: click.Context) -> None:
        session = ctx.ensure_object(Session)
        note(format_error(error, session.command))
        session.print_json(error_as_dict(error))
        ctx.exit(exit_status(error))


def _not_utf8(error: UnicodeEncodeError) -> InvalidRequestError:
    """Python represents bytes of the command line that are not UTF-8 as surrogates, which a message cannot contain."""
    text = error.object.encode("utf-8", "backslashreplace").decode("utf-8")
    return InvalidRequestError(f"Arguments must be UTF-8 text, got {text[:200]}.")


def _missing(name: str, why: str = "") -> click.Command:
    def explain(**_: object) -> None:
        note(
            f"Error: sonichaos {name} requires the full install{why}. In a checkout of the repository: "
            "pip install ./clients/python ."
        )
        click.get_current_context().exit(ExitStatus.FAILED)

    return click.Command(
        name,
        callback=explain,
        help=f"{OPERATOR_COMMANDS.get(name, '')} Requires the full install.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(None, "-V", "--version", "show_version", package_name=DISTRIBUTION, prog_name="sonichaos")
@partial(connected, with_environment=True)
def cli(_session: Session) -> None:
    """Render music, separate it into stems and verify the results with SONICHAOS AI Studio.

    'sonichaos up' starts the services that the other commands use. 'sonichaos COMMAND --help' explains a command.

    Exit status: 0 done, 2 bad usage or rejected input, 3 a check or replay does not match, 75 try again later,
    130 interrupted, 1 any other error.
    """


for _command in (
    analyze,
    audit,
    cancel,
    completion,
    conformance,
    delete,
    drain,
    drift_report,
    erase,
    erase_prompt,
    fake,
    get,
    jobs,
    models,
    persona,
    personas,
    render,
    rerender,
    retry,
    separate,
    serve_mcp,
    show_help,
    show_version,
    sign_url,
    stems,
    usage,
    verify,
    watch,
    webhooks,
):
    cli.add_command(_command)
