"""The code blocks of the documentation, and which of them the tests run.

Lines above a block may say how it is run, why no test runs it, or which test does; one line may speak for all blocks of a page::

    <!-- runs until Ctrl-C -->
    <!-- uses the network -->
    <!-- new start -->
    <!-- not run: needs a GPU -->
    <!-- run by tests/flow/test_conformance.py -->
    <!-- run small by tests/flow/test_small_runs.py -->
    <!-- blocks are run by tests/flow/test_native_clients.py -->

`walkthrough.py` says what the first three mean.
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
_MARKERS = re.compile(r"(?:^ *<!-- .+ -->\n)+\n* *\Z", re.MULTILINE)
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
_RUN_BY = re.compile(r"<!-- run (?P<small>small )?by (?P<test>\S+) -->")
_WHOLE_PAGE_BY = re.compile(r"^<!-- blocks are run by (\S+) -->$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block. ``not_run`` is the reason why no test runs it, ``run_by`` the test that does; both may be empty.

    ``small``: that test changes its sizes. The others are true if the marker above is there.
    """

    page: Path
    line: int
    language: str
    code: str
    not_run: str
    run_by: str
    small: bool
    runs_until_interrupt: bool
    uses_network: bool
    is_new_start: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str = "") -> Iterator[Block]:
    """The blocks of a page in order; only those in ``language`` if it is given."""
    text = page.read_text(encoding="utf-8")
    whole_by = _WHOLE_PAGE_BY.search(text)
    for found in _BLOCK.finditer(text):
        if language and found["language"] != language:
            continue
        above = _MARKERS.search(text[: found.start()])
        markers = above[0] if above else ""
        not_run, run_by = _NOT_RUN.search(markers), _RUN_BY.search(markers)
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            code=textwrap.dedent(found["code"]),
            not_run=not_run[1] if not_run else "",
            run_by=run_by["test"] if run_by else whole_by[1] if whole_by and not not_run else "",
            small=bool(run_by and run_by["small"]),
            runs_until_interrupt="<!-- runs until Ctrl-C -->" in markers,
            uses_network="<!-- uses the network -->" in markers,
            is_new_start="<!-- new start -->" in markers,
        )
