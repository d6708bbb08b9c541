"""Option types of the command: numbers with limits, and files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import click

UINT32_MAX = 2**32 - 1
INT64_MAX = 2**63 - 1
MAX_TIMEOUT_S = 100 * 365 * 86400  # a later time has no protobuf timestamp

INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
INPUT_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class IntegerBetween(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.5
    """An integer from ``lowest`` to ``highest``, both included."""

    name = "n"  # click shows the upper case as the metavar

    def __init__(self, lowest: int, highest: int) -> None:
        self._lowest = lowest
        self._highest = highest

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """The number. Fails like click's own types."""
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or not self._lowest <= number <= self._highest:
            self.fail(f"must be an integer from {self._lowest} to {self._highest}, got {value}.", param, ctx)
        return number


class NumberBetween(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.5
    """A finite number from ``lowest`` to ``highest``, which may be infinite; ``above`` excludes ``lowest`` itself."""

    name = "n"

    def __init__(self, lowest: float, highest: float, *, above: bool = False) -> None:
        self._lowest = lowest
        self._highest = highest
        self._above = above

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The number. Fails like click's own types."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        in_range = math.isfinite(number) and self._lowest <= number <= self._highest
        if not in_range or (self._above and number == self._lowest):
            self.fail(f"must be a number {self._range()}, got {value}.", param, ctx)
        return number

    def _range(self) -> str:
        if math.isinf(self._highest):
            return f"above {self._lowest:g}"
        if self._above:
            return f"above {self._lowest:g} and at most {self._highest:g}"
        return f"from {self._lowest:g} to {self._highest:g}"


class DurationUpTo(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.5
    """A whole number of seconds, minutes, hours or days, such as ``90s``, ``10m``, ``1h``, ``7d``, or 0; at most ``longest``."""

    name = "duration"
    _TEXT = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhd])|0", re.ASCII)
    _SECONDS: ClassVar[dict[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    def __init__(self, longest: timedelta) -> None:
        self._longest = longest

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> timedelta:
        """The duration. Fails like click's own types."""
        match = self._TEXT.fullmatch(str(value))
        seconds = int(match["number"] or 0) * self._SECONDS.get(match["unit"], 0) if match else math.inf
        if seconds > self._longest.total_seconds():
            days = self._longest / timedelta(days=1)
            self.fail(
                f"must be 0 or a number with its unit, such as 90s, 10m, 1h or 2d, up to {days:g}d, got {value}.",
                param,
                ctx,
            )
        return timedelta(seconds=seconds)


BPM = NumberBetween(30, 300)
SEED = IntegerBetween(0, UINT32_MAX)
VERSION = IntegerBetween(1, UINT32_MAX)


def version_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--version N`` of a job, passed to the command as ``version``; None is the default, which ``default`` describes."""
    return click.option("--version", type=VERSION, help=f"Version of the job [default: {default}]")
