"""A work folder that begins from weights that are there, instead of from nothing.

A studio goes on from the starter on its own catalogue; the starter itself goes on from its last release. Latents mean what
the encoder makes of them, so front end and autoencoder come along with the denoiser that was trained on them.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

from render_service.renderers.latent_diffusion.checkpoint import load
from training.workshop import Workshop, origin_path, start_path


class CannotBeginError(ValueError):
    """The work folder or the checkpoint does not allow it; the message says why and what to do."""


def begin(workshop: Workshop, checkpoint: Path) -> list[str]:
    """Put the weights of a checkpoint into a work folder as where each run begins; returns the names of the runs.

    A vocoder that the checkpoint does not use is left out. Raises :class:`CannotBeginError` where a run has begun already,
    or where the checkpoint's nets have other sizes.
    """
    config, nets = load(checkpoint)
    begun = sorted(path.name for path in workshop.folder.glob("*.pt"))
    if begun:
        raise CannotBeginError(f"{workshop.folder} holds {', '.join(begun)}: begin in a work folder without runs")
    sizes = workshop.sizes
    wanted = {"autoencoder": sizes.autoencoder, "denoiser": sizes.denoiser, "persona_encoder": sizes.persona_encoder}
    if config.vocoder.refined:
        wanted["vocoder"] = sizes.vocoder
    came = {name: getattr(config, name) for name in wanted}
    if came != wanted or config.front_end != sizes.front_end:
        odd = [name for name in wanted if came[name] != wanted[name]] or ["front_end"]
        raise CannotBeginError(f"{checkpoint} has other sizes than this program trains: {', '.join(odd)}")
    workshop.keep_front_end(nets.front_end)
    digests = {role: file.sha256 for role, file in config.files.items()}
    origin = {"checkpoint": config.name, "sha256": digests}
    path = origin_path(workshop.folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    for name in wanted:
        net = nets.of("persona" if name == "persona_encoder" else name)
        tensors = {key: value.contiguous() for key, value in net.state_dict().items()}
        save_file(tensors, str(start_path(workshop.folder, name)))
    return list(wanted)
