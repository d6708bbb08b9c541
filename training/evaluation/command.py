"""`sonichaos-train evaluate`: one report on a renderer and a separator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from render_service.renderers.load import load_latent_diffusion
from separation_service.engine import load_separator
from training.evaluation.report import Extent
from training.evaluation.report import evaluate as write_report
from training.evaluation.takes import Sampling

_SMALL = Extent(
    takes=16,
    others=12,
    changing=2,
    strangers=3,
    bases=2,
    copies=1,
    stem_songs=3,
    stem_seconds=8.0,
    clip_s=8.0,
    clips_each=24,
    judge_strangers=8,
)


@click.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder of the report.")
@click.option("--renderer", default="starter", show_default=True, help="'starter' or a checkpoint folder.")
@click.option("--separator", default="starter", show_default=True, help="'starter', or a name in --separator-repo.")
@click.option("--separator-repo", type=click.Path(path_type=Path), help="Folder of the separator's weights.")
@click.option("--seconds", type=click.FloatRange(4.0), default=6.0, show_default=True, help="Length of each take.")
@click.option(
    "--takes", type=click.IntRange(1), default=None, help="Held-out songs to render; default 24, 16 if small."
)
@click.option("--steps", type=int, default=None, help="Default: the checkpoint's.")
@click.option("--guidance", type=float, default=None, help="Default: the checkpoint's.")
@click.option(
    "--held-out-soundfont",
    type=click.Path(path_type=Path, exists=True),
    help="An SF2 file that training never heard, such as Debian's csound-soundfont (public domain).",
)
@click.option("--judge", "judge_file", type=click.Path(path_type=Path), help="Keep the fitted judge here (.npz).")
@click.option("--small", is_flag=True, help="A quick look: a few songs for each figure.")
@click.option("--threads", type=int, default=None, help="CPU threads; default: all cores.")
def evaluate(
    *,
    to: Path,
    renderer: str,
    separator: str,
    separator_repo: Path | None,
    seconds: float,
    takes: int | None,
    steps: int | None,
    guidance: float | None,
    held_out_soundfont: Path | None,
    judge_file: Path | None,
    small: bool,
    threads: int | None,
) -> None:
    """Takes and stems for held-out songs beside true audio, ceilings and nulls: a page, pictures, figures.json."""
    loaded = load_latent_diffusion(renderer, device="cpu", threads=threads)
    extent = _SMALL if small else Extent()
    page = write_report(
        loaded,
        load_separator(separator, repo=separator_repo, device="cpu", threads=threads or 1),
        to,
        sampling=Sampling(
            seconds=seconds,
            steps=steps if steps is not None else loaded.info.default_steps,
            guidance=guidance if guidance is not None else loaded.info.default_guidance,
        ),
        extent=extent if takes is None else replace(extent, takes=takes),
        held_out_soundfont=held_out_soundfont,
        judge_file=judge_file,
        say=lambda part: click.echo(part, err=True),
    )
    click.echo(page)
