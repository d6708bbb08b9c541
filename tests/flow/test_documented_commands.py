"""The command blocks of the documentation run as they are written, each page in a folder of its own, against a running pair."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import require_debian
from tests.flow.conftest import running_up
from tests.support.doc_blocks import PAGES, ROOT, blocks
from tests.support.pair import LivePair


def _script(page: Path) -> str:
    """The blocks of a page as one script: those of commands as they are, those of Python as programs that bash starts."""
    parts = []
    for block in blocks(page):
        if block.language in {"sh", "python"} and not block.not_run and not block.run_by:
            code = block.code if block.language == "sh" else f"python - <<'END_OF_PYTHON'\n{block.code}END_OF_PYTHON\n"
            parts.append(f"echo '--- {block}' >&2\n{code}")
    return "\n".join(parts)


SCRIPTS = {page: script for page in PAGES if (script := _script(page))}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePair]:
    """A pair with the starter weights: commands of the pages revoke keys and erase tenants, so no other test shares it."""
    with running_up(tmp_path_factory.mktemp("documented"), {"SONICHAOS_THREADS": "2"}) as live:
        yield live


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a tone that is struck four times a second, at 44.1 kHz."""
    seconds = np.arange(88200) / 44100
    sound = 0.3 * np.sin(2 * np.pi * 220 * seconds) * np.exp(-8 * (seconds % 0.25))
    path = tmp_path_factory.mktemp("recording") / "recording.wav"
    soundfile.write(path, np.stack([sound, sound]).T, 44100, subtype="PCM_24")
    return path


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_run(page: Path, pair: LivePair, recording: Path, tmp_path: Path) -> None:
    """The blocks of a page succeed one after another in one shell.

    The folder has what a reader is said to have: ``.venv`` and a recording of two seconds. SONICHAOS_DATA names the data folder.
    """
    require_debian("jq", "jq")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    shutil.copy(recording, tmp_path / "recording.wav")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**pair.env, "PATH": path, "HOME": str(tmp_path), "SONICHAOS_DATA": str(pair.data)}
    bash = shutil.which("bash")
    assert bash
    ran = subprocess.run(
        [bash, "-euo", "pipefail", "-c", SCRIPTS[page]],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
