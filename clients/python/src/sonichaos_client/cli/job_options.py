"""Options that several commands share, each group passed to the command as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

from sonichaos.jobs.v1 import brief_pb2
from sonichaos_client.cli.destination import Destination, DestinationType
from sonichaos_client.cli.follow import OutputOptions
from sonichaos_client.cli.param_types import IntegerBetween
from sonichaos_client.enums import LicenceCoverage, StemMode

R = TypeVar("R")

_STEM_MODES = {"exact": StemMode.EXACT, "raw": StemMode.RAW}
_COVERAGES = {"bounce": LicenceCoverage.BOUNCE, "bounce_and_stems": LicenceCoverage.BOUNCE_AND_STEMS}
_DEFAULT_COVERAGE = "bounce_and_stems"
_MAX_PRIORITY = 100


def _with(options: tuple[Callable[..., Any], ...], command: Callable[..., R]) -> Callable[..., R]:
    for option in reversed(options):
        command = option(command)
    return command


def with_output_options(command: Callable[..., R]) -> Callable[..., R]:
    """``--detach --out --force``, passed to the command as ``output``."""

    @wraps(command)
    def with_output(*args: object, detach: bool, out: Destination | None, force: bool, **others: object) -> R:
        output = OutputOptions(None if detach else out, overwrite=force, detach=detach)
        return command(*args, output=output, **others)

    return _with(
        (
            click.option("--detach", is_flag=True, help="Print the job's id and exit without waiting."),
            click.option(
                "--out",
                type=DestinationType(),
                metavar="FILE|DIR",
                help="Download the result, complete or not at all: FILE.wav is the bounce, FILE.zip has the stems too; "
                "to a folder, the ZIP (without stems: the bounce) under the job's id.",
            ),
            click.option("--force", is_flag=True, help="Overwrite an existing file."),
        ),
        with_output,
    )


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a caller attaches to a new job."""

    request_id: str
    priority: int
    labels: dict[str, str]
    licence: brief_pb2.Licence | None


def with_job_options(command: Callable[..., R]) -> Callable[..., R]:
    """``--request-id --priority --label`` and the licence's options, passed to the command as ``job_options``."""

    @wraps(command)
    def with_options(
        *args: object,
        request_id: str,
        priority: int,
        labels: tuple[str, ...],
        licence_tier: str,
        licence_covers: str | None,
        licensee: str,
        terms: str,
        **others: object,
    ) -> R:
        licence = None
        if licence_tier or licensee or terms or licence_covers:
            coverage = brief_pb2.LicenceCoverage.ValueType(_COVERAGES[licence_covers or _DEFAULT_COVERAGE])
            licence = brief_pb2.Licence(tier=licence_tier, licensee=licensee, terms=terms, covers=coverage)
        job_options = JobOptions(
            request_id=request_id, priority=priority, labels=_parse_labels(labels), licence=licence
        )
        return command(*args, job_options=job_options, **others)

    return _with(
        (
            click.option(
                "--request-id",
                default="",
                metavar="ID",
                help="Idempotency key: repeating a request with the same id returns the same job.",
            ),
            with_priority,
            click.option(
                "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Label of the job; may be repeated."
            ),
            click.option(
                "--licence-tier",
                "--license-tier",
                "licence_tier",
                default="",
                metavar="NAME",
                help="Name of the licence tier in your catalogue, such as sync.",
            ),
            click.option(
                "--licence-covers",
                "--license-covers",
                "licence_covers",
                type=click.Choice(list(_COVERAGES)),
                help=f"Files that the licence covers [default: {_DEFAULT_COVERAGE}]",
            ),
            click.option("--licensee", default="", metavar="NAME", help="Who may use the result."),
            click.option("--terms", default="", metavar="TEXT", help="Terms of use, or their URL."),
        ),
        with_options,
    )


def with_priority(command: Callable[..., R]) -> Callable[..., R]:
    """``--priority``, passed to the command as ``priority``."""
    return click.option(
        "--priority",
        type=IntegerBetween(-_MAX_PRIORITY, _MAX_PRIORITY),
        default=0,
        show_default=True,
        help=f"Order among your waiting jobs, -{_MAX_PRIORITY} to {_MAX_PRIORITY}: the highest first.",
    )(command)


def with_resample(command: Callable[..., R]) -> Callable[..., R]:
    """``--resample``, passed to the command as ``resample``."""
    return click.option(
        "--resample", is_flag=True, help="Convert a recording of another rate to 44.1 kHz, instead of refusing it."
    )(command)


def _parse_labels(pairs: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"expected KEY=VALUE, got {pair!r}.", param_hint="'--label'")
        labels[key] = value
    return labels


def with_stem_mode(*, default: StemMode | None) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """``--stem-mode``, passed to the command as ``stem_mode``; a default of None keeps the mode of the job."""
    default_name = "that of the job" if default is None else default.name.lower()
    return click.option(
        "--stem-mode",
        type=click.Choice(list(_STEM_MODES)),
        callback=lambda _context, _parameter, name: _STEM_MODES.get(name, default),
        help="exact: the stems add up to the bounce, sample for sample. raw: the model's own output. "
        f"[default: {default_name}]",
    )
