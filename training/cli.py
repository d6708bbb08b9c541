"""`sonichaos-train`: fill the cache, train each net, export a checkpoint."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec

import click
import torch

from render_service.renderers.latent_diffusion.denoiser import Denoiser
from render_service.renderers.load import load_latent_diffusion, weights_folder
from training.autoencoder import (
    DECODER_NOISE,
    AutoencoderTask,
    fit_bands,
    fit_components,
    freeze_all_but_decoder,
    reconstruction_error_db,
)
from training.corpus_command import corpus
from training.denoiser import FRAMES_PER_STEP, DenoiserTask, Target, crop_shapes
from training.distil import GuidanceStrengths, guided_target
from training.evaluation.command import evaluate
from training.export import export as export_checkpoint
from training.features import read_all
from training.habits_command import habits
from training.initialise import InitialisationError, initialise
from training.latents import LatentFolder
from training.latents_command import latents
from training.loop import LoopSpec, Task
from training.partials_command import partials
from training.persona import PersonaTask
from training.persona_export import export_personas
from training.progress import train_with_progress
from training.separator.command import separator
from training.vocoder import VocoderTask
from training.work_folder import DECODER_RUN, GUIDED_RUN, WorkFolder

_HELD_OUT_SONGS = 4  # the last of the cache; the reported reconstruction error is measured on them

P = ParamSpec("P")


@click.group()
@click.option("--log-file", type=click.Path(path_type=Path), help="Also write the log to this file.")
def main(log_file: Path | None) -> None:
    """Train the renderer's nets and the starter separator. An interrupted command resumes when it is run again."""
    handlers: list[logging.Handler] = [logging.FileHandler(log_file)] if log_file else [logging.NullHandler()]
    logging.basicConfig(level=logging.INFO, handlers=handlers, format="%(asctime)s %(name)s %(message)s")


main.add_command(corpus)
main.add_command(latents)
main.add_command(separator)
main.add_command(evaluate)
main.add_command(habits)
main.add_command(partials)


@main.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder without runs.")
@click.option("--renderer", default="starter", show_default=True, help="'starter' or a checkpoint folder.")
def init(work: Path, renderer: str) -> None:
    """Initialise a work folder with the weights of a checkpoint, to fine-tune them."""
    try:
        names = initialise(WorkFolder(path=work), weights_folder(renderer))
    except InitialisationError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"initialised from {renderer}: {', '.join(names)}")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options that all training commands have in common; ``songs`` limits how many of the cache are used."""

    work: Path
    budget_s: float
    learning_rate: float
    seed: int
    device: str
    threads: int | None
    songs: int | None
    steps: int

    def open_work_folder(self) -> WorkFolder:
        """The work folder, after torch's threads and seed are set."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        torch.manual_seed(self.seed)
        return WorkFolder(path=self.work, device=torch.device(self.device))

    def train(self, work_folder: WorkFolder, task: Task) -> None:
        """Train within the budget and print the outcome."""
        spec = LoopSpec(budget_s=self.budget_s, seed=self.seed, learning_rate=self.learning_rate, max_steps=self.steps)
        outcome = train_with_progress(task, work_folder.path, spec, device=work_folder.device)
        click.echo(f"{outcome.task}: {outcome.steps} steps in {outcome.seconds} s, loss {outcome.loss:.4f}")


def _training_options(command: Callable[Concatenate[TrainingOptions, P], None]) -> Callable[..., None]:
    """Declare the common options and pass them to the command as one value."""

    @functools.wraps(command)
    def with_options(  # noqa: PLR0917 - click passes each option by name
        work: Path,
        budget_s: float,
        learning_rate: float,
        seed: int,
        device: str,
        threads: int | None,
        songs: int | None,
        steps: int,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        options = TrainingOptions(
            work=work,
            budget_s=budget_s,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            threads=threads,
            songs=songs,
            steps=steps,
        )
        command(options, *args, **kwargs)

    declared: Callable[..., None] = with_options
    for option in reversed(  # the last decorator is the first option of --help
        (
            click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder."),
            click.option("--budget-s", type=float, required=True, help="Seconds to train, over all runs of this net."),
            click.option("--learning-rate", type=float, default=1e-3, show_default=True),
            click.option("--seed", type=int, default=0, show_default=True),
            click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True),
            click.option("--threads", type=int, default=None, help="CPU threads; default: all cores."),
            click.option(
                "--songs", type=int, default=None, help="Use only this many songs of the cache; default: all."
            ),
            click.option(
                "--steps",
                type=click.IntRange(1),
                default=1_000_000,
                show_default=True,
                help="Stop after this many steps, if the seconds last so long.",
            ),
        )
    ):
        declared = option(declared)
    return declared


@main.command()
@_training_options
def autoencoder(options: TrainingOptions) -> None:
    """Compute band statistics and principal components, then train the autoencoder's convolutions."""
    work_folder = options.open_work_folder()
    songs = read_all(work_folder.songs, limit=options.songs)
    training, held_out = songs[:-_HELD_OUT_SONGS], songs[-_HELD_OUT_SONGS:]
    net, front_end = work_folder.autoencoder(), work_folder.front_end()
    if not work_folder.has_weights("autoencoder"):
        fit_bands(front_end, songs)
        work_folder.save_front_end(front_end)
        fit_components(net, front_end, songs)
        click.echo(f"principal components alone: {reconstruction_error_db(net, front_end, held_out):.2f} dB")
    options.train(work_folder, AutoencoderTask(net.to(work_folder.device), front_end.to(work_folder.device), training))
    click.echo(f"held-out songs: {reconstruction_error_db(net.cpu(), front_end.cpu(), held_out):.2f} dB")


