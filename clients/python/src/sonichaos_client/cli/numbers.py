"""Ranges of numbers that the messages of the services can carry."""

from __future__ import annotations

import math
from typing import Any

import click

UINT32_MAX = 2**32 - 1
INT64_MAX = 2**63 - 1
MOST_SECONDS = 100 * 365 * 86400  # a moment that lies further ahead has no timestamp


class FiniteRange(click.FloatRange):
    """A range that NaN and infinity are outside of, as they are of every range of seconds."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The number. Fails as click's own types do."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number
