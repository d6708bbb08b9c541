"""Compiles the networks of a bag for a GPU, once for all models of one form.

Each model's weights are copied into one compiled network before it runs. The copy takes about as long as reading the weights, and a
service starts after one compilation instead of four. The compiled code must not use einops: its table of tensor types grows
during use, which torch would take for a change and recompile in the middle of a job.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor

from separation_service.engine.hybrid import Core, HybridCore


class CompiledCores:
    """Compiles for batches of ``slots``. Smaller batches, used when memory is low, run uncompiled."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._compiled: dict[str, _Compiled] = {}

    def of(self, core: HybridCore) -> Core:
        """The network, compiled on its first full batch. Not thread-safe."""
        form = _form(core)
        if form not in self._compiled:
            self._compiled[form] = _Compiled(core)
        compiled = self._compiled[form]
        weights = _weights(core)
        return lambda x, xt: compiled.run(weights, x, xt) if x.shape[0] == self._slots else core(x, xt)


class _Compiled:
    """One compiled network into which the running model's weights are copied."""

    def __init__(self, core: HybridCore) -> None:
        own = deepcopy(core)
        self._parameters = _weights(own)
        self._loaded: list[Tensor] | None = None
        self._fused: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = torch.compile(
            own, fullgraph=True, dynamic=False
        )

    def run(self, weights: list[Tensor], x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """See `hybrid.Core`."""
        if self._loaded is not weights:
            torch._foreach_copy_(self._parameters, weights)
            self._loaded = weights
        return self._fused(x, xt)


def _weights(core: HybridCore) -> list[Tensor]:
    return [*core.parameters(), *core.buffers()]


def _form(core: HybridCore) -> str:
    """A text that is equal for networks that differ only in the values of their weights."""
    shapes = [(name, tuple(value.shape), value.dtype) for name, value in core.state_dict().items()]
    return f"{core.made_of} {shapes}"
