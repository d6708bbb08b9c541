"""Loads a separator from a local folder with demucs' own code: no network access, never another model than requested."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from demucs.apply import BagOfModels
from demucs.hf import load_safetensors_model
from demucs.pretrained import get_model
from demucs.repo import ModelLoadingError
from safetensors import SafetensorError, safe_open
from torch import nn

from separation_service.engine import forward, openvino_core
from separation_service.engine.bag import open_bag
from separation_service.engine.batch_thread import BatchThread, ModelRun
from separation_service.engine.demucs_separator import DemucsSeparator, LoadedModels, batch_text
from separation_service.engine.device_memory import CudaMemory, DeviceMemory, HostMemory
from separation_service.engine.forward import BatchRun
from separation_service.engine.options import EngineOptions
from separation_service.engine.runtime import choose_openvino, runtime_text
from separation_service.engine.separator import Separator, SeparatorInfo
from separation_service.engine.weights_folder import WeightsFolder, open_folder, unusable

_DEMUCS_CLASSES = frozenset(
    {"demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs", "demucs.demucs.Demucs", "demucs.wdemucs.WDemucs"}
)

# What torch, pickle, safetensors and demucs raise for files that are damaged or of another kind. SystemExit: demucs ends the
# process where an optional package (diffq) is missing.
_BROKEN = (
    ModelLoadingError,
    SafetensorError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    OSError,
    RuntimeError,
    SystemExit,
    TypeError,
    ValueError,
)


def load_separator(
    name: str, *, repo: Path | None, device: str, threads: int, options: EngineOptions | None = None
) -> Separator:
    """Load a model or bag onto ``device`` (``"cpu"``, ``"cuda"``), to run on ``threads`` CPU threads.

    ``name`` is ``starter`` (the weights in this package) or a model or bag in the folder ``repo``, see weights_folder.py.
    Makes no network access. ``device`` and ``threads`` override those in ``options``. Raises `FailedPrecondition`
    (MODEL_UNUSABLE) if files are missing, damaged or do not match their digests, if the model's sources are unusable, or
    if the device or the runtime is missing; the message says what to do.
    """
    return DemucsSeparator(load_models(name, repo=repo, device=device, threads=threads, options=options))


def load_models(
    name: str, *, repo: Path | None, device: str, threads: int, options: EngineOptions | None = None
) -> LoadedModels:
    """The models of `load_separator`, ready to run."""
    options = replace(options or EngineOptions(), device=device, threads=threads)
    files = open_folder(name, repo)
    if options.is_cuda and not torch.cuda.is_available():
        raise unusable(name, repo, f"device {device!r} was requested and torch finds no GPU; use --device cpu")
    model = _load(files)
    bag = open_bag(model, name)
    parameters = sum(parameter.numel() for member in bag.members for parameter in member.model.parameters())
    on_openvino = choose_openvino(bag, options, name=name, parameters=parameters)
    info = SeparatorInfo(
        name=name,
        licence=files.licence,
        sources=bag.sources,
        models=len(bag.members),
        parameters=parameters,
        files=files.files,
        weights_sha256=files.weights_sha256,
        fingerprint={
            "separator": name,
            "separator.weights": files.weights_sha256,
            "separator.bag": json.dumps([list(member.weights) for member in bag.members]),
            "separator.precision": options.precision,
            "separator.batch": batch_text(bag, options.slots),
            "separator.shifts": "0",
            "separator.runtime": runtime_text(bag, options, on_openvino=on_openvino),
        },
    )
    if on_openvino:
        forwards = openvino_core.open_forwards(bag, options, weights_sha256=files.weights_sha256)
    else:
        forwards = forward.open_forwards(bag, options)
    runs: tuple[ModelRun, ...] = tuple(BatchRun(model_forward, options) for model_forward in forwards)
    memory: DeviceMemory = HostMemory()
    if options.is_cuda:
        thread = BatchThread()
        runs = tuple(thread.bind(run) for run in runs)
        memory = CudaMemory(torch.device(options.device))
    return LoadedModels(bag=bag, info=info, runs=runs, memory=memory, options=options)


def _load(files: WeightsFolder) -> nn.Module:
    try:
        if not files.safetensors:
            model: nn.Module = get_model(files.name, repo=files.folder)
            return model
        models = [_load_safetensors(files.name, path) for path in files.paths]
        if not files.is_bag:
            single: nn.Module = models[0]
            return single
        bag: nn.Module = BagOfModels(models, files.weights, files.segment_s)
    except _BROKEN as broken:
        detail = f"demucs cannot load {files.folder}: {type(broken).__name__}: {broken}"
        raise unusable(files.name, files.folder, detail) from broken
    return bag


def _load_safetensors(name: str, path: Path) -> Any:  # noqa: ANN401  one of demucs' three classes
    """One model through demucs' loader, which imports and calls the class that the file names: only demucs' own are allowed."""
    with safe_open(str(path), framework="pt") as file:
        metadata: dict[str, Any] = file.metadata() or {}
    named = [str(metadata.get("klass")), *re.findall(r'"_class":\s*"([^"]*)"', str(metadata.get("structure", "")))]
    foreign = [klass for klass in named if klass not in _DEMUCS_CLASSES and not klass.startswith("diffq.")]
    if foreign:
        raise unusable(name, path.parent, f"{path.name} names the class {foreign[0]!r}, expected one of demucs' models")
    return load_safetensors_model(path)
