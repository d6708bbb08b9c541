"""`sonichaos-train separator`: train the starter separator, write it as a folder of weights, measure it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from safetensors.torch import load_file
from torch import Tensor

from separation_service.engine import EngineOptions, load_separator
from separation_service.engine.weights_folder import STARTER, STARTER_FOLDER, open_folder
from training.corpus.store import StoredSong, cached_songs
from training.loop import LoopSpec, load_average
from training.progress import train_with_progress
from training.recordings import RecordingError, recorded_stems
from training.separator.measure import measure
from training.separator.net import build
from training.separator.publish import publish, write_card
from training.separator.task import SeparatorTask

HELD_OUT_FIRST_SEED = 1_000_000


@click.command()
@click.option(
    "--work", type=click.Path(path_type=Path), required=True, help="Work folder; the songs go to its folder songs/."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write the weights to; the --separator-repo of `sonichaos up`.",
)
@click.option("--name", default="own", show_default=True, help="Name of the separator in that folder.")
@click.option("--budget-s", type=float, required=True, help="Seconds to train, over all runs.")
@click.option("--songs", type=click.IntRange(1), default=48, show_default=True, help="Number of songs to train on.")
@click.option(
    "--held-out", type=click.IntRange(1), default=8, show_default=True, help="Number of other songs to measure on."
)
@click.option("--song-s", type=float, default=24.0, show_default=True, help="Length of a song in seconds.")
@click.option("--batch", type=click.IntRange(1), default=2, show_default=True, help="Crops of 2.6 s per step.")
@click.option(
    "--init-from", default=None, help="Weights to start from: 'starter', or the name of a separator in --out."
)
@click.option(
    "--recordings",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Use the stems of the recordings in this folder instead of composed songs.",
)
@click.option("--first-song", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first song.")
@click.option("--learning-rate", type=float, default=1e-3, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that compose songs, 300 MB each.",
)
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
    init_from: str | None,
    recordings: Path | None,
    first_song: int,
    learning_rate: float,
    seed: int,
    device: str,
    threads: int,
    processes: int,
) -> None:
    """Train the starter separator and measure it on held-out songs. Resumes an interrupted run."""
    if name == STARTER and out.resolve() != STARTER_FOLDER:
        raise click.UsageError(
            f"the name {STARTER!r} is reserved for the weights in {STARTER_FOLDER}; use another --name, or that folder as --out"
        )
    torch.set_num_threads(threads)
    data = (
        _corpus_data(first_song, songs, held_out=held_out, song_s=song_s, work=work, processes=processes)
        if recordings is None
        else _recording_data(recordings, held_out, work / "own")
    )
    net = build(seed)
    if init_from is not None:
        net.load_state_dict(weights_of(init_from, out))
    task = SeparatorTask(
        net=net.to(device),
        stems=[_stems_on(device, song) for song in data.training],
        batch=batch,
        device=torch.device(device),
    )
    spec = LoopSpec(budget_s=budget_s, seed=seed, learning_rate=learning_rate, ema_decay=0.99)
    outcome = train_with_progress(task, work, spec, device=task.device)
    load_average(task.net, work / "separator.pt")
    publish(task.net, name, out)
    options = EngineOptions(compiled=False)  # compiling takes longer than measuring a few songs
    loaded = load_separator(name, repo=out, device=device, threads=threads, options=options)
    figures = measure(loaded, data.held_out)
    write_card(
        out,
        parameters=loaded.info.parameters,
        outcome=outcome,
        trained_on=data.trained_on,
        measured_on=data.measured_on,
        init_from=init_from,
        figures=figures,
    )
    for row in figures:
        click.echo(
            f"{row.stem}: SI-SDR {row.si_sdr_db:.2f} dB, mixture {row.mixture_si_sdr_db:.2f} dB, {row.songs} songs"
        )


@dataclass(frozen=True, kw_only=True)
class _TrainingData:
    """Songs to train on and others to measure on, and their descriptions for the model card."""

    training: list[StoredSong]
    held_out: list[StoredSong]
    trained_on: str
    measured_on: str


def _corpus_data(first: int, songs: int, *, held_out: int, song_s: float, work: Path, processes: int) -> _TrainingData:
    last, measured = first + songs - 1, HELD_OUT_FIRST_SEED + held_out
    if last >= HELD_OUT_FIRST_SEED:
        raise click.UsageError(
            f"training seeds must be below {HELD_OUT_FIRST_SEED}, got {first} to {last}; the others are held out"
        )
    return _TrainingData(
        training=_songs(range(first, first + songs), song_s, work / "songs", processes),
        held_out=_songs(range(HELD_OUT_FIRST_SEED, measured), song_s, work / "held_out", processes),
        trained_on=(
            "this project's procedural corpus only (soundfont FluidR3_GM, MIT, and an own formant voice): seeds"
            f"\n{first} to {last}, {song_s:g} s each"
        ),
        measured_on=f"held-out seeds {HELD_OUT_FIRST_SEED} to {measured - 1}, {song_s:g} s each",
    )


def _recording_data(folder: Path, held_out: int, cache: Path) -> _TrainingData:
    """Recordings in order of their names; the last ``held_out`` are measured on."""
    try:
        songs = list(recorded_stems(folder, cache))
    except RecordingError as error:
        raise click.UsageError(str(error)) from error
    if len(songs) <= held_out:
        raise click.UsageError(
            f"--held-out must be less than the number of recordings with stems, {len(songs)} in {folder}, got {held_out}"
        )
    return _TrainingData(
        training=songs[:-held_out],
        held_out=songs[-held_out:],
        trained_on=f"{len(songs) - held_out} recordings",
        measured_on=f"{held_out} held-out recordings",
    )


def weights_of(name: str, repo: Path) -> dict[str, Tensor]:
    """Float32 weights of a separator that this command wrote; digests are checked."""
    folder = open_folder(name, repo)
    if len(folder.paths) != 1 or not folder.safetensors:
        raise click.UsageError(
            f"{name!r} must be a separator written by `sonichaos-train separator`, a single net in safetensors"
        )
    return {key: value.float() for key, value in load_file(str(folder.paths[0])).items()}


def _songs(seeds: range, song_s: float, folder: Path, processes: int) -> list[StoredSong]:
    loading = cached_songs(seeds, song_s, folder, processes=processes)
    with click.progressbar(loading, length=len(seeds), label="songs") as songs:
        return list(songs)


def _stems_on(device: str, song: StoredSong) -> Tensor:
    """Stems of a song, int16 ``(4, 2, T)``: memory-mapped for a CPU, in the memory of a GPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # the stems are only read
        return torch.from_numpy(song.stems).to(device)
