"""Which renderer runs: "starter", a folder in the checkpoint form or one of diffusers' ACE-Step, never another in silence."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch

from render_service.renderers.ace_step.folder import is_pipeline_folder
from render_service.renderers.ace_step.stack import AceStep
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.renderer import Renderer

STARTER = "starter"


def load_renderer(name_or_dir: str, *, device: str, threads: int | None = None) -> Renderer:
    """Load a renderer once; call its ``warm()`` before the first job. A folder says itself of which kind it is.

    ``threads``: CPU threads of this process; part of the execution fingerprint, so fix it where takes are to be repeated.
    Raises :class:`~render_service.renderers.latent_diffusion.checkpoint.ModelUnusable`.
    """
    if is_pipeline_folder(weights_folder(name_or_dir)):
        _use_threads(threads)
        return AceStep(weights_folder(name_or_dir), device=device)
    return load_latent_diffusion(name_or_dir, device=device, threads=threads)


def load_latent_diffusion(name_or_dir: str, *, device: str, threads: int | None = None) -> LatentDiffusion:
    """As :func:`load_renderer`, for those who need the house's own: training, evaluation, measurements."""
    _use_threads(threads)
    return LatentDiffusion(weights_folder(name_or_dir), device=device)


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)


def weights_folder(name_or_dir: str) -> Path:
    """The folder that a name stands for."""
    if name_or_dir == STARTER:
        return Path(str(files("render_service") / "weights" / STARTER))
    return Path(name_or_dir)
