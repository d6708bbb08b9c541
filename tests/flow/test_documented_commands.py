"""The command blocks of the documentation run as they are written, each page in a folder of its own, against running services."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import require_debian
from tests.support.doc_blocks import PAGES, ROOT, Block, blocks
from tests.support.walkthrough import Walkthrough, beside, followed, started_by, walkthrough

PARTS = {
    f"{page.relative_to(ROOT)}:{part[0].line}": part for page in PAGES for part in followed(page)
}  # a page is one part, unless it starts anew
(START,) = [block for block in blocks(ROOT / "docs/clients/python.md", "sh") if block.runs_until_interrupt]
"""What most pages say to start the services with. Pages that say just this share them."""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walkthrough]:
    """A reader who has started the services: commands of the pages revoke keys and erase tenants, so no other test shares them."""
    with walkthrough(tmp_path_factory.mktemp("services"), [START], SONICHAOS_THREADS="2") as walk:
        walk.run(START)
        yield walk


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a tone that is struck four times a second, at 44.1 kHz."""
    seconds = np.arange(88200) / 44100
    sound = 0.3 * np.sin(2 * np.pi * 220 * seconds) * np.exp(-8 * (seconds % 0.25))
    path = tmp_path_factory.mktemp("recording") / "recording.wav"
    soundfile.write(path, np.stack([sound, sound]).T, 44100, subtype="PCM_24")
    return path


@pytest.fixture
def walk(
    part: list[Block], request: pytest.FixtureRequest, recording: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Walkthrough]:
    """A reader with a recording. SONICHAOS_DATA names the data folder of the services, unless the page starts its own."""
    require_debian("jq", "jq")
    tmp_path = tmp_path_factory.mktemp("page")  # short: Unix sockets are below it
    if any(block.runs_until_interrupt and started_by(block) != started_by(START) for block in part):
        with walkthrough(tmp_path, part, SONICHAOS_THREADS="2") as alone:
            shutil.copy(recording, alone.folder)
            yield alone
        return
    shared: Walkthrough = request.getfixturevalue("services")
    other = beside(shared, tmp_path, part, SONICHAOS_DATA=str(shared.home / ".local/share/sonichaos"))
    shutil.copy(recording, other.folder)
    yield other


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_commands_of_a_page_run(part: list[Block], walk: Walkthrough) -> None:
    """The blocks of a page succeed one after another, and what they started ends when it is interrupted."""
    walk.follow(part)
