"""`sonichaos-train corpus`: fill a work folder with songs, composed or recorded, or write a preview of composed ones."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from training.corpus.preview import write_preview
from training.recordings import RecordingError, cache_recordings
from training.training_set import fill_cache
from training.work_folder import WorkFolder

_PREVIEW_SONGS = 4


@click.command()
@click.option("--work", type=click.Path(path_type=Path), help="Work folder to fill; the songs go to its folder songs/.")
@click.option("--songs", type=click.IntRange(1), default=400, show_default=True, help="Number of songs.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first song.")
@click.option(
    "--recordings",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Use the recordings in this folder instead of composed songs.",
)
@click.option(
    "--preview",
    type=click.Path(path_type=Path),
    help="Write mix and stems of --songs songs (default 4) to this folder.",
)
@click.option("--seconds", type=click.FloatRange(2.0), help="Length of each song; default 6 to 60 s by seed.")
@click.pass_context
def corpus(
    context: click.Context,
    *,
    work: Path | None,
    songs: int,
    first: int,
    recordings: Path | None,
    preview: Path | None,
    seconds: float | None,
) -> None:
    """Compose songs, or read recordings, and cache their features in a work folder; or write a preview."""
    torch.set_num_threads(1)
    if preview is not None:
        given = context.get_parameter_source("songs") is not click.core.ParameterSource.DEFAULT
        count = songs if given else _PREVIEW_SONGS
        for folder in write_preview(range(first, first + count), preview, seconds=seconds):
            click.echo(folder)
        return
    if work is None:
        raise click.UsageError("--work DIR or --preview DIR is required")
    work_folder = WorkFolder(path=work)
    if recordings is not None:
        try:
            for path in cache_recordings(recordings, work_folder.songs, work_folder.front_end()):
                click.echo(path)
        except RecordingError as error:
            raise click.UsageError(str(error)) from error
        return
    finished = fill_cache(work_folder.songs, range(first, first + songs), work_folder.front_end(), seconds=seconds)
    with click.progressbar(finished, length=songs) as numbers:
        for _ in numbers:
            pass
