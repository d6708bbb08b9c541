"""``sonichaos analyze``: tempo map and key of a recording."""

from __future__ import annotations

import math
from pathlib import Path

import click

from sonichaos.separation.v1 import separation_pb2
from sonichaos_client.cli.job_options import with_resample
from sonichaos_client.cli.param_types import BPM, INPUT_FILE, IntegerBetween
from sonichaos_client.cli.session import Session, connected

_MIN_BPM, _MAX_BPM = 30.0, 300.0


@click.command(short_help="Estimate the tempo map and key of a recording.")
@click.argument("file", type=INPUT_FILE)
@click.option("--min-bpm", type=BPM, metavar="BPM", help="Lowest possible tempo.")
@click.option("--max-bpm", type=BPM, metavar="BPM", help="Highest possible tempo.")
@click.option("--bpm-hint", type=BPM, metavar="BPM", help="Approximate tempo, within half an octave.")
@click.option("--beats-per-bar", type=IntegerBetween(1, 16), help="Beats per bar, 1 to 16.")
@with_resample
@connected
def analyze(
    session: Session,
    *,
    file: Path,
    min_bpm: float | None,
    max_bpm: float | None,
    bpm_hint: float | None,
    beats_per_bar: int | None,
    resample: bool,
) -> None:
    """Estimate the tempo map and key of a recording, with confidences. Takes the files that 'separate' takes.

    The usual mistake is half or double the tempo; --bpm-hint corrects it.
    """
    if bpm_hint is not None:
        if min_bpm is not None or max_bpm is not None:
            raise click.UsageError("--bpm-hint cannot be combined with --min-bpm or --max-bpm.")
        min_bpm = max(bpm_hint / math.sqrt(2), _MIN_BPM)
        max_bpm = min(bpm_hint * math.sqrt(2), _MAX_BPM)
    elif min_bpm is not None or max_bpm is not None:
        min_bpm, max_bpm = min_bpm or _MIN_BPM, max_bpm or _MAX_BPM
    with session.client() as client:
        analysis = client.analyze_file(
            file, min_bpm=min_bpm, max_bpm=max_bpm, beats_per_bar=beats_per_bar, resample=resample
        )
    session.print_json(analysis)
    session.print_text(_format_analysis(analysis))


def _format_analysis(analysis: separation_pb2.AnalyzeAudioResponse) -> str:
    lines = []
    if analysis.HasField("tempo_map"):
        tempo_map = analysis.tempo_map
        points = ", ".join(f"{point.bpm:.2f} bpm from {point.start_seconds:.2f} s" for point in tempo_map.points[:8])
        other = f"; or {analysis.other_bpm:.1f} bpm" if analysis.HasField("other_bpm") else ""
        lines.append(f"tempo  {points} (confidence {analysis.tempo_confidence:.2f}{other})")
        lines.append(
            f"grid   first downbeat at {tempo_map.first_downbeat_seconds:.3f} s "
            f"(confidence {analysis.downbeat_confidence:.2f}), "
            f"{tempo_map.points[0].beats_per_bar} beats per bar, swing {tempo_map.swing_ratio:.2f}"
        )
    else:
        lines.append("tempo  no beat detected")
    lines.append(f"key    {analysis.key or 'none detected'} (confidence {analysis.key_confidence:.2f})")
    return "\n".join(lines)
