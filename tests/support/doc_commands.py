"""The commands in the documentation's blocks, one by one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.doc_blocks import Block

_BIN = ".venv/bin/"


@dataclass(frozen=True, kw_only=True)
class Command:
    """A line of a block: ``SOAK_MINUTES=60 pytest -m soak tests`` has one variable and four words. ``line`` counts in its page."""

    block: Block
    line: int
    variables: Mapping[str, str]
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The words as one text, for programs of the project without what starts them: ``benchmarks.take --seconds 8``."""
        module = self.words[2:] if self.words[:2] == ("python", "-m") else self.words
        return " ".join(module)

    def __str__(self) -> str:
        return f"{self.block.page.name}:{self.line} {' '.join(self.text.split()[:2])}"


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block of plain ones: a program with its arguments on each line, without pipes or substitutions."""
    for offset, line in enumerate(block.code.splitlines(), start=1):
        words = shlex.split(line, comments=True)
        assigned = 0
        while assigned < len(words) and re.match(r"[A-Z_]+=", words[assigned]):
            assigned += 1
        if words[assigned:]:
            program, *arguments = words[assigned:]
            yield Command(
                block=block,
                line=block.line + offset,
                variables=dict(word.split("=", 1) for word in words[:assigned]),
                words=(program.removeprefix(_BIN), *arguments),
            )
