"""Options that several commands share, gathered into one value each before the command sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from sonichaos.jobs.v1 import brief_pb2
from sonichaos_client.cli.outcome import Delivery

R = TypeVar("R")

_STEM_MODES = {"exact": brief_pb2.STEM_MODE_EXACT, "raw": brief_pb2.STEM_MODE_RAW}
_COVERS = {
    "bounce": brief_pb2.LICENCE_COVERAGE_BOUNCE,
    "bounce-and-stems": brief_pb2.LICENCE_COVERAGE_BOUNCE_AND_STEMS,
}
_DEFAULT_COVERS = "bounce-and-stems"


def _with(options: tuple[Callable[..., Any], ...], command: Callable[..., R]) -> Callable[..., R]:
    for option in reversed(options):
        command = option(command)
    return command


def following(command: Callable[..., R]) -> Callable[..., R]:
    """``--detach --out --force``, given to the command as ``delivery``."""

    @wraps(command)
    def with_delivery(*args: object, detach: bool, out: Path | None, force: bool, **others: object) -> R:
        delivery = Delivery(None if detach else out, overwrite=force, detach=detach)
        return command(*args, delivery=delivery, **others)

    return _with(
        (
            click.option("--detach", is_flag=True, help="Do not wait: print the job's id."),
            click.option(
                "--out",
                type=click.Path(file_okay=False, path_type=Path),
                metavar="DIR",
                help="Where the ZIP (or, without stems, the bounce) lands, complete or not at all.",
            ),
            click.option("--force", is_flag=True, help="Overwrite an existing file."),
        ),
        with_delivery,
    )


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """What a caller attaches to a new job."""

    request_id: str
    labels: dict[str, str]
    licence: brief_pb2.Licence | None


def accepting(command: Callable[..., R]) -> Callable[..., R]:
    """``--request-id --label`` and the licence's options, given to the command as ``acceptance``."""

    @wraps(command)
    def with_acceptance(
        *args: object,
        request_id: str,
        labels: tuple[str, ...],
        licence_tier: str,
        licence_covers: str | None,
        licensee: str,
        terms: str,
        **others: object,
    ) -> R:
        licence = None
        if licence_tier or licensee or terms or licence_covers:
            covers = _COVERS[licence_covers or _DEFAULT_COVERS]
            licence = brief_pb2.Licence(tier=licence_tier, licensee=licensee, terms=terms, covers=covers)
        acceptance = Acceptance(request_id=request_id, labels=_labels(labels), licence=licence)
        return command(*args, acceptance=acceptance, **others)

    return _with(
        (
            click.option(
                "--request-id",
                default="",
                metavar="ID",
                help="Your id of this request: repeated, it gives the same job.",
            ),
            click.option(
                "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Your own label; may be repeated."
            ),
            click.option(
                "--licence-tier",
                default="",
                metavar="NAME",
                help="The tier's name in your own catalogue, such as sync.",
            ),
            click.option(
                "--licence-covers",
                type=click.Choice(list(_COVERS)),
                help=f"Which files the licence covers [default: {_DEFAULT_COVERS}]",
            ),
            click.option("--licensee", default="", metavar="NAME", help="Who may use the result."),
            click.option("--terms", default="", metavar="TEXT", help="Terms of use, or an address of them."),
        ),
        with_acceptance,
    )


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"wanted KEY=VALUE, got {pair!r}", param_hint="--label")
        labels[key] = value
    return labels


def with_stem_mode(command: Callable[..., R]) -> Callable[..., R]:
    """``--stem-mode`` of a new job, given to the command as ``stem_mode``; exact where it was not typed."""
    return _stem_mode(command, "exact", default="exact")


def with_other_stem_mode(command: Callable[..., R]) -> Callable[..., R]:
    """``--stem-mode`` of a job that was accepted with one: unspecified where it was not typed, so that it stays."""
    return _stem_mode(command, "as the job was accepted", default=None)


def _stem_mode(command: Callable[..., R], default_in_words: str, *, default: str | None) -> Callable[..., R]:
    option = click.option(
        "--stem-mode",
        type=click.Choice(list(_STEM_MODES)),
        default=default,
        callback=lambda _context, _parameter, name: _STEM_MODES.get(name, brief_pb2.STEM_MODE_UNSPECIFIED),
        help="exact: the stems add up to the bounce, sample for sample. raw: the model's own outputs "
        f"[default: {default_in_words}]",
    )
    return option(command)
