"""Which renderer runs: "starter" or a folder in the checkpoint form, never another in silence."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch

from render_service.latent_diffusion.stack import LatentDiffusion

STARTER = "starter"


def load_renderer(name_or_dir: str, *, device: str, threads: int | None = None) -> LatentDiffusion:
    """Load a renderer once; call its ``warm()`` before the first job.

    ``threads``: CPU threads of this process; part of the execution fingerprint, so fix it where takes are to be repeated.
    Raises :class:`~render_service.latent_diffusion.checkpoint.ModelUnusable`.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    return LatentDiffusion(weights_folder(name_or_dir), device=device)


def weights_folder(name_or_dir: str) -> Path:
    """The folder that a name stands for."""
    if name_or_dir == STARTER:
        return Path(str(files("render_service") / "weights" / STARTER))
    return Path(name_or_dir)
