"""A page of the documentation, block after block, as a reader follows it.

The reader's folder is a copy of the repository where ``make setup`` was run. One shell runs the blocks; its variables and its
current folder last from block to block. Markers above a block change that:

- ``runs until Ctrl-C``: the block starts a program that does not return. It runs in its shell until the end, the later blocks run
  in another one, as in a new terminal. At the end it gets an interrupt as from a terminal and must end by itself.
- ``uses the network``: the block reaches a package registry. All others run in a network with nothing but loopback.
- ``new start``: the programs have ended; a new shell in the repository's root.

``apt-get`` only simulates what it would install, so it changes nothing here and needs no root.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest

from tests.support import documented_shell
from tests.support.doc_blocks import ROOT, Block, blocks
from tests.support.own_network import OwnNetwork, Started, own_network
from tests.support.pair import eventually

_COPIED = ("clients", "protos", "docker")
_MADE_BY = ("Makefile", "pyproject.toml", "clients/python/pyproject.toml")
_LIMIT_S = 600.0
# What `sonichaos up`, `sonichaos fake`, Envoy and esbuild print when they answer.
_READY = re.compile(r'^\{.*"ready"|^Ready: |starting main dispatch loop|Local: +http', re.MULTILINE)
_UNREACHABLE = re.compile(
    r"NewConnectionError|Max retries exceeded|Name or service not known|Temporary failure in name resolution|ConnectTimeout"
    r"|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ENETUNREACH"
)
_KEEP_STATE = """trap '{{ declare -p | grep -v "^declare -[a-zA-Z]*r"; printf "cd %q\\n" "$PWD"; }} > {state}' EXIT
"""


def followed(page: Path, test: str = "") -> list[list[Block]]:
    """The blocks of a page that ``test`` runs (by default, those that name no test), divided where they start anew."""
    parts: list[list[Block]] = [[]]
    for block in blocks(page):
        if block.is_new_start:
            parts.append([])
        if block.language in {"sh", "python"} and not block.not_run and block.run_by == test:
            parts[-1].append(block)
    return [part for part in parts if part]


def started_by(block: Block) -> str:
    """The command of a block that runs until an interrupt, without comments; the same for all pages that start the same."""
    return "\n".join(re.sub(r"\s*(#.*)?$", "", line) for line in block.code.strip().splitlines())


@dataclass
class Walkthrough:
    """A reader in ``folder``. ``running`` names, as `started_by` does, what runs already."""

    folder: Path
    network: OwnNetwork
    environment: Mapping[str, str]
    running: set[str] = field(default_factory=set)
    services: list[tuple[Block, Started]] = field(default_factory=list)
    _opened: ExitStack = field(default_factory=ExitStack)

    def follow(self, wanted: Iterable[Block]) -> dict[int, str]:
        """Run blocks; what each printed to stdout, by its line in the page."""
        return {block.line: self.run(block) for block in wanted}

    def run(self, block: Block, more: str = "") -> str:
        """Run a block; what it printed to stdout. ``more`` is appended to its last command."""
        if not block.runs_until_interrupt:
            return self._finish(block, more)
        if started_by(block) not in self.running:
            self._start(block)
        self._state.unlink(missing_ok=True)  # the later blocks are for a new terminal
        return ""

    def interrupt(self) -> None:
        """Ctrl-C for each program that runs, in reverse order. It must end by itself."""
        for block, service in reversed(self.services):
            if service.process.poll() is None:
                status = service.interrupt()
                # npm tells that it was interrupted; the programs of this project end with 0.
                expected = {130, -signal.SIGINT} if "npm " in block.code else {0}
                assert status in expected, f"{block} ended with {status}:\n{service.text()[-4000:]}"
        self.services.clear()

    @property
    def home(self) -> Path:
        """The reader's home folder."""
        return Path(self.environment["HOME"])

    @property
    def _state(self) -> Path:
        return self.home / ".shell"

    def _code(self, block: Block, more: str = "") -> str:
        code = block.code.rstrip("\n") + more + "\n"
        if block.language == "python":
            code = f"python - <<'END_OF_PYTHON'\n{code}END_OF_PYTHON\n"
        state = shlex.quote(str(self._state))
        before = f"set +u; source {state} 2>/dev/null || true; set -u\n" if self._state.exists() else ""
        after = "" if block.runs_until_interrupt else _KEEP_STATE.format(state=state)
        return f"cd {shlex.quote(str(self.folder))}\n{before}{after}{code}"

    def _finish(self, block: Block, more: str) -> str:
        prefix = () if block.uses_network else self.network.prefix
        ran = subprocess.run(
            [*prefix, *documented_shell.command(self._code(block, more))],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )
        if ran.returncode != 0 and block.uses_network and _UNREACHABLE.search(ran.stdout + ran.stderr):
            pytest.skip(f"{block} needs a package registry, which cannot be reached")
        logs = "".join(service.text()[-1000:] for _, service in self.services)
        assert ran.returncode == 0, f"{block}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}\n{logs}"
        return ran.stdout

    def _start(self, block: Block) -> None:
        folder = self.home / f"terminal{len(self.services)}"
        folder.mkdir()
        service = self._opened.enter_context(self.network.started(self._code(block), folder, self.environment))
        self.services.append((block, service))
        self.running.add(started_by(block))

        def ready() -> bool:
            assert service.process.poll() is None, f"{block} has ended:\n{service.text()[-4000:]}"
            return _READY.search(service.text()) is not None

        eventually(ready, service.text)


