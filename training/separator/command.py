"""`sonichaos-train separator`: train the starter separator, publish it as a folder of weights, measure it."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from safetensors.torch import load_file
from torch import Tensor

from separation_service.engine import EngineOptions, load_separator
from separation_service.engine.weights_folder import STARTER, STARTER_FOLDER, open_folder
from training.corpus.store import StoredSong, cached_songs
from training.loop import LoopSpec, Outcome, load_average, train
from training.own_audio import OwnAudioError, own_stems
from training.separator.measure import measure
from training.separator.net import build
from training.separator.publish import publish, write_card
from training.separator.task import SeparatorTask

HELD_OUT_FIRST_SEED = 1_000_000

log = logging.getLogger(__name__)


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder; songs land in its songs/.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the weights, a --separator-repo."
)
@click.option("--name", default="own", show_default=True, help="Name of the separator in that folder.")
@click.option("--budget-s", type=float, required=True, help="Wall time to train, over all runs.")
@click.option("--songs", type=click.IntRange(1), default=48, show_default=True, help="Songs to train on, seeds from 0.")
@click.option(
    "--held-out", type=click.IntRange(1), default=8, show_default=True, help="Songs to measure on, other seeds."
)
@click.option("--song-s", type=float, default=24.0, show_default=True, help="Length of a song in seconds.")
@click.option("--batch", type=click.IntRange(1), default=2, show_default=True, help="Crops of 2.6 s a step.")
@click.option("--begin-from", default=None, help="Weights of this shape to begin from: 'starter', or a name in --out.")
@click.option("--own", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Your own stems instead.")
@click.option("--first-song", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first song.")
@click.option("--learning-rate", type=float, default=1e-3, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="That make songs, 300 MB each.")
def separator(
    *,
    work: Path,
    out: Path,
    name: str,
    budget_s: float,
    songs: int,
    held_out: int,
    song_s: float,
    batch: int,
    begin_from: str | None,
    own: Path | None,
    first_song: int,
    learning_rate: float,
    seed: int,
    device: str,
    threads: int,
    processes: int,
) -> None:
    """Train the starter separator. Goes on from where it was stopped."""
    if name == STARTER and out.resolve() != STARTER_FOLDER:
        raise click.UsageError(
            f"{STARTER!r} always means the weights in {STARTER_FOLDER}; name them otherwise, or write there"
        )
    torch.set_num_threads(threads)
    material = (
        _composed(first_song, songs, held_out=held_out, song_s=song_s, work=work, processes=processes)
        if own is None
        else _recorded(own, held_out, work / "own")
    )
    net = build(seed)
    if begin_from is not None:
        net.load_state_dict(weights_of(begin_from, out))
    task = SeparatorTask(
        net=net.to(device),
        stems=[_held(song, device) for song in material.training],
        batch=batch,
        device=torch.device(device),
    )
    spec = LoopSpec(budget_s=budget_s, seed=seed, learning_rate=learning_rate, ema_decay=0.99)
    outcome = _train(task, work, spec)
    load_average(task.net, work / "separator.pt")
    publish(task.net, name, out)
    options = EngineOptions(compiled=False)  # a few songs are measured in less time than a compilation takes
    loaded = load_separator(name, repo=out, device=device, threads=threads, options=options)
    figures = measure(loaded, material.held_out)
    write_card(
        out,
        parameters=loaded.info.parameters,
        outcome=outcome,
        trained_on=material.trained_on,
        measured_on=material.measured_on,
        began_from=begin_from,
        figures=figures,
    )
    for row in figures:
        click.echo(
            f"{row.stem}: SI-SDR {row.si_sdr_db:.2f} dB, mixture {row.mixture_si_sdr_db:.2f} dB, {row.songs} songs"
        )


@dataclass(frozen=True, kw_only=True)
class _Material:
    """Songs to train on and others to measure on, and what the card says of them."""

    training: list[StoredSong]
    held_out: list[StoredSong]
    trained_on: str
    measured_on: str


def _composed(first: int, songs: int, *, held_out: int, song_s: float, work: Path, processes: int) -> _Material:
    last, measured = first + songs - 1, HELD_OUT_FIRST_SEED + held_out
    if last >= HELD_OUT_FIRST_SEED:
        raise click.UsageError(f"seeds from {HELD_OUT_FIRST_SEED} on are held out; {first} to {last} reach into them")
    return _Material(
        training=_songs(range(first, first + songs), song_s, work / "songs", processes),
        held_out=_songs(range(HELD_OUT_FIRST_SEED, measured), song_s, work / "held_out", processes),
        trained_on=(
            "this project's procedural corpus only (soundfont FluidR3_GM, MIT, and an own formant voice): seeds"
            f"\n{first} to {last}, {song_s:g} s each"
        ),
        measured_on=f"held-out seeds {HELD_OUT_FIRST_SEED} to {measured - 1}, {song_s:g} s each",
    )


def _recorded(folder: Path, held_out: int, kept: Path) -> _Material:
    """The last recordings of a folder, by name, are measured on."""
    try:
        songs = list(own_stems(folder, kept))
    except OwnAudioError as error:
        raise click.UsageError(str(error)) from error
    if len(songs) <= held_out:
        raise click.UsageError(
            f"{folder} has {len(songs)} recordings with stems; --held-out {held_out} leaves none to train on"
        )
    return _Material(
        training=songs[:-held_out],
        held_out=songs[-held_out:],
        trained_on=f"{len(songs) - held_out} recordings of one's own",
        measured_on=f"{held_out} recordings of one's own that were held back",
    )


def weights_of(name: str, repo: Path) -> dict[str, Tensor]:
    """The weights of a published separator of this shape, in float32; digests are checked."""
    folder = open_folder(name, repo)
    if len(folder.paths) != 1 or not folder.safetensors:
        raise click.UsageError(f"{name!r} is not one net of `sonichaos-train separator`; name one that it has written")
    return {key: value.float() for key, value in load_file(str(folder.paths[0])).items()}


def _songs(seeds: range, song_s: float, folder: Path, processes: int) -> list[StoredSong]:
    made = cached_songs(seeds, song_s, folder, processes=processes)
    with click.progressbar(made, length=len(seeds), label="songs") as songs:
        return list(songs)


def _held(song: StoredSong, device: str) -> Tensor:
    """Its stems, int16 ``(4, 2, T)``: mapped from disk for a CPU, in the memory of a GPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nobody writes
        return torch.from_numpy(song.stems).to(device)


def _train(task: SeparatorTask, work: Path, spec: LoopSpec) -> Outcome:
    columns = (TextColumn(task.name), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as bar:
        shown = bar.add_task("", total=1.0)
        outcome = train(
            task,
            work,
            spec,
            device=task.device,
            progress=lambda share, line: bar.update(shown, completed=share, description=line),
        )
    log.info("trained: %s", json.dumps({"steps": outcome.steps, "seconds": outcome.seconds}))
    return outcome
