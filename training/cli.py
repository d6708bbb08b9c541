"""`sonichaos-train`: fill the cache, train each net, export a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import click
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from render_service.renderers.latent_diffusion.denoiser import Denoiser
from render_service.renderers.latent_diffusion.text_encoder import TextEncoder, packaged_folder
from render_service.renderers.load import load_latent_diffusion, weights_folder
from training.autoencoder import (
    DECODER_NOISE,
    AutoencoderTask,
    decoder_alone,
    fit_bands,
    fit_components,
    reconstruction_error_db,
)
from training.begin import CannotBeginError, begin
from training.corpus_command import corpus
from training.denoiser import DenoiserTask, Target
from training.distil import Strengths, guided_by
from training.evaluation.command import evaluate
from training.export import export as export_checkpoint
from training.features import read_all
from training.loop import LoopSpec, Task, train
from training.persona import PersonaTask
from training.persona_export import export_personas
from training.separator.command import separator
from training.vocoder import VocoderTask
from training.workshop import DECODER_RUN, GUIDED_RUN, Workshop

_HELD_BACK_SONGS = 4  # the last of the cache, for the figures that a run logs


@click.group()
@click.option("--log-file", type=click.Path(path_type=Path), help="Also write the log here.")
def main(log_file: Path | None) -> None:
    """Train the renderer's nets and the starter separator. Each command goes on from where it was stopped."""
    handlers: list[logging.Handler] = [logging.FileHandler(log_file)] if log_file else [logging.NullHandler()]
    logging.basicConfig(level=logging.INFO, handlers=handlers, format="%(asctime)s %(name)s %(message)s")


main.add_command(corpus)
main.add_command(separator)
main.add_command(evaluate)


@main.command("begin")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder without runs.")
@click.option("--renderer", default="starter", show_default=True, help="'starter' or a checkpoint folder.")
def begin_from(work: Path, renderer: str) -> None:
    """Let the runs of a work folder begin from the weights of a checkpoint."""
    try:
        names = begin(Workshop(folder=work), weights_folder(renderer))
    except CannotBeginError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"{', '.join(names)} begin from {renderer}")


def _training_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder."),
        click.option("--budget-s", type=float, required=True, help="Wall time to train, over all runs of this net."),
        click.option("--learning-rate", type=float, default=1e-3, show_default=True),
        click.option("--seed", type=int, default=0, show_default=True),
        click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True),
        click.option("--threads", type=int, default=None, help="CPU threads; default: all cores."),
        click.option("--songs", type=int, default=None, help="Use only the first so many songs of the cache."),
    ):
        command = option(command)
    return command


def _prepare(work: Path, device: str, threads: int | None, seed: int) -> Workshop:
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    return Workshop(folder=work, device=torch.device(device))


