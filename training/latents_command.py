"""`sonichaos-train latents`: compose songs straight into what the denoiser trains on."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from training.latents import fill_latents
from training.work_folder import WorkFolder


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder with a trained autoencoder.")
@click.option("--songs", type=click.IntRange(1), default=8000, show_default=True, help="Number of songs.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first song.")
@click.option("--seconds", type=click.FloatRange(2.0), help="Length of each composed song; default 6 to 60 s by seed.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="Songs composed side by side.")
def latents(work: Path, songs: int, first: int, seconds: float | None, processes: int) -> None:
    """Encode the songs of the work folder's cache, and compose more without storing their audio.

    An interrupted command continues where it stopped. Several machines can compose different ranges and copy the files together.
    """
    torch.set_num_threads(1)
    work_folder = WorkFolder(path=work)
    if not work_folder.has_weights("autoencoder") or not work_folder.has_weights("persona_encoder"):
        raise click.UsageError(
            f"{work} has no trained autoencoder and persona encoder; run `sonichaos-train init --work {work}`, or train them"
        )
    finished = fill_latents(work_folder, range(first, first + songs), seconds=seconds, processes=processes)
    with click.progressbar(finished, length=songs) as numbers:
        for _ in numbers:
            pass
