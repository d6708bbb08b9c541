"""Loads an ACE-Step 1.5 pipeline from a folder in diffusers' form, after checking it. Nothing is downloaded.

A folder that cannot be used is refused with :class:`ModelUnusable`.
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
_SUMS_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")
_LICENCE = re.compile(r"^license:\s*(\S+)\s*$", re.MULTILINE)
_CHANNELS = 2


@dataclass(frozen=True, kw_only=True)
class LoadedPipeline:
    """The pipeline in float32 on its device. ``name`` is the folder's, ``licence`` what its README.md states."""

    pipeline: AceStepPipeline
    name: str
    licence: str
    models: tuple[ModelDigest, ...]


def is_pipeline_folder(folder: Path) -> bool:
    """Whether the folder is in diffusers' form, whichever pipeline it holds."""
    return (folder / INDEX).is_file()


def load_pipeline(folder: Path, *, device: str) -> LoadedPipeline:
    """Check and load. Uses no network, no pickles and no code from the folder. Raises :class:`ModelUnusable`."""
    if find_spec("diffusers") is None:
        raise ModelUnusable(str(folder), "diffusers, which runs it, is not installed", "pip install '.[ace-step]'")
    _check_index(folder)
    _check_sums(folder)
    weights = {role: _weights_files(folder / role) for role in NETS}
    pipeline = _load_from_disk(folder)
    for role in NETS:
        _check_tensors(getattr(pipeline, role), weights[role])
    _check_shapes(pipeline, folder)
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
    """Check that the pipeline is ACE-Step's and that all its parts come from installed libraries."""
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelUnusable(str(path), f"it is not JSON ({error})", _FETCH_AGAIN) from error
    kind = index.get("_class_name") if isinstance(index, dict) else None
    if kind != _PIPELINE:
        problem = f"the pipeline must be {_PIPELINE!r}, got {kind!r}"
        raise ModelUnusable(str(path), problem, "name the folder of an ACE-Step 1.5 pipeline, or 'starter'")
    for part, source in index.items():
        if isinstance(source, list) and source[0] is not None and source[0] not in _LIBRARIES:
            problem = f"{part} must come from one of {', '.join(sorted(_LIBRARIES))}, got {source[0]!r}"
            raise ModelUnusable(str(path), problem, "use a folder without code of its own")


def _check_sums(folder: Path) -> None:
    """Check the files that the folder's SHA256SUMS lists, if there is one."""
    path = folder / SUMS
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        found = _SUMS_LINE.fullmatch(line)
        if found is None:
            problem = f"each line must be '<64 hex digits>  <file>', got {line[:80]!r}"
            raise ModelUnusable(str(path), problem, "write it with sha256sum")
        pinned, name = found.groups()
        if not (folder / name).is_file():
            raise ModelUnusable(str(folder / name), f"the file is missing, which {SUMS} lists", _FETCH_AGAIN)
        actual = sha256_of(folder / name)
        if actual != pinned:
            problem = f"its SHA-256 must be {pinned} ({SUMS}), got {actual}"
            raise ModelUnusable(str(folder / name), problem, _FETCH_AGAIN)


def _weights_files(folder: Path) -> tuple[Path, ...]:
    files = tuple(sorted(folder.glob("*.safetensors")))
    if not files:
        raise ModelUnusable(str(folder), "it holds no safetensors weights", _FETCH_AGAIN)
    return files


def _load_from_disk(folder: Path) -> AceStepPipeline:
    from diffusers import AceStepPipeline

    try:
        with _quiet_libraries():
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


def _check_tensors(net: nn.Module, files: tuple[Path, ...]) -> None:
    """Check that the files hold every tensor of the net: the libraries initialise missing ones at random, with a warning."""
    stored: set[str] = set()
    for path in files:
        with safe_open(str(path), framework="pt") as file:
            stored.update(file.keys())
    missing = sorted(name for name in net.state_dict() if name not in stored and f"model.{name}" not in stored)
    if missing:
        problem = f"tensor {missing[0]!r} is missing, and {len(missing) - 1} more"
        raise ModelUnusable(str(files[0].parent), problem, _FETCH_AGAIN)


def _check_shapes(pipeline: AceStepPipeline, folder: Path) -> None:
    config = pipeline.vae.config
    if config.audio_channels != _CHANNELS:
        problem = f"its audio must have {_CHANNELS} channels, got {config.audio_channels}"
        raise ModelUnusable(str(folder / "vae"), problem, "use a stereo pipeline")
    decoded, denoised = config.decoder_input_channels, pipeline.transformer.config.audio_acoustic_hidden_dim
    if decoded != denoised:
        problem = f"vae and transformer must have the same number of latent channels, got {decoded} and {denoised}"
        raise ModelUnusable(str(folder), problem, _FETCH_AGAIN)


def _digests(
    pipeline: AceStepPipeline, folder: Path, weights: Mapping[str, tuple[Path, ...]]
) -> tuple[ModelDigest, ...]:
    """One digest for each net; ``persona``: the nets that embed a persona's clips; ``settings``: the configuration files."""
    nets = [
        ModelDigest(
            role=role,
            sha256=_files_digest(folder, files),
            parameters=sum(p.numel() for p in getattr(pipeline, role).parameters()),
        )
        for role, files in weights.items()
    ]
    settings = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in {".json", ".txt"} and not path.name.endswith(".index.json")
    ]
    persona = _files_digest(folder, (*weights["vae"], *weights["condition_encoder"]))
    return (
        *nets,
        ModelDigest(role="persona", sha256=persona, parameters=0),
        ModelDigest(role="settings", sha256=_files_digest(folder, tuple(settings)), parameters=0),
    )


def _files_digest(folder: Path, files: tuple[Path, ...]) -> str:
    """The SHA-256 of a single file; of several files, the SHA-256 of their ``sha256sum`` lines."""
    sums = [(sha256_of(path), path.relative_to(folder).as_posix()) for path in files]
    if len(sums) == 1:
        return sums[0][0]
    return hashlib.sha256("".join(f"{digest}  {name}\n" for digest, name in sums).encode()).hexdigest()


def _licence(folder: Path) -> str:
    """The licence in the README's front matter."""
    path = folder / "README.md"
    found = _LICENCE.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found.group(1) if found else "not stated in its folder"


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Turn off the libraries' progress bars and messages: each line on stderr must be a JSON object of the log."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    verbosity = diffusers_logging.get_verbosity(), transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        diffusers_logging.set_verbosity(verbosity[0])
        transformers_logging.set_verbosity(verbosity[1])
        diffusers_logging.enable_progress_bar()
        if bars:
            transformers_logging.enable_progress_bar()
