"""``sonichaos conformance``: does a server behave as the contract says?"""

from __future__ import annotations

from pathlib import Path

import click

from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.formatting import printable
from sonichaos_client.cli.param_types import INPUT_FOLDER, NumberBetween
from sonichaos_client.cli.session import Session, connected, note

_MAX_CHARACTERS = 1000
_EXTRA = "sonichaos-client[testing]"


@click.command(short_help="Check that a server keeps the contract of the API.")
@click.option("--address", metavar="ADDRESS", help="Short for --render-address.")
@click.option("--filter", "text", metavar="TEXT", default="", help="Run only cases whose id contains TEXT.")
@click.option(
    "--cases", "folder", type=INPUT_FOLDER, metavar="DIR", help="Run the cases of DIR/*.yaml in place of the suite's."
)
@click.option(
    "--patience",
    type=NumberBetween(0.1, 1000),
    default=1.0,
    show_default=True,
    help="Multiplies each time limit, for slow servers.",
)
@click.option(
    "--destructive",
    is_flag=True,
    help="Also erase the caller's tenant and drain render_service, at the end: for a server that was started for this.",
)
@connected
def conformance(
    session: Session, *, address: str | None, text: str, folder: Path | None, patience: float, destructive: bool
) -> None:
    """Drive a server through every RPC, error and stream rule, and print what differs from the contract.

    The suite renders takes of the shortest length, and removes what it created; audit rows stay. docs/conformance.md explains
    the cases, which other languages can run too. Exit status: 0 if all cases pass, 3 if one differs, 75 if the server does not
    answer.
    """
    try:
        from sonichaos_client.testing.conformance import CaseFileError, Result, Runner, Wire, load_suite
        from sonichaos_client.testing.conformance.report import as_json, lines_of, summary
    except ImportError as error:
        note(f"Error: sonichaos conformance requires the extra 'testing' ({error}): pip install '{_EXTRA}'.")
        click.get_current_context().exit(ExitStatus.FAILED)
    try:
        suite = load_suite(folder)
    except CaseFileError as error:
        raise click.UsageError(str(error)) from None
    cases = [case for case in suite.cases if text in case.id]
    if not cases:
        raise click.UsageError(f"--filter must be part of the id of a case, got {text!r}.")
    if address is not None:
        session.render_address = address
    wire = Wire(session.connections())
    results = []
    try:
        wire.check_serving()
        for result in Runner(wire, suite, patience=patience, destructive=destructive).run(cases):
            results.append(result)
            session.print_json(as_json(result))
            for line in lines_of(result):
                session.print_text(printable(line, _MAX_CHARACTERS))
    finally:
        wire.close()
    session.print_text(summary(results))
    if any(result.result is Result.FAILED for result in results):
        click.get_current_context().exit(ExitStatus.MISMATCH)
