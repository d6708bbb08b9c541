"""`sonichaos-train habits`: fit the habits head."""

from __future__ import annotations

from pathlib import Path

import click
from safetensors.torch import save_file

from training.export import add_habits
from training.habits import HabitsError, fit_head, read_personas
from training.work_folder import WorkFolder


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder with latents.")
@click.option(
    "--renderer",
    type=click.Path(path_type=Path, exists=True),
    help="Also write the head into this checkpoint, whose persona encoder made the latents.",
)
def habits(work: Path, renderer: Path | None) -> None:
    """Fit the head that reads how a persona plays from its embedding; prints its errors on held-out personas."""
    work_folder = WorkFolder(path=work)
    known = read_personas(work_folder.latents)
    try:
        head, unseen, recalled = fit_head(known)
    except HabitsError as error:
        raise click.UsageError(str(error)) from error
    save_file({name: value.contiguous() for name, value in head.state_dict().items()}, str(work_folder.habits_path))
    if renderer is not None:
        add_habits(renderer, head)
    click.echo(f"{len(known)} personas")
    click.echo(
        "| habit | error, unseen personas | null | error, named personas | null |\n| --- | --- | --- | --- | --- |"
    )
    for new, old in zip(unseen, recalled, strict=True):
        click.echo(f"| {new.habit} | {new.error:.3f} | {new.null:.3f} | {old.error:.3f} | {old.null:.3f} |")
