"""Exports a work folder as a checkpoint: weights, configuration, model card and data sheet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import safe_open

from render_service.renderers.latent_diffusion.checkpoint import (
    CheckpointConfig,
    TextEncoderRef,
    load,
    save,
    sha256_of,
)
from render_service.renderers.latent_diffusion.flow import WindowSpec
from render_service.renderers.latent_diffusion.habits_head import HabitsHead
from render_service.renderers.latent_diffusion.partial_shares import PartialShares
from render_service.renderers.latent_diffusion.text_encoder import packaged_folder
from render_service.renderers.latent_diffusion.vocoder import MagnitudeRefiner
from training.work_folder import DECODER_RUN, GUIDED_RUN, WorkFolder

# Measured in docs/decisions/0018-starter-weights.md.
DEFAULT_STEPS = 8  # 12 were no better from noise of this scale
DEFAULT_GUIDANCE = 1.0  # more follows the words but loses grid, harmony and persona
NOISE_SCALE = 1.0  # less gives the mean of all songs: smoother, and without notes
_UNUSED_WIDTH = 8  # of an unused refiner: the format requires one, a small one keeps the file small
_CARD = """# {name}

Weights of the latent diffusion renderer, trained on the procedural corpus in `training/corpus` by the code in `training/`.
Licence: {licence}. Format: `render_service/renderers/latent_diffusion/checkpoint.py`.

Small networks conditioned on tempo, harmony, persona and the words of a prompt; `sonichaos-train evaluate` measures how well they
follow each. They do not replace a model trained on recordings. The voice sings syllables, never words.

Corpus: songs {first_song} to {last_song} ({songs} songs, {hours:.2f} h, {denoiser_hours:.2f} h of them for the denoiser), each
composed from its number as seed; instruments from FluidR3_GM (MIT). It contains no recording of a person.

Vocoder: {vocoder}. Takes: {steps} steps, guidance {guidance:g}, from noise of standard deviation {noise:g}.{origin}

{results}
| net | parameters | steps | seconds | loss | hardware |
| --- | --- | --- | --- | --- | --- |
{rows}
"""


def export(
    work_folder: WorkFolder, folder: Path, *, name: str, licence: str, refined: bool, results: str
) -> CheckpointConfig:
    """Write the checkpoint with the averaged weights, MODEL_CARD.md and data_sheet.json.

    ``refined``: whether takes use the trained magnitude refiner instead of the pseudo-inverse alone.
    ``results``: a Markdown table for the model card, may be empty.
    """
    nets, configs = work_folder.nets(), work_folder.configs
    vocoder = configs.vocoder if refined else replace(configs.vocoder, refined=False, width=_UNUSED_WIDTH, blocks=1)
    if not refined:
        nets = replace(nets, vocoder=MagnitudeRefiner(vocoder))
    text = packaged_folder() / "model.safetensors"
    config = CheckpointConfig(
        name=name,
        licence=licence,
        front_end_id=configs.front_end.id,
        default_steps=DEFAULT_STEPS,
        default_guidance=DEFAULT_GUIDANCE,
        noise_scale=NOISE_SCALE,
        front_end=configs.front_end,
        windows=WindowSpec(),
        autoencoder=configs.autoencoder,
        denoiser=configs.denoiser,
        vocoder=vocoder,
        persona_encoder=configs.persona_encoder,
        habits=nets.habits.config if nets.habits is not None else None,
        partials=nets.partials.config if nets.partials is not None else None,
        text_encoder=TextEncoderRef(name="all-MiniLM-L6-v2", sha256=sha256_of(text)),
        files={},
    )
    stored = save(folder, config, nets)
    sheet = _data_sheet(work_folder)
    (folder / "data_sheet.json").write_text(json.dumps(sheet, indent=2) + "\n", encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(_card(stored, sheet, results), encoding="utf-8")
    return stored


def add_habits(folder: Path, head: HabitsHead) -> CheckpointConfig:
    """Write a habits head into a checkpoint, whose other files stay. It must be fitted to its persona encoder's vectors."""
    config, nets = load(folder)
    return save(folder, replace(config, habits=head.config), replace(nets, habits=head))


def add_partials(folder: Path, net: PartialShares) -> CheckpointConfig:
    """Write the net of partial shares into a checkpoint, whose other files stay."""
    config, nets = load(folder)
    return save(folder, replace(config, partials=net.config), replace(nets, partials=net))


def _data_sheet(work_folder: WorkFolder) -> dict[str, object]:
    """``songs`` and ``hours`` count each song once, with its audio or as latents; the denoiser trains on the latter."""
    spec = work_folder.configs.front_end
    latent_s = spec.latent_samples / spec.sample_rate_hz
    seconds = {path.stem: _frames(path, "controls") * latent_s for path in work_folder.songs.glob("*.safetensors")}
    latents = {path.stem: _frames(path, "latents") * latent_s for path in work_folder.latents.glob("*.safetensors")}
    numbers = [int(stem) for stem in seconds | latents]
    return {
        "songs": len(numbers),
        "first_song": min(numbers),
        "last_song": max(numbers),
        "hours": round(sum((seconds | latents).values()) / 3600.0, 2),
        "denoiser_hours": round(sum(latents.values()) / 3600.0, 2),
        "began_from": work_folder.origin(),
        "runs": work_folder.outcomes(),
    }


def _frames(path: Path, tensor: str) -> int:
    """Number of latent frames of a cached song, from the file's header."""
    with safe_open(str(path), framework="numpy") as file:
        return int(file.get_slice(tensor).get_shape()[-1])


def _card(config: CheckpointConfig, sheet: dict[str, object], results: str) -> str:
    runs = sheet["runs"]
    outcomes = runs if isinstance(runs, dict) else {}
    rows = [
        _row(role, str(file.parameters), outcomes.get(_RUN_OF.get(role, role)))
        for role, file in config.files.items()
        if role != "vocoder" or config.vocoder.refined
    ]
    rows += [_row(what, "", outcomes[name]) for name, what in _LATER_RUNS.items() if name in outcomes]
    vocoder = _REFINED if config.vocoder.refined else _PLAIN
    corpus = {name: sheet[name] for name in ("songs", "first_song", "last_song", "hours", "denoiser_hours")}
    origin = sheet["began_from"]
    started_from = (
        f" Runs started from the weights of `{origin['checkpoint']}`; steps and seconds count from there."
        if isinstance(origin, dict)
        else ""
    )
    return _CARD.format(
        steps=config.default_steps,
        guidance=config.default_guidance,
        noise=config.noise_scale,
        origin=started_from,
        name=config.name,
        licence=config.licence,
        vocoder=vocoder,
        results=results,
        rows="\n".join(rows),
        **corpus,
    )


_REFINED = "magnitudes refined by a net, then phase recovery"
_PLAIN = "pseudo-inverse of the filterbank, then phase recovery; the net in vocoder.safetensors is empty and not used"


def _row(name: str, parameters: str, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"| {name} | {parameters} | - | - | - | - |"
    hardware = f"{run['device']}, {run['threads']} thread(s)"
    return f"| {name} | {parameters} | {run['steps']} | {run['seconds']} | {run['loss']:.4f} | {hardware} |"


_LATER_RUNS = {DECODER_RUN: "then the autoencoder's decoder alone", GUIDED_RUN: "then the denoiser, guidance distilled"}
_RUN_OF = {"persona": "persona_encoder"}
