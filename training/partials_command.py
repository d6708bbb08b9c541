"""`sonichaos-train partials`: fit the net that places a mel's energy at the partials of the score."""

from __future__ import annotations

from pathlib import Path

import click
from safetensors.torch import save_file

from training.export import add_partials
from training.partial_shares import example_of, fit_shares, training_songs
from training.work_folder import WorkFolder


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder with an autoencoder.")
@click.option(
    "--songs", type=click.IntRange(min=2), default=24, show_default=True, help="Songs of 10 s; a fifth is held out."
)
@click.option("--steps", type=click.IntRange(min=1), default=900, show_default=True, help="Steps of the fit.")
@click.option(
    "--renderer",
    type=click.Path(path_type=Path, exists=True),
    help="Also write the net into this checkpoint, which must have the same front end.",
)
def partials(work: Path, songs: int, steps: int, renderer: Path | None) -> None:
    """Fit the net that predicts from mel and score how much of a band is bass, chords, lead and noise; prints its losses."""
    work_folder = WorkFolder(path=work)
    front_end, autoencoder = work_folder.front_end(), work_folder.autoencoder().eval()
    examples = [example_of(song, front_end, autoencoder) for song in training_songs(songs)]
    net, errors = fit_shares(examples, front_end, steps=steps, held_out=max(songs // 5, 1))
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, str(work_folder.partials_path))
    if renderer is not None:
        add_partials(renderer, net)
    click.echo(f"held out {errors.held_out:.4f}, without partials {errors.null:.4f}")
