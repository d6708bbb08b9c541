"""``sonichaos rerender | analyze | drift-report``: one stem again, what an upload lacks for it, and how well the grid was kept."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import click

from sonichaos.jobs.v1 import brief_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as jobs_pb
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos_client.cli.job_options import following
from sonichaos_client.cli.outcome import Delivery
from sonichaos_client.cli.session import Session, connected, note
from sonichaos_client.cli.take_commands import SEED, carry_on
from sonichaos_client.cli.tempo_map_file import read_tempo_map
from sonichaos_client.client import Client

STEMS = {
    "drums": brief_pb2.STEM_DRUMS,
    "bass": brief_pb2.STEM_BASS,
    "vocals": brief_pb2.STEM_VOCALS,
    "other": brief_pb2.STEM_OTHER,
}
_BPM = click.FloatRange(30, 300)
_BAR = click.IntRange(min=1)
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """Where the new mix begins, what of it is taken, and how near to the grid it has to be."""

    fresh: bool
    strength: float
    from_bar: int
    to_bar: int
    accept_drift: bool


def _fitted(command: Callable[..., R]) -> Callable[..., R]:
    """``--fresh --strength --from-bar --to-bar --accept-drift``, given to the command as ``fitting``."""

    @wraps(command)
    def with_fitting(
        *args: object,
        fresh: bool,
        strength: float | None,
        from_bar: int | None,
        to_bar: int | None,
        accept_drift: bool,
        **others: object,
    ) -> R:
        if (from_bar is None) != (to_bar is None):
            raise click.UsageError("--from-bar and --to-bar come together")
        fitting = Fitting(
            fresh=fresh, strength=strength or 0.0, from_bar=from_bar or 0, to_bar=to_bar or 0, accept_drift=accept_drift
        )
        return command(*args, fitting=fitting, **others)

    decorated: Callable[..., R] = with_fitting
    for option in (
        click.option("--accept-drift", is_flag=True, help="Keep the stem even beyond the limits of drift."),
        click.option("--to-bar", type=_BAR, metavar="N", help="Last bar to replace, included."),
        click.option("--from-bar", type=_BAR, metavar="N", help="First bar to replace, from 1 at the first downbeat."),
        click.option(
            "--strength",
            type=click.FloatRange(0, 1, min_open=True),
            metavar="S",
            help="Share of noise that the original's latents begin with [default: 0.9]",
        ),
        click.option("--fresh", is_flag=True, help="Render from noise alone, not from the original's latents."),
    ):
        decorated = option(decorated)
    return decorated


@click.command()
@click.argument("job_id")
@click.option("--stem", required=True, type=click.Choice(list(STEMS)), help="The stem to replace.")
@click.option("--persona", "persona_id", default="", metavar="ID", help="Another persona [default: as before]")
@click.option("--prompt", default="", help="Another prompt [default: as before]")
@click.option("--seed", type=SEED, help="Another seed [default: drawn]")
@click.option(
    "--base",
    "--base-version",
    "base_version",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Start from this version [default: the newest done]",
)
@_fitted
@click.option("--bpm", type=_BPM, metavar="B", help="Tempo of an upload, which has none of its own.")
@click.option(
    "--tempo-map",
    "tempo_map_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Tempo map of an upload as JSON, or what analyze --json printed.",
)
@click.option("--key", default="", metavar='"A minor"', help="Key of an upload.")
@click.option("--request-id", default="", help="Your id of this request: repeated, it gives the same version.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png",
    help="Draw old and new stem over the grid.",
)
@following
@connected
def rerender(
    session: Session,
    *,
    job_id: str,
    stem: str,
    persona_id: str,
    prompt: str,
    seed: int | None,
    base_version: int,
    fitting: Fitting,
    bpm: float | None,
    tempo_map_file: Path | None,
    key: str,
    request_id: str,
    plot: Path | None,
    delivery: Delivery,
) -> None:
    """Render one stem of a finished take again, as its next version."""
    if bpm is not None and tempo_map_file is not None:
        raise click.UsageError("--bpm and --tempo-map exclude each other")
    _check_plot(plot, delivery)
    request = render_pb2.RerenderStemRequest(
        request_id=request_id,
        job_id=job_id,
        base_version=base_version,
        stem=STEMS[stem],
        persona_id=persona_id,
        prompt=prompt,
        seed=seed,
        from_noise=fitting.fresh,
        strength=fitting.strength,
        from_bar=fitting.from_bar,
        to_bar=fitting.to_bar,
        allow_drift=fitting.accept_drift,
        key=key,
    )
    if bpm is not None:
        request.bpm = bpm
    if tempo_map_file is not None:
        request.tempo_map.CopyFrom(read_tempo_map(tempo_map_file))
    delivery.prepare()
    with session.client() as client:
        response = client.rerender_stem(request)
        last = response.job.last_sequence
        carry_on(session, client, response.job, response.version, delivery, after_sequence=last)
        if plot is not None:
            _draw(client, response, plot)
            session.emit({"jobId": job_id, "version": response.version, "path": str(plot)})
            session.tell(str(plot))


def _check_plot(plot: Path | None, delivery: Delivery) -> None:
    """Refuse a picture that could not be drawn, before any work is asked for."""
    if plot is None:
        return
    if delivery.detach:
        raise click.UsageError("--plot draws what was made, and --detach does not wait for it")
    if find_spec("matplotlib") is None:
        raise click.UsageError("--plot needs matplotlib: pip install 'sonichaos-client[plot]'")
    if not plot.parent.is_dir():
        raise click.UsageError(f"--plot {plot}: there is no folder {plot.parent}")
    if plot.exists() and not delivery.overwrite:
        raise click.UsageError(f"--plot {plot} exists; --force overwrites it")


def _draw(client: Client, made: render_pb2.RerenderStemResponse, plot: Path) -> None:
    from sonichaos_client.plot import plot_rerender

    base = next(version.base_version for version in made.job.versions if version.number == made.version)
    with tempfile.TemporaryDirectory(prefix="sonichaos-plot-") as folder:
        old, new = (
            client.download(made.job.job_id, Path(folder), version=number, kind=jobs_pb.FILE_KIND_ZIP).path
            for number in (base, made.version)
        )
        plot_rerender(old, new, plot)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--least-bpm", type=_BPM, metavar="B", help="It is not slower.")
@click.option("--most-bpm", type=_BPM, metavar="B", help="It is not faster.")
@click.option("--about-bpm", type=_BPM, metavar="B", help="It is within half an octave of this.")
@click.option("--beats-per-bar", type=click.IntRange(1, 16), metavar="N", help="Beats in a bar.")
@connected
def analyze(
    session: Session,
    *,
    file: Path,
    least_bpm: float | None,
    most_bpm: float | None,
    about_bpm: float | None,
    beats_per_bar: int | None,
) -> None:
    """Estimate tempo map and key of a 44.1 kHz WAV, with confidence. Half and double tempo are the usual mistakes: correct them."""
    low, high = _bpm_range(least_bpm, most_bpm, about_bpm)
    header = separation_pb2.AnalysisHeader(min_bpm=low, max_bpm=high, beats_per_bar=beats_per_bar or 0)
    with session.client() as client:
        found = client.analyze_file(file, header)
    session.emit(found)
    session.tell(_analysis_in_words(found))


def _bpm_range(least: float | None, most: float | None, about: float | None) -> tuple[float, float]:
    if about is not None:
        if least is not None or most is not None:
            raise click.UsageError("--about-bpm and --least-bpm/--most-bpm exclude each other")
        return max(about / math.sqrt(2), 30.0), min(about * math.sqrt(2), 300.0)
    if least is None and most is None:
        return 0.0, 0.0
    return least or 30.0, most or 300.0


def _analysis_in_words(found: separation_pb2.AnalyzeAudioResponse) -> str:
    lines = []
    if found.HasField("tempo_map"):
        points = ", ".join(f"{p.bpm:.2f} bpm from {p.start_seconds:.2f} s" for p in found.tempo_map.points[:8])
        other = f"; or {found.other_bpm:.1f} bpm" if found.HasField("other_bpm") else ""
        lines.append(f"tempo  {points} (confidence {found.tempo_confidence:.2f}{other})")
        grid = found.tempo_map
        lines.append(
            f"grid   first downbeat at {grid.first_downbeat_seconds:.3f} s (confidence {found.downbeat_confidence:.2f}), "
            f"{grid.points[0].beats_per_bar} beats a bar, swing {grid.swing_ratio:.2f}"
        )
    else:
        lines.append("tempo  no beat was found")
    lines.append(f"key    {found.key or 'none'} (confidence {found.key_confidence:.2f})")
    return "\n".join(lines)


@click.command("drift-report")
@click.option(
    "--stem", type=click.Choice(list(STEMS)), default="drums", show_default=True, help="Which stem's re-renders."
)
@connected
def drift_report(session: Session, *, stem: str) -> None:
    """Summarise how far re-rendered stems lay from the grid so far, and whether the operator's switch may open."""
    with session.client() as client:
        report = client.drift_report(STEMS[stem])
    session.emit(report)
    for drift in report.drifts:
        session.tell(_drift_line(drift))
    count = sum(not drift.uncounted for drift in report.drifts)
    share = f"{report.within_limits}/{count} within the limits"
    wanted = f"wanted at least {report.min_count}, {report.min_share:.0%} of them within"
    session.tell(f"{stem}: {share}; {wanted}: {'may open' if report.threshold_met else 'stays closed'}")
    if not report.drifts:
        note(f"no {stem} were re-rendered yet")


def _drift_line(drift: render_pb2.MeasuredDrift) -> str:
    verdict = "within" if drift.within_limits else "accepted" if drift.accepted else "beyond"
    if drift.uncounted:
        return f"{drift.job_id} v{drift.version:<3} unmeasurable, not counted"
    if not drift.measurable:
        return f"{drift.job_id} v{drift.version:<3} {verdict:<9} too few onsets"
    slope = f"{drift.slope_ms_per_minute:+.1f} ms/min" if drift.HasField("slope_ms_per_minute") else "-"
    if drift.HasField("slope_error_ms_per_minute"):
        slope += f" (give or take {drift.slope_error_ms_per_minute:.1f})"
    return (
        f"{drift.job_id} v{drift.version:<3} {verdict:<9} median {drift.median_ms:+.1f} ms  p95 {drift.p95_ms:.1f} ms  "
        f"slope {slope}  matched {drift.matched_share:.0%}"
    )
