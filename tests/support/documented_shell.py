"""Commands of the documentation in bash, as a reader types them, with the programs of this environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.doc_blocks import ROOT, blocks
from tests.support.service_processes import plain_environment

_LINKED = ("bin", "include", "lib", "lib64", "pyvenv.cfg")
_STAMPS = (".runtime", ".development")


def documented(page: str, test: str, language: str = "sh") -> list[str]:
    """The blocks of a page, named from the root of the project, that say that ``test`` runs them."""
    found = [block.code for block in blocks(ROOT / page, language) if block.run_by == test]
    assert found, f"{page} has no block that {test} runs"
    return found


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a reader who works in ``folder``: it is the home folder, and the project's commands are found."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**plain_environment(), "HOME": str(folder), "PATH": path, **settings}


def command(text: str) -> list[str]:
    """What runs ``text`` in a shell that ends at the first command that fails."""
    bash = shutil.which("bash")
    assert bash is not None
    return [bash, "-euo", "pipefail", "-c", text]


def run(text: str, folder: Path, given: Mapping[str, str], *, prefix: tuple[str, ...] = ()) -> str:
    """Run ``text`` in ``folder``; what it printed to stdout. ``prefix`` is a program that starts the shell."""
    ran = subprocess.run(
        [*prefix, *command(text)], cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, f"{text}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
    return ran.stdout


def checkout(folder: Path, *parts: str) -> Path:
    """A copy of ``parts`` of the project, where ``.venv`` is the environment of the tests as ``make`` leaves it."""
    for part in parts:
        listed = subprocess.run(["git", "ls-files", "-z", part], cwd=ROOT, capture_output=True, check=True).stdout
        for name in filter(None, listed.decode().split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    made, real = folder / ".venv", Path(sys.executable).parent.parent
    made.mkdir()
    for name in _LINKED:
        if (real / name).exists():
            (made / name).symlink_to(real / name)
    for name in _STAMPS:  # newer than any file that `make` compares it with
        (made / name).touch()
    return folder
