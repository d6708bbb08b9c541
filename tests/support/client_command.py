"""Running the ``sonichaos`` command in the test's own process, against scripted services."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from sonichaos_client.cli import cli
from tests.support.scripted_services import ScriptedPair

RENDER = ("render", "--prompt", "dusty boom bap", "--persona", "ember")


def sonichaos(pair: ScriptedPair, *arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, arguments, env=pair.environment, prog_name="sonichaos")


def lines(result: Result) -> list[dict[str, Any]]:
    """The JSON objects on stdout."""
    return [json.loads(line) for line in result.stdout.splitlines()]
