"""``sonichaos completion``, and the arguments that a shell completes from the running services."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import click
from click.shell_completion import CompletionItem, get_completion_class

from sonichaos_client.cli.formatting import lower, printable
from sonichaos_client.cli.session import Session
from sonichaos_client.client import Client
from sonichaos_client.enums import JobState
from sonichaos_client.errors import SonichaosError

_MAX_ITEMS = 40
_MAX_HELP = 40
_PROGRAM = "sonichaos"
_SHELLS = {
    "bash": "Add to ~/.bashrc:    source <(sonichaos completion bash)",
    "zsh": "Add to ~/.zshrc, after compinit:    source <(sonichaos completion zsh)",
    "fish": "Run once:    sonichaos completion fish > ~/.config/fish/completions/sonichaos.fish",
}


class _FromServices(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.5
    """A text that the running services can complete, within a second or not at all."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The first items that begin with what was typed; none if no service answers at once."""
        session = ctx.find_object(Session) or Session()
        try:
            with session.client_for_completion() as client:
                found = (item for item in self.items(client) if item.value.startswith(incomplete))
                return list(islice(found, _MAX_ITEMS))
        except SonichaosError:
            return []

    def items(self, client: Client) -> Iterator[CompletionItem]:
        """What can be typed, the most probable first."""
        raise NotImplementedError


class JobIdType(_FromServices):
    """The id of a job."""

    name = "job_id"

    def items(self, client: Client) -> Iterator[CompletionItem]:
        """The newest jobs, each with its state and prompt."""
        for job in islice(client.list_jobs(), _MAX_ITEMS):
            words = (lower(JobState(job.state)), printable(job.brief.prompt.replace(",", " "), _MAX_HELP))
            yield CompletionItem(job.job_id, help=" ".join(word for word in words if word))


class PersonaIdType(_FromServices):
    """The id of a persona."""

    name = "persona_id"

    def items(self, client: Client) -> Iterator[CompletionItem]:
        """All personas, each with its prefix."""
        for persona in client.list_personas():
            yield CompletionItem(persona.id, help=printable(persona.prefix.replace(",", " "), _MAX_HELP))


JOB_ID = JobIdType()
PERSONA_ID = PersonaIdType()


@click.command(
    short_help="Print a completion script for bash, zsh or fish.", epilog="\b\n" + "\n".join(_SHELLS.values())
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that lets bash, zsh or fish complete commands, options, job ids and personas.

    Ids come from the running services, if they answer within a second.
    """
    script = get_completion_class(shell)
    if script is None:
        raise click.ClickException(f"click cannot complete for {shell}. Update click.")
    click.echo(script(context.find_root().command, {}, _PROGRAM, f"_{_PROGRAM.upper()}_COMPLETE").source())
