"""One model over one batch, on any runtime: ``(B, C, L)`` -> ``(B, R, C, L)``, the same numbers as demucs' forward.

Letters: ``B`` batch, ``C`` channels, ``L`` samples of a segment, ``R`` rows (sources kept).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from separation_service.engine.arithmetic import ON_CPU, ON_GPU, Arithmetic
from separation_service.engine.bag import Bag, Member
from separation_service.engine.compiled import CompiledCores
from separation_service.engine.hybrid import HybridCore, HybridForward, is_supported
from separation_service.engine.options import EngineOptions
from servicekit.errors import ResourceExhausted


class Forward(Protocol):
    """A model that is ready to run."""

    def __call__(self, mix: Tensor) -> Tensor:
        """``(B, C, L)`` -> ``(B, R, C, L)``, without gradients."""

    def release(self) -> None:
        """Free what the last run left allocated; the next run allocates it again."""


_RETRY_AFTER_S = 10.0


def open_forwards(bag: Bag, options: EngineOptions) -> list[Forward]:
    """The models of a bag on torch, on the device and ready to run. The forwards own and modify the models."""
    compiled = CompiledCores(options.slots) if options.is_cuda and options.compiled else None
    return [_open_forward(member, options, compiled) for member in bag.members]


def _open_forward(member: Member, options: EngineOptions, compiled: CompiledCores | None) -> Forward:
    model = member.model.to(options.device).eval().requires_grad_(requires_grad=False)
    if not (member.rows and is_supported(model)):
        return _PlainForward(model, member.rows)
    core = HybridCore(model, member.rows, _arithmetic(options)).eval()
    return HybridForward(model, member.rows, core if compiled is None else compiled.of(core), _nothing)


def _arithmetic(options: EngineOptions) -> Arithmetic:
    return replace(ON_GPU if options.is_cuda else ON_CPU, reduced=options.precision == "reduced")


def _nothing() -> None:
    """Torch holds nothing but its caches."""


class _PlainForward:
    """Demucs' own forward, for models that hybrid.py does not support."""

    def __init__(self, model: nn.Module, rows: Sequence[int]) -> None:
        self._model = model
        self._rows = list(rows)

    def __call__(self, mix: Tensor) -> Tensor:
        outputs: Tensor = self._model(mix)
        return outputs[:, self._rows]

    def release(self) -> None:
        """Torch holds nothing but its caches."""


class BatchRun:
    """A `scheduler.Run`: copies segments to a batch on the device and runs the model. Raises `ResourceExhausted` OUT_OF_MEMORY."""

    def __init__(self, forward: Forward, options: EngineOptions) -> None:
        self._forward = forward
        self._options = options
        self.release = forward.release

    def __call__(self, slots: int, segments: Mapping[int, Tensor]) -> Tensor:
        """See `scheduler.Run`."""
        some = next(iter(segments.values()))
        with reproducible(self._options), _name_out_of_memory(self._options.device):
            batch = torch.zeros(slots, *some.shape, device=self._options.device)
            for slot, segment in segments.items():
                batch[slot].copy_(segment, non_blocking=True)
            return self._forward(batch)


@contextmanager
def reproducible(options: EngineOptions) -> Iterator[None]:
    """Fixed threads, no autotuning, no gradients, and TF32 only for reduced precision.

    The fused path of `nn.MultiheadAttention` is disabled for models that use it: the plain path is 1.16 times as fast on a CPU
    and agrees to 122 dB (docs/decisions/0012-separation-engine.md).
    """
    torch.set_num_threads(max(1, options.threads // options.max_running))
    with _SWITCHES.set_for(options), torch.inference_mode():
        yield


class _Switches:
    """Torch's process-wide switches: set by the first user, restored by the last."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._inside = 0
        self._undo = ExitStack()

    @contextmanager
    def set_for(self, options: EngineOptions) -> Iterator[None]:
        """Concurrent users must pass equal options."""
        with self._guard:
            if self._inside == 0:
                self._set(reduced=options.precision == "reduced")
            self._inside += 1
        try:
            yield
        finally:
            with self._guard:
                self._inside -= 1
                if self._inside == 0:
                    self._undo.close()

    def _set(self, *, reduced: bool) -> None:
        matrices, attention = torch.backends.cuda.matmul, torch.backends.mha
        self._undo.callback(setattr, matrices, "allow_tf32", matrices.allow_tf32)
        self._undo.callback(attention.set_fastpath_enabled, attention.get_fastpath_enabled())
        attention.set_fastpath_enabled(False)
        matrices.allow_tf32 = reduced
        flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=reduced)
        self._undo.enter_context(flags)


_SWITCHES = _Switches()


@contextmanager
def _name_out_of_memory(device: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise ResourceExhausted(
            f"{device} has too little free memory for a batch; free memory, then try again",
            reason="OUT_OF_MEMORY",
            metadata={"device": device},
            retry_after_s=_RETRY_AFTER_S,
        ) from error
