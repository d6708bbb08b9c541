"""`sonichaos-train separator`: train the starter separator, write it as a folder of weights, measure it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import torch
from safetensors.torch import load_file
from torch import Tensor

from render_service.renderers.latent_diffusion.checkpoint import ModelUnusable
from render_service.renderers.load import STARTER as STARTER_RENDERER
from render_service.renderers.load import weights_folder
from separation_service.engine import EngineOptions, Separator, load_separator
from separation_service.engine.weights_folder import STARTER, STARTER_FOLDER, open_folder
from training.corpus.store import StoredSong
from training.loop import LoopSpec, load_average
from training.progress import train_with_progress
from training.recordings import RecordingError
from training.separator.crops import CropSource
from training.separator.data import (
    ComposedSongs,
    DataError,
    SongSet,
    TrainingData,
    recordings,
    with_renderer_sound,
)
from training.separator.measure import FigureTable, measure
from training.separator.net import build
from training.separator.publish import publish, write_card
from training.separator.renderer_sound import RendererSound
from training.separator.task import SeparatorTask


@click.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder for songs and state.")
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
@click.option(
    "--solo-share",
    type=click.FloatRange(0.0, 1.0),
    default=0.15,
    show_default=True,
    help="Number of further songs in which a loud solo replaces the voice, as a share of --songs.",
)
@click.option(
    "--renderer",
    default=STARTER_RENDERER,
    show_default=True,
    help="Renderer whose sound takes have: 'starter', or a checkpoint folder.",
)
@click.option(
    "--renderer-share",
    type=click.FloatRange(0.0, 1.0),
    default=0.3,
    show_default=True,
    help="Share of the songs, and of the crops, in the renderer's sound; 0 for none.",
)
@click.option("--song-s", type=float, default=24.0, show_default=True, help="Length of a song in seconds.")
@click.option("--batch", type=click.IntRange(1), default=2, show_default=True, help="Crops of 2.6 s per step.")
@click.option(
    "--init-from", default=None, help="Weights to start from: 'starter', or the name of a separator in --out."
)
@click.option(
    "--recordings",
    "recordings_folder",
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
    solo_share: float,
    renderer: str,
    renderer_share: float,
    song_s: float,
    batch: int,
    init_from: str | None,
    recordings_folder: Path | None,
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
    data = _load_data(
        ComposedSongs(
            first=first_song,
            songs=songs,
            solos=round(songs * solo_share),
            held_out=held_out,
            seconds=song_s,
            work=work,
            processes=processes,
        ),
        recordings_folder,
        renderer if renderer_share > 0.0 else None,
        renderer_share,
        torch.device(device),
    )
    options = EngineOptions(compiled=False)  # compiling takes longer than measuring a few songs
    net = build(seed)
    before: list[FigureTable] = []
    if init_from is not None:
        net.load_state_dict(weights_of(init_from, out))
        started_from = load_separator(init_from, repo=out, device=device, threads=threads, options=options)
        before = _measure(started_from, data.held_out)
    crops = CropSource(
        songs=[_stems_on(device, song) for song in data.songs],
        rendered=[_stems_on(device, song) for song in data.rendered],
        rendered_share=renderer_share,
        device=torch.device(device),
    )
    task = SeparatorTask(net=net.to(device), crops=crops, batch=batch)
    spec = LoopSpec(budget_s=budget_s, seed=seed, learning_rate=learning_rate, ema_decay=0.99)
    outcome = train_with_progress(task, work, spec, device=crops.device)
    load_average(task.net, work / "separator.pt")
    publish(task.net, name, out)
    loaded = load_separator(name, repo=out, device=device, threads=threads, options=options)
    measured = _measure(loaded, data.held_out)
    write_card(
        out,
        parameters=loaded.info.parameters,
        outcome=outcome,
        trained_on=data.trained_on,
        init_from=init_from,
        measured=measured,
        before=before,
    )
    for table in measured:
        click.echo(f"{table.title}:")
        for row in table.rows:
            figures = (
                [] if row.songs == 0 else [f"SI-SDR {row.si_sdr_db:.2f} dB, mixture {row.mixture_si_sdr_db:.2f} dB"]
            )
            figures += [] if row.leakage_db is None else [f"leakage {row.leakage_db:.1f} dB"]
            click.echo(f"{row.stem}: {', '.join(figures)}, {row.songs} songs")


def _load_data(
    composed: ComposedSongs, recordings_folder: Path | None, renderer: str | None, share: float, device: torch.device
) -> TrainingData:
    """``renderer`` is ``None`` to train without its sound."""
    try:
        if recordings_folder is None:
            data = composed.load(_with_progress)
        else:
            data = recordings(recordings_folder, held_out=composed.held_out, cache=composed.work / "own")
        if renderer is None:
            return data
        sound = RendererSound(weights_folder(renderer), composed.work / "renderer_sound", device=device)
    except (DataError, RecordingError, ModelUnusable) as error:
        raise click.UsageError(str(error)) from error
    return with_renderer_sound(data, sound, share, _with_progress)


def _with_progress(songs: Iterable[StoredSong], count: int, label: str) -> Iterator[StoredSong]:
    with click.progressbar(songs, length=count, label=label) as shown:
        yield from shown


def _measure(separator: Separator, sets: Iterable[SongSet]) -> list[FigureTable]:
    return [FigureTable(title=one.title, rows=measure(separator, one.songs)) for one in sets]


def weights_of(name: str, repo: Path) -> dict[str, Tensor]:
    """Float32 weights of a separator that this command wrote; digests are checked."""
    folder = open_folder(name, repo)
    if len(folder.paths) != 1 or not folder.safetensors:
        raise click.UsageError(
            f"{name!r} must be a separator written by `sonichaos-train separator`, a single net in safetensors"
        )
    return {key: value.float() for key, value in load_file(str(folder.paths[0])).items()}


def _stems_on(device: str, song: StoredSong) -> Tensor:
    """Stems of a song, int16 ``(4, 2, T)``: memory-mapped for a CPU, in the memory of a GPU."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # the stems are only read
        return torch.from_numpy(song.stems).to(device)
