"""What a part of the evaluation hands to the report: a table, and goals with what was reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One wish of the plan of this project. ``reached`` and ``wanted`` as numbers; ``at_most`` turns the sense round."""

    name: str
    reached: float
    wanted: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it is reached; what could not be measured (NaN) is not."""
        return self.reached <= self.wanted if self.at_most else self.reached >= self.wanted

    def row(self) -> str:
        """A row of Markdown."""
        sign = "at most" if self.at_most else "at least"
        verdict = "yes" if self.met else "**no**"
        reached = "not measured" if math.isnan(self.reached) else f"{self.reached:.3g}"
        return f"| {self.name} | {sign} {self.wanted:.3g} | {reached} | {verdict} |"


@dataclass(frozen=True, kw_only=True)
class Section:
    """``note`` says how it was measured; ``rows`` have as many cells as ``head``."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal]

    def markdown(self) -> str:
        """Heading, note and table."""
        lines = [f"## {self.title}", "", self.note, "", _row(self.head), _row(["---"] * len(self.head))]
        return "\n".join([*lines, *map(_row, self.rows)]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def beside(value: float, null: float, digits: int = 3) -> str:
    """A figure and, in brackets, its null."""
    return f"{value:.{digits}f} ({null:.{digits}f})"
