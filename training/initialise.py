"""Initialises a work folder from the weights of a checkpoint, to fine-tune them.

Latents are defined by the encoder that made them, so the front end and the autoencoder are copied together with the denoiser that
was trained on them.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from render_service.renderers.latent_diffusion.checkpoint import HABITS, PARTIALS, load
from training.work_folder import WorkFolder


class InitialisationError(ValueError):
    """The work folder has runs, or the checkpoint's nets have other sizes; the message says what to do."""


def initialise(work_folder: WorkFolder, checkpoint: Path) -> list[str]:
    """Copy the weights of a checkpoint into a work folder as initial weights; returns the names of the runs.

    The vocoder is copied only if the checkpoint uses it. Raises :class:`InitialisationError`.
    """
    config, nets = load(checkpoint)
    runs = sorted(path.name for path in work_folder.path.glob("*.pt"))
    if runs:
        raise InitialisationError(
            f"{work_folder.path} must not contain training runs, found {', '.join(runs)}; use a new work folder"
        )
    own = work_folder.configs
    expected = {"autoencoder": own.autoencoder, "denoiser": own.denoiser, "persona_encoder": own.persona_encoder}
    if config.vocoder.refined:
        expected["vocoder"] = own.vocoder
    received = {name: getattr(config, name) for name in expected}
    if received != expected or config.front_end != own.front_end:
        different = [name for name in expected if received[name] != expected[name]] or ["front_end"]
        raise InitialisationError(
            f"the nets of {checkpoint} must have the sizes that this version trains; different: {', '.join(different)}"
        )
    work_folder.save_front_end(nets.front_end)
    digests = {role: file.sha256 for role, file in config.files.items()}
    work_folder.origin_path.parent.mkdir(parents=True, exist_ok=True)
    origin = {"checkpoint": config.name, "sha256": digests}
    work_folder.origin_path.write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    for role, head in ((HABITS, nets.habits), (PARTIALS, nets.partials)):
        if head is not None:
            tensors = {key: value.contiguous() for key, value in head.state_dict().items()}
            save_file(tensors, str(work_folder.initial_weights_path(role)))
    for name in expected:
        net = nets.of("persona" if name == "persona_encoder" else name)
        tensors = {key: value.contiguous() for key, value in net.state_dict().items()}
        save_file(tensors, str(work_folder.initial_weights_path(name)))
    return list(expected)
