"""The client installed without the services."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from sonichaos_client.cli import cli

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "clients" / "python" / "src"


def test_the_client_does_not_load_the_services() -> None:
    """Importing the client and its command loads neither torch nor the services."""
    code = (
        "import json, sys, sonichaos_client, sonichaos_client.cli.root;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        cwd=SOURCE,
        capture_output=True,
        check=True,
        text=True,
    )
    loaded = set(json.loads(run.stdout))
    forbidden = {
        "torch",
        "servicekit",
        "render_service",
        "separation_service",
        "jobs_service",
        "hostctl",
        "training",
        "demucs",
    }
    assert loaded & forbidden == set()


def test_operator_commands_say_how_to_install_them() -> None:
    """Without the full install, ``up`` and ``fetch-weights`` say how to install it, whatever their arguments."""
    code = "import sys; from sonichaos_client.cli import main; sys.argv = ['sonichaos', *sys.argv[1:]]; main()"
    for arguments in (["up", "--device", "cpu"], ["fetch-weights", "htdemucs_ft", "--to", "x"]):
        run = subprocess.run(
            [sys.executable, "-S", "-c", _without_entry_points(code), *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), *_site_packages()])},
            capture_output=True,
            check=False,
            text=True,
        )
        assert run.returncode == 1, run.stderr
        assert f"sonichaos {arguments[0]} requires the full install" in run.stderr


def _without_entry_points(code: str) -> str:
    """Hide the entry points, as if only the client were installed."""
    hide = "import importlib.metadata; importlib.metadata.entry_points = lambda **_: ();"
    return hide + code


def _site_packages() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


def test_help_names_every_command_of_the_contract() -> None:
    """Every command of docs/contract.md, section 7, is listed."""
    listed = CliRunner().invoke(cli, ["--help"]).stdout
    for name in (
        *("up", "render", "rerender", "separate", "jobs", "get", "watch", "cancel", "delete", "stems", "personas"),
        *("persona", "audit", "verify", "fetch-weights"),
    ):
        assert f"\n  {name} " in listed
