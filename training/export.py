"""From a work folder to a checkpoint: weights, config, and a card that says what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from render_service.renderers.latent_diffusion.checkpoint import CheckpointConfig, TextEncoderRef, save, sha256_of
from render_service.renderers.latent_diffusion.flow import WindowSpec
from render_service.renderers.latent_diffusion.text_encoder import packaged_folder
from render_service.renderers.latent_diffusion.vocoder import MagnitudeRefiner
from training.workshop import DECODER_RUN, GUIDED_RUN, Workshop

DEFAULT_STEPS = 8  # 12 measured no better from calmed noise
DEFAULT_GUIDANCE = (
    1.0  # more follows the words but loses grid, harmony and persona: docs/decisions/0018-starter-weights.md
)
NOISE_SCALE = 0.5  # better than 1 on tempo, harmony and words: docs/decisions/0018-starter-weights.md
_UNUSED_WIDTH = 8  # of a refiner that is not used: the form wants one, the repository need not carry it
_CARD = """# {name}

Weights of the latent diffusion renderer, trained on the procedural corpus in `training/corpus` by the code in `training/`.
Licence: {licence}. Format: `render_service/renderers/latent_diffusion/checkpoint.py`.

Small networks conditioned on tempo, harmony, persona and the words of a prompt; `sonichaos-train evaluate` measures how well they
follow each. They do not replace a model trained on recordings. The voice sings syllables, never words.

Corpus: songs {first_song} to {last_song} ({songs} songs, {hours:.2f} h), each composed from its number as seed; instruments
from FluidR3_GM (MIT). It contains no recording of a person.

Vocoder: {vocoder}. Takes: {steps} steps, guidance {guidance:g}, from noise of standard deviation {noise:g}.{origin}

{results}
| net | parameters | steps | seconds | loss | hardware |
| --- | --- | --- | --- | --- | --- |
{rows}
"""


def export(
    workshop: Workshop, folder: Path, *, name: str, licence: str, refined: bool, results: str
) -> CheckpointConfig:
    """Write the checkpoint with the averaged weights, MODEL_CARD.md and data_sheet.json.

    ``refined``: whether takes use the trained magnitude refiner, or the pseudo-inverse where that measures better.
    ``results``: a table from `sonichaos-train evaluate`, or nothing.
    """
    nets, sizes = workshop.nets(), workshop.sizes
    vocoder = sizes.vocoder if refined else replace(sizes.vocoder, refined=False, width=_UNUSED_WIDTH, blocks=1)
    if not refined:
        nets = replace(nets, vocoder=MagnitudeRefiner(vocoder))
    text = packaged_folder() / "model.safetensors"
    config = CheckpointConfig(
        name=name,
        licence=licence,
        front_end_id=sizes.front_end.id,
        default_steps=DEFAULT_STEPS,
        default_guidance=DEFAULT_GUIDANCE,
        noise_scale=NOISE_SCALE,
        front_end=sizes.front_end,
        windows=WindowSpec(),
        autoencoder=sizes.autoencoder,
        denoiser=sizes.denoiser,
        vocoder=vocoder,
        persona_encoder=sizes.persona_encoder,
        text_encoder=TextEncoderRef(name="all-MiniLM-L6-v2", sha256=sha256_of(text)),
        files={},
    )
    stored = save(folder, config, nets)
    sheet = _data_sheet(workshop)
    (folder / "data_sheet.json").write_text(json.dumps(sheet, indent=2) + "\n", encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(_card(stored, sheet, results), encoding="utf-8")
    return stored


def _data_sheet(workshop: Workshop) -> dict[str, object]:
    paths = sorted(workshop.songs.glob("*.safetensors"))
    numbers = [int(path.stem) for path in paths]
    seconds = sum(path.stat().st_size for path in paths) / _BYTES_A_SECOND
    return {
        "songs": len(paths),
        "first_song": min(numbers),
        "last_song": max(numbers),
        "hours": round(seconds / 3600.0, 2),
        "began_from": workshop.origin(),
        "runs": workshop.outcomes(),
    }


_BYTES_A_SECOND = 4 * 44100 + 2 * 192 * 44100 / 512 + 2 * 113 * 44100 / 2048  # audio, mel and controls of a cached song


def _card(config: CheckpointConfig, sheet: dict[str, object], results: str) -> str:
    runs = sheet["runs"]
    found = runs if isinstance(runs, dict) else {}
    rows = [
        _row(role, str(file.parameters), found.get(_RUN_OF.get(role, role)))
        for role, file in config.files.items()
        if role != "vocoder" or config.vocoder.refined
    ]
    rows += [_row(what, "", found[name]) for name, what in _LATER_RUNS.items() if name in found]
    vocoder = _REFINED if config.vocoder.refined else _PLAIN
    words = {name: sheet[name] for name in ("songs", "first_song", "last_song", "hours")}
    origin = sheet["began_from"]
    begun = (
        f" Runs started from the weights of `{origin['checkpoint']}`; steps and seconds count from there."
        if isinstance(origin, dict)
        else ""
    )
    return _CARD.format(
        steps=config.default_steps,
        guidance=config.default_guidance,
        noise=config.noise_scale,
        origin=begun,
        name=config.name,
        licence=config.licence,
        vocoder=vocoder,
        results=results,
        rows="\n".join(rows),
        **words,
    )


_REFINED = "magnitudes refined by a net, then Griffin-Lim"
_PLAIN = "pseudo-inverse of the filterbank, then Griffin-Lim; the net in vocoder.safetensors is empty and not used"


def _row(name: str, parameters: str, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"| {name} | {parameters} | - | - | - | - |"
    hardware = f"{run['device']}, {run['threads']} thread(s)"
    return f"| {name} | {parameters} | {run['steps']} | {run['seconds']} | {run['loss']:.4f} | {hardware} |"


_LATER_RUNS = {DECODER_RUN: "then the autoencoder's decoder", GUIDED_RUN: "then the denoiser's own guidance"}
_RUN_OF = {"persona": "persona_encoder"}
