"""`sonichaos-train corpus`: fill the cache of a work folder, from seeds or from a studio's own audio, or write songs to hear."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from training.cache import fill
from training.corpus.preview import write_preview
from training.own_audio import OwnAudioError, fill_from_folder
from training.workshop import Workshop

_PREVIEWED = 4


@click.command()
@click.option("--work", type=click.Path(path_type=Path), help="Work folder; what training needs lands in its songs/.")
@click.option("--songs", type=click.IntRange(1), default=400, show_default=True, help="Songs of 30 to 60 s.")
@click.option(
    "--first", type=click.IntRange(0), default=0, show_default=True, help="Number of the first; it is its seed."
)
@click.option(
    "--own", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A folder of your own audio."
)
@click.option(
    "--preview", type=click.Path(path_type=Path), help="Write mix and stems of --songs (default 4) here to hear."
)
@click.option("--seconds", type=click.FloatRange(2.0), help="Length of previewed songs; default 30 to 60 s by seed.")
@click.pass_context
def corpus(
    context: click.Context,
    *,
    work: Path | None,
    songs: int,
    first: int,
    own: Path | None,
    preview: Path | None,
    seconds: float | None,
) -> None:
    """Compose and perform songs, or read your own, and keep what training needs of them; or write a few to hear."""
    torch.set_num_threads(1)
    if preview is not None:
        given = context.get_parameter_source("songs") is not click.core.ParameterSource.DEFAULT
        count = songs if given else _PREVIEWED
        for folder in write_preview(range(first, first + count), preview, seconds=seconds):
            click.echo(folder)
        return
    if work is None:
        raise click.UsageError("wants --work DIR to fill, or --preview DIR to write songs to hear")
    workshop = Workshop(folder=work)
    if own is not None:
        try:
            for path in fill_from_folder(own, workshop.songs, workshop.front_end()):
                click.echo(path)
        except OwnAudioError as error:
            raise click.UsageError(str(error)) from error
        return
    made = fill(workshop.songs, range(first, first + songs), workshop.front_end())
    with click.progressbar(made, length=songs) as numbers:
        for _ in numbers:
            pass
