"""`sonichaos-train evaluate`: one report on a renderer and a separator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from render_service.renderers.load import load_latent_diffusion
from separation_service.engine import load_separator
from training.evaluation.parts import PARTS, Evaluation, EvaluationSize
from training.evaluation.report import evaluate as write_report
from training.evaluation.takes import Sampling

_SMALL = EvaluationSize(
    takes=8,
    other_songs=12,
    tempo_changes=2,
    unseen_personas=3,
    prompts=2,
    vocoder_songs=1,
    stem_songs=3,
    stem_seconds=8.0,
    clip_s=8.0,
    classifier_clips=24,
    classifier_unseen_personas=8,
)


@click.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder to write the report to.")
@click.option("--renderer", default="starter", show_default=True, help="'starter' or a checkpoint folder.")
@click.option(
    "--separator",
    default="starter",
    show_default=True,
    help="'starter', or the name of a separator in --separator-repo.",
)
@click.option("--separator-repo", type=click.Path(path_type=Path), help="Folder with the separator's weights.")
@click.option("--seconds", type=click.FloatRange(4.0), default=10.0, show_default=True, help="Length of each take.")
@click.option(
    "--takes",
    type=click.IntRange(1),
    default=None,
    help="Number of held-out songs to render; default 24, with --small 8.",
)
@click.option("--steps", type=int, default=None, help="Default: the checkpoint's own.")
@click.option("--guidance", type=float, default=None, help="Default: the checkpoint's own.")
@click.option(
    "--held-out-soundfont",
    type=click.Path(path_type=Path, exists=True),
    help="An SF2 file that training did not use, such as Debian's csound-soundfont (public domain).",
)
@click.option(
    "--classifier",
    "classifier_file",
    type=click.Path(path_type=Path),
    help="File (.npz) to load the fitted persona classifier from, or to save it to if it does not exist.",
)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(list(PARTS)),
    help="Measure this part; repeatable. Default: all.",
)
@click.option("--small", is_flag=True, help="Measure fewer songs, for a quick look.")
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
    classifier_file: Path | None,
    parts: tuple[str, ...],
    small: bool,
    threads: int | None,
) -> None:
    """Evaluate a renderer and a separator on held-out songs; writes README.md, figures and figures.json."""
    loaded = load_latent_diffusion(renderer, device="cpu", threads=threads)
    size = _SMALL if small else EvaluationSize()
    evaluation = Evaluation(
        renderer=loaded,
        separator=load_separator(separator, repo=separator_repo, device="cpu", threads=threads or 1),
        sampling=Sampling(
            seconds=seconds,
            steps=steps if steps is not None else loaded.info.default_steps,
            guidance=guidance if guidance is not None else loaded.info.default_guidance,
        ),
        size=size if takes is None else replace(size, takes=takes),
        held_out_soundfont=held_out_soundfont,
        classifier_file=classifier_file,
        on_part=lambda part: click.echo(part, err=True),
    )
    page = write_report(evaluation, to, parts=[part for part in PARTS if part in parts or not parts])
    click.echo(page)
