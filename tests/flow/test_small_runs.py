"""The documented commands that take minutes or hours run with small sizes: benchmarks, a whole training, fuzzing, load.

Their words come from the pages, so an option, module or command that was renamed fails here. tests/support/small_commands.py has
what makes each of them small, and what it then has to print. Values are not looked at: those of the pages come from full runs.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from servicekit.delivery.names import STEMS
from tests.support.databases import postgresql_server
from tests.support.doc_blocks import PAGES, ROOT, blocks
from tests.support.doc_commands import Command, commands
from tests.support.service_processes import plain_environment
from tests.support.small_commands import SMALL, small
from tests.support.tiny_models import save_bag

COMMANDS = [
    command
    for page in PAGES
    for block in blocks(page, "sh")
    if block.small and ROOT / block.run_by == Path(__file__)
    for command in commands(block)
]
_TRAINING = [
    command
    for command in COMMANDS
    if command.block.page.name == "training.md" and command.text.startswith("sonichaos-train")
]
_SINGLE = [command for command in COMMANDS if command not in _TRAINING]


def run(command: Command, folder: Path, request: pytest.FixtureRequest) -> None:
    """Run a command small, and check what it printed and wrote."""
    chosen = small(command)
    assert set(command.variables) <= set(chosen.variables), (
        f"{command}: say in SMALL what a small value of its variables is"
    )

    def with_fixtures(text: str) -> str:
        return re.sub(
            r"{(\w+)}", lambda name: str(folder if name[1] == "folder" else request.getfixturevalue(name[1])), text
        )

    paths = os.pathsep.join([str(ROOT), str(ROOT / "clients" / "python" / "src")])
    environment = {**plain_environment(), "PYTHON": sys.executable, "PYTHONPATH": paths}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment |= {name: with_fixtures(value) for name, value in chosen.variables.items()}
    in_repository = command.text.startswith(("pytest", "scripts/"))
    ran = subprocess.run(
        [*command.words, *shlex.split(with_fixtures(chosen.options))],
        cwd=ROOT if in_repository else folder, env=environment, text=True, check=False, timeout=2400,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert ran.returncode == 0, f"{command}: {ran.stdout[-4000:]}"
    for pattern in chosen.prints:
        assert re.search(pattern, ran.stdout), f"{command} printed no {pattern!r}: {ran.stdout[-4000:]}"
    for name in chosen.writes:
        assert (folder / name).stat().st_size > 0, f"{command}: {name}"


@pytest.fixture
def render_address(request: pytest.FixtureRequest) -> str:
    """Where a running render_service listens."""
    return str(request.getfixturevalue("live_pair").render_address)


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    with postgresql_server(tmp_path / "postgresql") as url:
        yield url


@pytest.fixture
def separator_folder(tmp_path: Path) -> Path:
    """A folder with a small separator, ``small``, that stock demucs and the engine run."""
    return save_bag(tmp_path, "small", weights=None, models=1)


def _write_recordings(folder: Path) -> None:
    """Two recordings of four seconds with stems, as the page about training describes them."""
    facts = {"captions": ["slow strings"], "persona": "hall", "key": "A minor", "bpm": 80}
    for seed, name in enumerate(("one", "two")):
        rng = np.random.default_rng(seed)
        (folder / name).mkdir(parents=True)
        (folder / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")
        for stem in STEMS:
            soundfile.write(folder / name / f"{stem}.wav", rng.uniform(-0.2, 0.2, (4 * 44100, 2)), 44100)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder in which all commands of `sonichaos-train` of the page about training ran, in order."""
    folder = tmp_path_factory.mktemp("trained")
    _write_recordings(folder / "catalogue")
    for command in _TRAINING:
        run(command, folder, request)
    return folder


@pytest.mark.parametrize("command", [command for command in _SINGLE if small(command).quick], ids=str)
def test_quick_commands_run_small(command: Command, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A command that is quick when it is small succeeds and prints the names of its figures."""
    run(command, tmp_path, request)


@pytest.mark.soak
@pytest.mark.parametrize("command", [command for command in _SINGLE if not small(command).quick], ids=str)
def test_long_commands_run_small(command: Command, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A command that takes many seconds even when it is small succeeds and prints the names of its figures."""
    needs_training = "--work work" in command.text
    run(command, request.getfixturevalue("trained") if needs_training else tmp_path, request)


@pytest.mark.soak
def test_a_training_runs_small(trained: Path) -> None:
    """The commands of the page about training succeed in order; the renderer that they train was evaluated."""
    assert "mine" in (trained / "report" / "README.md").read_text(encoding="utf-8")


def test_every_entry_is_for_a_command() -> None:
    """No entry of the table is left of a command that the pages have no more."""
    used = {id(small(command)) for command in COMMANDS}
    assert [start for start, entry in SMALL.items() if id(entry) not in used] == []
