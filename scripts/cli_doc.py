"""Writes docs/cli.md from the ``sonichaos`` command itself: ``.venv/bin/python scripts/cli_doc.py``. Needs the full install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.root import cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
_INTRODUCTION = """# The `sonichaos` command

*Written by `scripts/cli_doc.py` from the command itself; change that, not this page.*

Results go to stdout, progress and messages to stderr. With `--json` stdout carries one JSON object a line, with proto field
names in lowerCamelCase. Ctrl-C leaves a job running and says how to follow or cancel it. `sonichaos COMMAND --help` says the same
as this page.
"""
_BEFORE_ANY_COMMAND = frozenset(
    option.name for option in cli.params if isinstance(option, click.Option) and option.name is not None
)
_MEANINGS = {
    ExitStatus.DONE: "done",
    ExitStatus.FAILED: "anything else that went wrong",
    ExitStatus.REFUSED: "bad usage, or input that was refused",
    ExitStatus.MISMATCH: "a check or replay that does not match",
    ExitStatus.TRY_AGAIN: "try again later: full queue, service not running, warming or draining",
    ExitStatus.INTERRUPTED: "interrupted by Ctrl-C",
}


def commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command below ``group``, groups themselves left out, with the words to type."""
    context = click.Context(group, info_name=path[-1])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif command is not None:
            yield " ".join((*path, name)), command, click.Context(command, info_name=name)


def options_table(command: click.Command, context: click.Context, skip: frozenset[str] = frozenset()) -> str:
    """A row for each option that is not in ``skip``; empty where there are none."""
    options = [one for one in command.get_params(context) if isinstance(one, click.Option) and one.name not in skip]
    records = [one.get_help_record(context) for one in options if "--help" not in one.opts]
    rows = [f"| `{_cell(names)}` | {_cell(text)} |" for names, text in filter(None, records)]
    return "\n".join(["| option | what it does |", "| --- | --- |", *rows]) if rows else ""


def section(words: str, command: click.Command, context: click.Context) -> str:
    """Heading, usage, description and options of one command."""
    usage = " ".join(["sonichaos", *words.split()[1:], *command.collect_usage_pieces(context)])
    paragraphs = [" ".join(lines.split()) for lines in (command.help or "").split("\n\n")]
    table = options_table(command, context, _BEFORE_ANY_COMMAND)
    return "\n\n".join(filter(None, (f"## {words}", f"    {usage}", *paragraphs, table)))


def page() -> str:
    """The whole page."""
    statuses = [f"| {status.value} | {_MEANINGS[status]} |" for status in ExitStatus]
    top = options_table(cli, click.Context(cli, info_name="sonichaos"))
    head = (
        _INTRODUCTION.rstrip(),
        "## Exit status",
        "\n".join(["| status | meaning |", "| --- | --- |", *statuses]),
        "## Options of every client command",
        "Before the command or after it.",
        top,
    )
    return "\n\n".join((*head, *(section(*entry) for entry in commands(cli, ("sonichaos",))))) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
