"""The networks between the spectrograms on OpenVINO in float32: converted once and cached on disk by a digest of their inputs.

Letters: ``B`` batch, ``C`` channels, ``L`` samples of a segment, ``F`` frequencies, ``T`` frames, ``R`` rows (sources
kept), ``P`` planes of the spectrogram.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import shutil
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from separation_service.engine.arithmetic import ON_OPENVINO
from separation_service.engine.bag import Bag, Member
from separation_service.engine.forward import Forward
from separation_service.engine.hybrid import HybridCore, HybridForward, is_supported, spectrogram_shape
from separation_service.engine.options import EngineOptions
from separation_service.engine.separator import CHANNELS
from servicekit.logs import logger

_log = logger(__name__)
_FORM = 4
"""Increment when the network's form (hybrid.py and its imports) or the conversion changes, so that older files are not used."""


def version() -> str | None:
    """Version of the installed OpenVINO; None if the extra is not installed."""
    return importlib.metadata.version("openvino") if importlib.util.find_spec("openvino") else None


def library() -> Any:  # noqa: ANN401  a module without types
    """OpenVINO, imported without its telemetry.

    By default its import reports to the vendor's servers and writes an identifier to the home folder. Services make no network
    access, so the telemetry package is hidden and OpenVINO uses its built-in stub.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # import treats it as "not installed"
    return importlib.import_module("openvino")


def suits(bag: Bag) -> bool:
    """True if every model of the bag can be converted."""
    return all(member.rows and is_supported(member.model) for member in bag.members)


def open_forwards(bag: Bag, options: EngineOptions, *, weights_sha256: str) -> list[Forward]:
    """The models of a bag on OpenVINO. Their torch weights are freed."""
    return [_open_forward(bag, member, options, weights_sha256) for member in bag.members]


def _open_forward(bag: Bag, member: Member, options: EngineOptions, weights_sha256: str) -> Forward:
    model = member.model.eval().requires_grad_(requires_grad=False)
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.cache or Path(scratch)) / _key(member, weights_sha256)
        if not folder.is_dir():
            count = f"{member.index + 1} of {len(bag.members)}"
            started_s = time.monotonic()
            _log.info("converting separator model", model=count, to=f"openvino {version()}", folder=str(folder))
            _convert(model, member, folder)
            _log.info("converted separator model", model=count, seconds=round(time.monotonic() - started_s, 1))
        core = OpenVinoCore(folder / "core.xml", threads=options.threads, max_running=options.max_running)
    forward = HybridForward(model, member.rows, core, core.release)
    model.to("meta")  # frees the torch weights; OpenVINO has its own copy
    return forward


def _key(member: Member, weights_sha256: str) -> str:
    """A folder name derived from everything the converted network depends on."""
    made_of = {
        "form": _FORM,
        "weights": weights_sha256,
        "member": member.index,
        "rows": member.rows,
        "samples": member.full_samples,
        "libraries": [importlib.metadata.version(name) for name in ("openvino", "torch", "demucs")],
    }
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:32]


def _convert(model: Any, member: Member, folder: Path) -> None:  # noqa: ANN401  an HTDemucs
    """Write ``folder`` atomically."""
    core = HybridCore(model, member.rows, ON_OPENVINO).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # demucs asserts shapes, and these never change
        spectrogram = torch.zeros(1, *spectrogram_shape(model, member.full_samples))
        inputs = (spectrogram, torch.zeros(1, member.full_samples, CHANNELS))
        traced = torch.jit.trace(core, inputs, check_trace=False)  # type: ignore[no-untyped-call]
        converted = _converted(traced, inputs)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix="unfinished-"))
    try:
        library().save_model(converted, unfinished / "core.xml", compress_to_fp16=False)
        if not folder.is_dir():  # another process may have written it meanwhile
            unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _converted(traced: Any, inputs: tuple[Tensor, Tensor]) -> Any:  # noqa: ANN401  a ScriptModule; an openvino.Model
    """The network for inputs of these shapes: the necessary steps of `openvino.convert_model`, in half its time."""
    openvino = library()
    frontends = importlib.import_module("openvino.frontend")
    decoders = importlib.import_module("openvino.frontend.pytorch.ts_decoder")

    frontend = frontends.FrontEndManager().load_by_framework("pytorch")
    decoder = decoders.TorchScriptPythonDecoder(
        traced, example_input=inputs
    )  # kept alive: the loaded model reads from it
    loaded = frontend.load(decoder)
    for place, example in zip(loaded.get_inputs(), inputs, strict=True):
        loaded.set_partial_shape(place, openvino.PartialShape(list(example.shape)))
        loaded.set_element_type(place, openvino.Type.f32)
    return frontend.convert(loaded)


class OpenVinoCore:
    """A `hybrid.Core` on the CPU: one sample at a time, which is faster on a CPU than batches and gives the same numbers.

    Threads may call it at the same time; ``max_running`` run at the same time, each on its share of ``threads``.
    """

    def __init__(self, path: Path, *, threads: int, max_running: int) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": max_running,
            "ENABLE_CPU_PINNING": False,  # the machine is shared with render_service
        }
        self._compiled = library().Core().compile_model(path, "CPU", settings)
        self._mine = threading.local()

    def release(self) -> None:
        """Free the memory of intermediate results."""
        self._compiled.release_memory()

    def __call__(self, spectrogram: Tensor, mix: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, F, T, P)``, ``(B, L, C)`` -> ``(B, F, T, R * P)``, ``(B, L, R * C)``."""
        if len(mix) == 1:
            return self._one(spectrogram, mix)
        outputs = [
            [part.clone() for part in self._one(spectrogram[index : index + 1], mix[index : index + 1])]
            for index in range(len(mix))
        ]
        return torch.cat([x for x, _ in outputs]), torch.cat([xt for _, xt in outputs])

    def _one(self, spectrogram: Tensor, mix: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs are views of OpenVINO's memory, which the next call overwrites."""
        inputs = [spectrogram.contiguous().numpy(), mix.contiguous().numpy()]
        if not hasattr(self._mine, "request"):
            self._mine.request = self._compiled.create_infer_request()
        results = self._mine.request.infer(inputs, share_inputs=True, share_outputs=True)
        return torch.from_numpy(results[0]), torch.from_numpy(results[1])
