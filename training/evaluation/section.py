"""A section of the evaluation's report: a table, and goals with the measured values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal: ``value`` must be at least ``target``, or at most with ``at_most``. A NaN was not measured and is not met."""

    name: str
    value: float
    target: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the value reaches the target."""
        return self.value <= self.target if self.at_most else self.value >= self.target

    def row(self) -> str:
        """A row of the Markdown table."""
        relation = "at most" if self.at_most else "at least"
        verdict = "yes" if self.met else "**no**"
        value = "not measured" if math.isnan(self.value) else f"{self.value:.3g}"
        return f"| {self.name} | {relation} {self.target:.3g} | {value} | {verdict} |"


@dataclass(frozen=True, kw_only=True)
class Section:
    """``note`` explains the measurement; ``rows`` have as many cells as ``head``."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal]

    def markdown(self) -> str:
        """Heading, note and table as Markdown."""
        lines = [f"## {self.title}", "", self.note, "", _row(self.head), _row(["---"] * len(self.head))]
        return "\n".join([*lines, *map(_row, self.rows)]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def with_null(value: float, null: float, digits: int = 3) -> str:
    """A value with its null in brackets."""
    return f"{value:.{digits}f} ({null:.{digits}f})"
