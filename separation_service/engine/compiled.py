"""The networks of a bag, compiled for a GPU once for all models of one form.

Each model's weights are laid into the places of one network before it runs.

That takes about as long as reading them, and a service is ready after one compilation instead of four. What is compiled does not
use einops: its table of tensor types, which grows as others use it, would count as a change, and everything would be compiled
again in the middle of a job.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor

from separation_service.engine.hybrid import Core, HybridCore


class CompiledCores:
    """Compiles for batches of ``slots``; smaller ones, taken where memory is short, run as they are instead of compiling again."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._compiled: dict[str, _Compiled] = {}

    def of(self, core: HybridCore) -> Core:
        """The network, compiled when it first sees a whole batch. Not to be run from two threads at once."""
        form = _form(core)
        if form not in self._compiled:
            self._compiled[form] = _Compiled(core)
        compiled = self._compiled[form]
        weights = _weights(core)
        return lambda x, xt: compiled.run(weights, x, xt) if x.shape[0] == self._slots else core(x, xt)


class _Compiled:
    """One network with places for the weights of whoever runs."""

    def __init__(self, core: HybridCore) -> None:
        own = deepcopy(core)
        self._places = _weights(own)
        self._laid_in: list[Tensor] | None = None
        self._fused: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = torch.compile(
            own, fullgraph=True, dynamic=False
        )

    def run(self, weights: list[Tensor], x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """See `hybrid.Core`."""
        if self._laid_in is not weights:
            torch._foreach_copy_(self._places, weights)
            self._laid_in = weights
        return self._fused(x, xt)


def _weights(core: HybridCore) -> list[Tensor]:
    return [*core.parameters(), *core.buffers()]


def _form(core: HybridCore) -> str:
    """Equal for networks that differ in the numbers of their weights only."""
    shapes = [(name, tuple(value.shape), value.dtype) for name, value in core.state_dict().items()]
    return f"{core.made_of} {shapes}"
