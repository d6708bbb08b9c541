"""``mypy --strict`` over programs that use the client: a caller of the tests, and the Python blocks of the pages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "clients" / "python" / "src"
CALLER = ROOT / "tests" / "support" / "typed_caller.py"
CACHE = ROOT / "build" / "mypy-callers"
PAGES = [ROOT / "README.md", ROOT / "clients" / "python" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_callers_are_checked_strictly(tmp_path: Path) -> None:
    """No error in them, and each mistake in the caller of the tests is found. One process reads all: it is slow to start."""
    programs = [CALLER]
    for page in PAGES:
        for number, block in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8"))):
            if "sonichaos_client" in block and "import pytest" not in block:  # tests need no annotations
                programs.append(tmp_path / f"{page.stem.replace('-', '_')}_{page.parent.name}_{number}.py")
                programs[-1].write_text(block, encoding="utf-8")
    assert len(programs) > 3
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
        "--no-error-summary",
    ]
    run = subprocess.run(
        [*command, "--cache-dir", str(CACHE), *map(str, programs)],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(SOURCE)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stdout + run.stderr
