"""The code blocks of the documentation, and which of them the tests run.

A line above a block may say why no test runs it, or which test does, as it is or with small sizes::

    <!-- not run: needs a GPU -->
    <!-- run by tests/flow/test_typescript.py -->
    <!-- run small by tests/flow/test_small_runs.py -->
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The contract has forms of commands in its own words, and the changelog has no blocks.
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "clients").glob("*/README.md")),
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name != "contract.md"),
]
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"<!-- (?:not run: (?P<why>.+)|run (?P<small>small )?by (?P<test>\S+)) -->\n+ *\Z")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block. ``not_run`` is the reason why no test runs it, ``run_by`` the test that does; both may be empty.

    ``small``: that test changes its sizes.
    """

    page: Path
    line: int
    language: str
    code: str
    not_run: str
    run_by: str
    small: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str = "") -> Iterator[Block]:
    """The blocks of a page in order; only those in ``language`` if it is given."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        if language and found["language"] != language:
            continue
        marker = _MARKER.search(text[: found.start()])
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            code=textwrap.dedent(found["code"]),
            not_run=(marker["why"] if marker else None) or "",
            run_by=(marker["test"] if marker else None) or "",
            small=bool(marker and marker["small"]),
        )