def _run(workshop: Workshop, task: Task, spec: LoopSpec) -> None:
    columns = (TextColumn(task.name), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as bar:
        shown = bar.add_task("", total=1.0)
        outcome = train(
            task,
            workshop.folder,
            spec,
            device=workshop.device,
            progress=lambda share, line: bar.update(shown, completed=share, description=line),
        )
    click.echo(f"{outcome.task}: {outcome.steps} steps in {outcome.seconds} s, loss {outcome.loss:.4f}")


@main.command()
@_training_options
def autoencoder(
    *, work: Path, budget_s: float, learning_rate: float, seed: int, device: str, threads: int | None, songs: int | None
) -> None:
    """Band statistics, principal components, then the convolutions."""
    workshop = _prepare(work, device, threads, seed)
    data = read_all(workshop.songs, limit=songs)
    net, front_end = workshop.autoencoder(), workshop.front_end()
    if not workshop.has_begun("autoencoder"):
        fit_bands(front_end, data)
        workshop.keep_front_end(front_end)
        fit_components(net, front_end, data)
        click.echo(
            f"principal components alone: {reconstruction_error_db(net, front_end, data[-_HELD_BACK_SONGS:]):.2f} dB"
        )
    task = AutoencoderTask(net.to(workshop.device), front_end.to(workshop.device), data[:-_HELD_BACK_SONGS])
    _run(workshop, task, LoopSpec(budget_s=budget_s, seed=seed, learning_rate=learning_rate))
    net, front_end = net.cpu(), front_end.cpu()
    click.echo(f"held back: {reconstruction_error_db(net, front_end, data[-_HELD_BACK_SONGS:]):.2f} dB")


@main.command()
@_training_options
def decoder(
    *, work: Path, budget_s: float, learning_rate: float, seed: int, device: str, threads: int | None, songs: int | None
) -> None:
    """Train the autoencoder's decoder on, latents held as they are."""
    workshop = _prepare(work, device, threads, seed)
    data = read_all(workshop.songs, limit=songs)
    net, front_end = decoder_alone(workshop.autoencoder()), workshop.front_end()
    task = AutoencoderTask(
        net.to(workshop.device),
        front_end.to(workshop.device),
        data[:-_HELD_BACK_SONGS],
        batch=12,
        crop_frames=128,
        noise=DECODER_NOISE,
        name=DECODER_RUN,
    )
    _run(workshop, task, LoopSpec(budget_s=budget_s, seed=seed, learning_rate=learning_rate))
    click.echo(f"held back: {reconstruction_error_db(net.cpu(), front_end.cpu(), data[-_HELD_BACK_SONGS:]):.2f} dB")


@main.command()
@_training_options
def persona(
    *, work: Path, budget_s: float, learning_rate: float, seed: int, device: str, threads: int | None, songs: int | None
) -> None:
    """The persona encoder, on pairs of songs by one persona."""
    workshop = _prepare(work, device, threads, seed)
    data = read_all(workshop.songs, with_audio=True, limit=songs)
    task = PersonaTask(workshop.persona_encoder().to(workshop.device), workshop.front_end().to(workshop.device), data)
    _run(workshop, task, LoopSpec(budget_s=budget_s, seed=seed, learning_rate=learning_rate))


@main.command()
@_training_options
def denoiser(
    *, work: Path, budget_s: float, learning_rate: float, seed: int, device: str, threads: int | None, songs: int | None
) -> None:
    """The latent denoiser; wants a trained autoencoder and persona encoder."""
    workshop = _prepare(work, device, threads, seed)
    task = _denoiser_task(workshop, workshop.teacher(), songs)
    _run(workshop, task, LoopSpec(budget_s=budget_s, seed=seed, learning_rate=learning_rate))


@main.command()
@_training_options
@click.option("--words", type=float, default=4.5, show_default=True, help="Strength of guidance towards the words.")
@click.option("--persona", type=float, default=1.0, show_default=True, help="Strength towards persona and prefix.")
def distil(
    *,
    work: Path,
    budget_s: float,
    learning_rate: float,
    seed: int,
    device: str,
    threads: int | None,
    songs: int | None,
    words: float,
    persona: float,
) -> None:
    """The denoiser learns its own guidance, so that takes need none; wants a trained denoiser."""
    workshop = _prepare(work, device, threads, seed)
    target = guided_by(workshop.teacher().to(workshop.device), Strengths(words=words, persona=persona))
    task = _denoiser_task(workshop, workshop.denoiser(), songs, target=target, name=GUIDED_RUN)
    _run(workshop, task, LoopSpec(budget_s=budget_s, seed=seed, learning_rate=learning_rate))


def _denoiser_task(
    workshop: Workshop, net: Denoiser, songs: int | None, *, target: Target | None = None, name: str = "denoiser"
) -> DenoiserTask:
    return DenoiserTask(
        net.to(workshop.device),
        workshop.front_end(),
        workshop.autoencoder().eval(),
        encoder=workshop.persona_encoder().eval(),
        text=TextEncoder(packaged_folder()),
        songs=read_all(workshop.songs, with_audio=True, limit=songs),
        device=workshop.device,
        target=target,
        name=name,
    )


@main.command()
@_training_options
def vocoder(
    *, work: Path, budget_s: float, learning_rate: float, seed: int, device: str, threads: int | None, songs: int | None
) -> None:
    """The magnitude refiner; wants a trained autoencoder."""
    workshop = _prepare(work, device, threads, seed)
    task = VocoderTask(
        workshop.vocoder().to(workshop.device),
        workshop.front_end().to(workshop.device),
        workshop.autoencoder().eval().to(workshop.device),
        read_all(workshop.songs, with_audio=True, limit=songs),
    )
    _run(workshop, task, LoopSpec(budget_s=budget_s, seed=seed, learning_rate=learning_rate))


@main.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder of the checkpoint.")
@click.option("--name", default="starter", show_default=True)
@click.option("--licence", default="Apache-2.0", show_default=True)
@click.option("--results", type=click.Path(path_type=Path, exists=True), help="Table of `evaluate`, for the card.")
@click.option("--refined/--plain", default=True, help="Vocoder: with the trained refiner, or the pseudo-inverse alone.")
def export(work: Path, to: Path, name: str, licence: str, results: Path | None, *, refined: bool) -> None:
    """Write the averaged weights as a checkpoint, with its card."""
    table = results.read_text(encoding="utf-8") if results else ""
    torch.manual_seed(0)
    config = export_checkpoint(Workshop(folder=work), to, name=name, licence=licence, refined=refined, results=table)
    for role, file in config.files.items():
        click.echo(f"{role}: {file.parameters} parameters, {file.sha256}")


@main.command("export-personas")
@click.option("--renderer", default="starter", show_default=True, help="'starter' or a checkpoint folder.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder of the built-in personas.")
@click.option("--keep-clips", is_flag=True, help="Keep clips that are there; compute embeddings anew.")
def export_built_in(renderer: str, to: Path, *, keep_clips: bool) -> None:
    """Write the built-in personas: clips, embeddings, prefixes."""
    for name in export_personas(load_latent_diffusion(renderer, device="cpu"), to, keep_clips=keep_clips):
        click.echo(name)
