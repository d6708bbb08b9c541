"""The commands of docs/checkpoint.md that start the services with models from a folder, as written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.doc_blocks import ROOT
from tests.support.tiny_ace_step import tiny_ace_step
from tests.support.tiny_checkpoint import tiny_checkpoint
from tests.support.tiny_separator import NAME, tiny_separator
from tests.support.walkthrough import followed, walkthrough

(COMMANDS,) = followed(ROOT / "docs/checkpoint.md", "tests/flow/test_own_models.py")


def separator(folder: Path) -> None:
    """A bag with the name that the page writes for any name."""
    tiny_separator(folder)
    (folder / f"{NAME}.yaml").rename(folder / "NAME.yaml")


@pytest.mark.parametrize(
    ("number", "make", "shown"),
    [
        (0, tiny_checkpoint, "renderer   tiny "),
        (1, separator, "separator  NAME "),
        (2, tiny_ace_step, "renderer   DIR "),
    ],
    ids=["renderer", "separator", "ACE-Step"],
)
def test_services_start_with_models_of_a_folder(
    number: int, make: Callable[[Path], object], shown: str, tmp_path: Path
) -> None:
    """The services run the model of the folder, and Ctrl-C ends them."""
    command = COMMANDS[number]
    with walkthrough(tmp_path, [command], SONICHAOS_THREADS="2") as walk:
        make(walk.folder / "DIR")
        walk.run(command)
        assert shown in walk.network.run("sonichaos models", walk.folder, walk.environment)
