"""A folder that holds an ACE-Step 1.5 pipeline in diffusers' own form: checked, named by digests, loaded from disk only.

What does not fit is refused with a :class:`ModelUnusable`, as a checkpoint of the house is.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from render_service.renderers.latent_diffusion.checkpoint import ModelUnusable, sha256_of
from render_service.renderers.renderer import ModelDigest

if TYPE_CHECKING:
    from diffusers import AceStepPipeline

INDEX = "model_index.json"
SUMS = "SHA256SUMS"
NETS = ("transformer", "vae", "text_encoder", "condition_encoder")
_PIPELINE = "AceStepPipeline"
_LIBRARIES = {"diffusers", "transformers", "ace_step"}
_FETCH_AGAIN = "fetch the folder again"
_SUMS_LINE = re.compile(r"^([0-9a-f]{64}) [ *](\S.*)$")
_LICENCE = re.compile(r"^license:\s*(\S+)\s*$", re.MULTILINE)
_CHANNELS = 2


@dataclass(frozen=True, kw_only=True)
class LoadedPipeline:
    """The pipeline in float32 on its device, and what names it. ``licence`` is what the folder's README.md says."""

    pipeline: AceStepPipeline
    name: str
    licence: str
    models: tuple[ModelDigest, ...]


def is_pipeline_folder(folder: Path) -> bool:
    """Whether this is a folder in diffusers' form, whatever pipeline it holds."""
    return (folder / INDEX).is_file()


def load_pipeline(folder: Path, *, device: str) -> LoadedPipeline:
    """Check and load. No network, no pickles, no code from the folder. Raises :class:`ModelUnusable`."""
    if find_spec("diffusers") is None:
        raise ModelUnusable(str(folder), "diffusers, which runs it, is not installed", "pip install '.[ace-step]'")
    _check_index(folder)
    _check_sums(folder)
    weights = {role: _weights_of(folder / role) for role in NETS}
    pipeline = _from_disk(folder)
    for role in NETS:
        _check_complete(getattr(pipeline, role), weights[role])
    _check_sound(pipeline, folder)
    pipeline.vae.enable_tiling()
    pipeline.to(torch.device(device))
    for role in NETS:
        getattr(pipeline, role).requires_grad_(requires_grad=False).eval()
    return LoadedPipeline(
        pipeline=pipeline,
        name=folder.resolve().name,
        licence=_licence(folder),
        models=_digests(pipeline, folder, weights),
    )


def _check_index(folder: Path) -> None:
    """The pipeline is the one that is known here, and every part of it comes from the installed libraries."""
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelUnusable(str(path), f"it is not JSON ({error})", _FETCH_AGAIN) from error
    kind = index.get("_class_name") if isinstance(index, dict) else None
    if kind != _PIPELINE:
        problem = f"it holds the pipeline {kind!r} where {_PIPELINE!r} is known"
        raise ModelUnusable(str(path), problem, "name the folder of an ACE-Step 1.5 pipeline, or 'starter'")
    for part, source in index.items():
        if isinstance(source, list) and source[0] is not None and source[0] not in _LIBRARIES:
            problem = f"{part} comes from {source[0]!r}, which is none of {', '.join(sorted(_LIBRARIES))}"
            raise ModelUnusable(str(path), problem, "use a folder that brings no code of its own")


def _check_sums(folder: Path) -> None:
    """Where the folder pins files by a SHA256SUMS, they are those files."""
    path = folder / SUMS
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        found = _SUMS_LINE.match(line)
        if found is None:
            raise ModelUnusable(str(path), f"{line[:80]!r} is not '<64 hex digits>  <file>'", "write it with sha256sum")
        pinned, name = found.groups()
        if not (folder / name).is_file():
            raise ModelUnusable(str(folder / name), f"the file is missing, which {SUMS} names", _FETCH_AGAIN)
        came = sha256_of(folder / name)
        if came != pinned:
            raise ModelUnusable(str(folder / name), f"its SHA-256 is {came}, {SUMS} says {pinned}", _FETCH_AGAIN)