@main.command()
@_training_options
def decoder(options: TrainingOptions) -> None:
    """Train the autoencoder's decoder alone, with fixed latents."""
    work_folder = options.open_work_folder()
    songs = read_all(work_folder.songs, limit=options.songs)
    net, front_end = freeze_all_but_decoder(work_folder.autoencoder()), work_folder.front_end()
    task = AutoencoderTask(
        net.to(work_folder.device),
        front_end.to(work_folder.device),
        songs[:-_HELD_OUT_SONGS],
        batch=12,
        crop_frames=128,
        noise=DECODER_NOISE,
        name=DECODER_RUN,
    )
    options.train(work_folder, task)
    error_db = reconstruction_error_db(net.cpu(), front_end.cpu(), songs[-_HELD_OUT_SONGS:])
    click.echo(f"held-out songs: {error_db:.2f} dB")


@main.command()
@_training_options
def persona(options: TrainingOptions) -> None:
    """Train the persona encoder on pairs of songs by one persona."""
    work_folder = options.open_work_folder()
    songs = read_all(work_folder.songs, with_audio=True, limit=options.songs)
    net, front_end = work_folder.persona_encoder(), work_folder.front_end()
    options.train(work_folder, PersonaTask(net.to(work_folder.device), front_end.to(work_folder.device), songs))


_frames_option = click.option(
    "--frames-per-step",
    type=click.IntRange(72),
    default=FRAMES_PER_STEP,
    show_default=True,
    help="Latent frames in a batch, 21.5 a second; a GPU is busy from about 16000 on.",
)


@main.command()
@_training_options
@_frames_option
def denoiser(options: TrainingOptions, *, frames_per_step: int) -> None:
    """Train the latent denoiser on the songs of `latents`; those that are added meanwhile are used too."""
    work_folder = options.open_work_folder()
    options.train(work_folder, _denoiser_task(work_folder, work_folder.teacher(), options.songs, frames_per_step))


@main.command()
@_training_options
@click.option(
    "--text-guidance", type=float, default=4.5, show_default=True, help="Strength of the guidance by the prompt."
)
@click.option(
    "--persona-guidance",
    type=float,
    default=1.0,
    show_default=True,
    help="Strength of the guidance by persona and prefix.",
)
@click.option(
    "--score-guidance", type=float, default=1.7, show_default=True, help="Strength of the guidance by the score."
)
@_frames_option
def distil(
    options: TrainingOptions,
    *,
    text_guidance: float,
    persona_guidance: float,
    score_guidance: float,
    frames_per_step: int,
) -> None:
    """Distil guidance into the denoiser, so that takes need none; requires a trained denoiser."""
    work_folder = options.open_work_folder()
    strengths = GuidanceStrengths(text=text_guidance, persona=persona_guidance, score=score_guidance)
    target = guided_target(work_folder.teacher().to(work_folder.device), strengths)
    task = _denoiser_task(
        work_folder, work_folder.denoiser(), options.songs, frames_per_step, target=target, name=GUIDED_RUN
    )
    options.train(work_folder, task)


def _denoiser_task(
    work_folder: WorkFolder,
    net: Denoiser,
    songs: int | None,
    frames_per_step: int,
    *,
    target: Target | None = None,
    name: str = "denoiser",
) -> DenoiserTask:
    folder = LatentFolder(work_folder.latents, limit=songs)
    return DenoiserTask(
        net.to(work_folder.device),
        folder.songs(),
        new_songs=folder.new_songs,
        crops=crop_shapes(frames_per_step),
        latent_deviation=work_folder.autoencoder().latent_deviation,
        device=work_folder.device,
        target=target,
        name=name,
    )


@main.command()
@_training_options
def vocoder(options: TrainingOptions) -> None:
    """Train the magnitude refiner; requires a trained autoencoder."""
    work_folder = options.open_work_folder()
    task = VocoderTask(
        work_folder.vocoder().to(work_folder.device),
        work_folder.front_end().to(work_folder.device),
        work_folder.autoencoder().eval().to(work_folder.device),
        read_all(work_folder.songs, with_audio=True, limit=options.songs),
    )
    options.train(work_folder, task)


@main.command()
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Work folder.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder to write the checkpoint to.")
@click.option("--name", default="starter", show_default=True, help="Name of the checkpoint.")
@click.option("--licence", default="Apache-2.0", show_default=True, help="Licence of the weights, for the model card.")
@click.option(
    "--results", type=click.Path(path_type=Path, exists=True), help="File with a table of results for the model card."
)
@click.option(
    "--refined/--plain", default=True, help="Vocoder with the trained refiner, or with the pseudo-inverse alone."
)
def export(work: Path, to: Path, name: str, licence: str, results: Path | None, *, refined: bool) -> None:
    """Write the averaged weights as a checkpoint with a model card."""
    table = results.read_text(encoding="utf-8") if results else ""
    torch.manual_seed(0)
    config = export_checkpoint(WorkFolder(path=work), to, name=name, licence=licence, refined=refined, results=table)
    for role, file in config.files.items():
        click.echo(f"{role}: {file.parameters} parameters, {file.sha256}")


@main.command("export-personas")
@click.option("--renderer", default="starter", show_default=True, help="'starter' or a checkpoint folder.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder of the built-in personas.")
@click.option("--keep-clips", is_flag=True, help="Leave existing clips as they are and only recompute embeddings.")
def export_built_in(renderer: str, to: Path, *, keep_clips: bool) -> None:
    """Write the built-in personas: clips, embeddings and prefixes."""
    for name in export_personas(load_latent_diffusion(renderer, device="cpu"), to, keep_clips=keep_clips):
        click.echo(name)
