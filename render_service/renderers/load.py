"""Loads the renderer that the settings name: ``starter``, a checkpoint folder, or an ACE-Step folder of diffusers."""

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
    """Load a renderer of the kind that the folder's files show; call its ``warm()`` before the first job.

    ``threads``: CPU threads of this process. They are part of the execution fingerprint: set them where takes must repeat.
    Raises :class:`~render_service.renderers.latent_diffusion.checkpoint.ModelUnusable`; never loads a substitute.
    """
    if is_pipeline_folder(weights_folder(name_or_dir)):
        _set_threads(threads)
        return AceStep(weights_folder(name_or_dir), device=device)
    return load_latent_diffusion(name_or_dir, device=device, threads=threads)


def load_latent_diffusion(name_or_dir: str, *, device: str, threads: int | None = None) -> LatentDiffusion:
    """As :func:`load_renderer`, for callers that need a `LatentDiffusion`: training, evaluation and benchmarks."""
    _set_threads(threads)
    return LatentDiffusion(weights_folder(name_or_dir), device=device)


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)


def weights_folder(name_or_dir: str) -> Path:
    """The folder of ``starter``, or the folder itself."""
    if name_or_dir == STARTER:
        return Path(str(files("render_service") / "weights" / STARTER))
    return Path(name_or_dir)
