"""``sonichaos rerender | drift-report``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import click

from sonichaos.render.v1 import render_pb2
from sonichaos_client.cli.completion import JOB_ID, PERSONA_ID
from sonichaos_client.cli.follow import OutputOptions, follow_unless_detached
from sonichaos_client.cli.formatting import lower
from sonichaos_client.cli.job_options import with_output_options, with_priority
from sonichaos_client.cli.param_types import BPM, INPUT_FILE, SEED, UINT32_MAX, IntegerBetween, NumberBetween
from sonichaos_client.cli.session import Session, connected, note
from sonichaos_client.cli.tempo_map_file import read_tempo_map
from sonichaos_client.client import Client
from sonichaos_client.enums import FileKind, Stem
from sonichaos_client.fields import RerenderFields
from sonichaos_client.job_handle import JobHandle

STEMS = {lower(stem): stem for stem in Stem if stem}
_BAR = IntegerBetween(1, UINT32_MAX)
R = TypeVar("R")


def _with_fields(command: Callable[..., R]) -> Callable[..., R]:
    """The options that become fields of the request, passed to the command as ``fields``."""

    @wraps(command)
    def with_fields(
        *args: object,
        persona_id: str,
        prompt: str,
        seed: int | None,
        base_version: int | None,
        from_noise: bool,
        strength: float | None,
        from_bar: int | None,
        to_bar: int | None,
        allow_drift: bool,
        bpm: float | None,
        tempo_map: Path | None,
        key: str,
        new_part: bool,
        priority: int,
        **others: object,
    ) -> R:
        if (from_bar is None) != (to_bar is None):
            raise click.UsageError("--from-bar and --to-bar must be used together.")
        if bpm is not None and tempo_map is not None:
            raise click.UsageError("--bpm and --tempo-map cannot be combined.")
        fields = RerenderFields(
            persona_id=persona_id,
            prompt=prompt,
            seed=seed,
            base_version=base_version,
            from_noise=from_noise,
            strength=strength,
            from_bar=from_bar,
            to_bar=to_bar,
            allow_drift=allow_drift,
            bpm=bpm,
            tempo_map=read_tempo_map(tempo_map) if tempo_map is not None else None,
            key=key,
            new_part=new_part,
            priority=priority,
        )
        return command(*args, fields=fields, **others)

    decorated: Callable[..., R] = with_fields
    for option in reversed(
        (
            click.option(
                "--persona",
                "persona_id",
                type=PERSONA_ID,
                default="",
                metavar="ID",
                help="New persona [default: unchanged]",
            ),
            click.option("--prompt", default="", help="New prompt [default: unchanged]"),
            click.option("--seed", type=SEED, help="New seed, 0 to 4294967295 [default: drawn]"),
            click.option(
                "--base",
                "--base-version",
                "base_version",
                type=IntegerBetween(0, UINT32_MAX),
                help="Version to start from [default: the newest that is done]",
            ),
            click.option(
                "--from-noise",
                is_flag=True,
                help="Start from noise only, not from the latents of the original. The default where the notes are known.",
            ),
            click.option(
                "--strength",
                type=NumberBetween(0, 1, above=True),
                help="Share of noise added to the latents of the original, above 0 to 1 "
                "[default: 0.9; noise only where the notes are known]",
            ),
            click.option("--from-bar", type=_BAR, help="First bar to replace; bar 1 begins at the first downbeat."),
            click.option("--to-bar", type=_BAR, help="Last bar to replace."),
            click.option("--allow-drift", is_flag=True, help="Accept a stem whose drift exceeds the limits."),
            click.option("--bpm", type=BPM, metavar="BPM", help="Tempo of an upload, 30 to 300."),
            click.option(
                "--tempo-map",
                type=INPUT_FILE,
                metavar="FILE",
                help="Tempo map of an upload as JSON, such as the output of 'sonichaos analyze --json'.",
            ),
            click.option("--key", default="", metavar='"A minor"', help="Key of an upload."),
            click.option(
                "--new-part", is_flag=True, help="Compose the stem's notes anew instead of playing the same ones."
            ),
            with_priority,
        )
    ):
        decorated = option(decorated)
    return decorated


@click.command(short_help="Render one stem of a finished take again.")
@click.argument("job_id", type=JOB_ID)
@click.option("--stem", required=True, type=click.Choice(list(STEMS)), help="The stem to replace.")
@_with_fields
@click.option(
    "--request-id",
    default="",
    metavar="ID",
    help="Idempotency key: repeating a request with the same id returns the same version.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png",
    help="Plot the old and the new stem over the grid.",
)
@with_output_options
@connected
def rerender(
    session: Session,
    *,
    job_id: str,
    stem: str,
    fields: RerenderFields,
    request_id: str,
    plot: Path | None,
    output: OutputOptions,
) -> None:
    """Render one stem of a finished take again, with another persona, prompt or seed, as its next version."""
    _check_plot(plot, output)
    output.prepare()
    with session.client() as client:
        made = client.rerender_stem(job_id, STEMS[stem], request_id=request_id, **fields)
        last = made.message.last_sequence
        follow_unless_detached(session, client, made.message, made.version, output, after_sequence=last)
        if plot is not None:
            _plot(client, made, plot)
            session.print_json({"jobId": job_id, "version": made.version, "path": str(plot)})
            session.print_text(str(plot))


def _check_plot(plot: Path | None, output: OutputOptions) -> None:
    """Reject a plot that cannot be written, before a job is created."""
    if plot is None:
        return
    if output.detach:
        raise click.UsageError("--plot and --detach cannot be combined.")
    if find_spec("matplotlib") is None:
        raise click.UsageError("--plot requires matplotlib: pip install 'sonichaos-client[plot]'")
    if not plot.parent.is_dir():
        raise click.UsageError(f"--plot {plot}: the folder {plot.parent} does not exist.")
    if plot.exists() and not output.overwrite:
        raise click.UsageError(f"--plot {plot}: the file exists. Use --force to overwrite it.")


def _plot(client: Client, made: JobHandle, plot: Path) -> None:
    from sonichaos_client.plot import plot_rerender

    base = next(version.base_version for version in made.message.versions if version.number == made.version)
    with tempfile.TemporaryDirectory(prefix="sonichaos-plot-") as folder:
        old, new = (
            client.download(made.job_id, folder, version=number, kind=FileKind.ZIP).path
            for number in (base, made.version)
        )
        plot_rerender(old, new, plot)


@click.command("drift-report", short_help="Show how far re-rendered stems lay from their grids.")
@click.option(
    "--stem", type=click.Choice(list(STEMS)), default="drums", show_default=True, help="The re-rendered stem."
)
@connected
def drift_report(session: Session, *, stem: str) -> None:
    """Show how far re-rendered stems lay from their grids, and whether the operator may switch on drums_rerender."""
    with session.client() as client:
        report = client.get_drift_report(STEMS[stem])
    session.print_json(report)
    for drift in report.drifts:
        session.print_text(_drift_line(drift))
    count = sum(not drift.uncounted for drift in report.drifts)
    required = f"required: at least {report.min_count}, {report.min_share:.0%} of them within"
    session.print_text(
        f"{stem}: {report.within_limits_count} of {count} within the limits; {required}: "
        f"{'threshold met' if report.threshold_met else 'threshold not met'}"
    )
    if not report.drifts:
        note(f"There are no re-renders of {stem} yet.")


def _drift_line(drift: render_pb2.MeasuredDrift) -> str:
    job = f"{drift.job_id} v{drift.version:<3}"
    if drift.uncounted:
        return f"{job} not measurable, not counted"
    verdict = "within" if drift.within_limits else "accepted" if drift.accepted else "beyond"
    if not drift.measurable:
        return f"{job} {verdict:<9} too few onsets"
    slope = f"{drift.slope_ms_per_minute:+.1f} ms/min" if drift.HasField("slope_ms_per_minute") else "-"
    if drift.HasField("slope_error_ms_per_minute"):
        slope += f" ± {drift.slope_error_ms_per_minute:.1f}"
    return (
        f"{job} {verdict:<9} median {drift.median_ms:+.1f} ms  p95 {drift.p95_ms:.1f} ms  "
        f"slope {slope}  matched {drift.matched_share:.0%}{'  by its notes' if drift.judged_against == 'score' else ''}"
    )