@contextmanager
def walkthrough(folder: Path, wanted: Iterable[Block], **settings: str) -> Iterator[Walkthrough]:
    """A reader of ``wanted`` in an empty folder, with a network of its own; what was started is interrupted at the end."""
    with own_network(folder) as network, ExitStack() as opened:
        home = Path(opened.enter_context(TemporaryDirectory(prefix="home-")))  # short, for the paths of sockets
        walk = Walkthrough(folder / "project", network, reader(folder, home, wanted, **settings), _opened=opened)
        yield walk
        walk.interrupt()


def beside(other: Walkthrough, folder: Path, wanted: Iterable[Block], **settings: str) -> Walkthrough:
    """Another reader, in an empty folder, in the network of ``other``, where the same runs."""
    home = Path(mkdtemp(dir=other.home))
    return Walkthrough(folder / "project", other.network, reader(folder, home, wanted, **settings), set(other.running))


def reader(folder: Path, home: Path, wanted: Iterable[Block], **settings: str) -> dict[str, str]:
    """The environment of a reader of ``wanted`` with an empty ``home``; makes a copy of the repository in ``folder``.

    The copy has the parts that they name, and ``.venv`` unless they make it.
    """
    project = folder / "project"
    project.mkdir()
    pages = {block.page.relative_to(ROOT).parts[0] for block in wanted}  # a README's commands are for its folder
    text = "".join(block.code for block in wanted)
    named = [part for part in _COPIED if part in pages or re.search(rf"\b{part}\b", text)]
    if "make " in text:
        named += _MADE_BY
    if "make demo" in text:
        named.append("scripts/demo.py")
    documented_shell.checkout(project, *named)
    if "-m venv .venv" in text:
        shutil.rmtree(project / ".venv")  # links
    simulate = home / "apt.conf"
    simulate.write_text('APT::Get::Simulate "true";\n', encoding="utf-8")
    caches = {
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip")),
        "NPM_CONFIG_CACHE": os.environ.get("NPM_CONFIG_CACHE", str(Path.home() / ".npm")),
    }
    given = documented_shell.environment(home, APT_CONFIG=str(simulate), **caches, **settings)
    given.pop("XDG_DATA_HOME", None)
    if not (project / ".venv").exists():
        given.pop("PYTHONPATH", None)  # the environment that they make has what they install
    return {**given, "PATH": os.pathsep.join([str(project / ".venv" / "bin"), given["PATH"]])}