def _weights_of(folder: Path) -> tuple[Path, ...]:
    files = tuple(sorted(folder.glob("*.safetensors")))
    if not files:
        raise ModelUnusable(str(folder), "it holds no safetensors weights", _FETCH_AGAIN)
    return files


def _from_disk(folder: Path) -> AceStepPipeline:
    from diffusers import AceStepPipeline

    try:
        with _quietly():
            pipeline = AceStepPipeline.from_pretrained(
                str(folder),
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                low_cpu_mem_usage=find_spec("accelerate") is not None,
            )
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelUnusable(str(folder), f"diffusers cannot load it ({error})", _FETCH_AGAIN) from error
    pipeline.set_progress_bar_config(disable=True)
    loaded: AceStepPipeline = pipeline
    return loaded


def _check_complete(net: nn.Module, files: tuple[Path, ...]) -> None:
    """Every tensor of the net was in the files: the libraries would draw a missing one at random, with a warning."""
    stored: set[str] = set()
    for path in files:
        with safe_open(str(path), framework="pt") as file:
            stored.update(file.keys())
    missing = sorted(name for name in net.state_dict() if name not in stored and f"model.{name}" not in stored)
    if missing:
        problem = f"tensor {missing[0]!r} is missing, and {len(missing) - 1} more"
        raise ModelUnusable(str(files[0].parent), problem, _FETCH_AGAIN)


def _check_sound(pipeline: AceStepPipeline, folder: Path) -> None:
    config = pipeline.vae.config
    if config.audio_channels != _CHANNELS:
        problem = f"its sound has {config.audio_channels} channels where stereo is made"
        raise ModelUnusable(str(folder / "vae"), problem, "use a stereo pipeline")
    if config.decoder_input_channels != pipeline.transformer.config.audio_acoustic_hidden_dim:
        raise ModelUnusable(str(folder), "vae and transformer have latents of different sizes", _FETCH_AGAIN)


def _digests(
    pipeline: AceStepPipeline, folder: Path, weights: Mapping[str, tuple[Path, ...]]
) -> tuple[ModelDigest, ...]:
    """One for each net, over its files; ``persona``: what a persona's clips go through; ``settings``: everything else."""
    own = {role: _together(folder, files) for role, files in weights.items()}
    named = [
        ModelDigest(
            role=role, sha256=own[role], parameters=sum(p.numel() for p in getattr(pipeline, role).parameters())
        )
        for role in NETS
    ]
    others = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in {".json", ".txt"} and not path.name.endswith(".index.json")
    ]
    persona = _together(folder, (*weights["vae"], *weights["condition_encoder"]))
    return (
        *named,
        ModelDigest(role="persona", sha256=persona, parameters=0),
        ModelDigest(role="settings", sha256=_together(folder, tuple(others)), parameters=0),
    )


def _together(folder: Path, files: tuple[Path, ...]) -> str:
    """A single file's own SHA-256; of several, that of their ``sha256sum`` lines."""
    sums = [(sha256_of(path), path.relative_to(folder).as_posix()) for path in files]
    if len(sums) == 1:
        return sums[0][0]
    return hashlib.sha256("".join(f"{digest}  {name}\n" for digest, name in sums).encode()).hexdigest()


def _licence(folder: Path) -> str:
    """The licence that the README's front matter names."""
    path = folder / "README.md"
    found = _LICENCE.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found.group(1) if found else "not stated in its folder"


@contextmanager
def _quietly() -> Iterator[None]:
    """Without bars and notes on stderr, where each line is a JSON object of the log."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    loud = diffusers_logging.get_verbosity(), transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        diffusers_logging.set_verbosity(loud[0])
        transformers_logging.set_verbosity(loud[1])
        diffusers_logging.enable_progress_bar()
        if bars:
            transformers_logging.enable_progress_bar()
