"""How many segments fit into a batch beside whoever else uses the GPU, and giving memory back once nobody separates."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

_RESERVE_TENTHS = 11
"""So many tenths of the measured need have to be free: allocators round up."""


def slots_that_fit(most: int, need_bytes: int, free_bytes: int) -> int:
    """The largest of ``most``, half of it, a quarter, ... 1 whose need of ``need_bytes`` a segment is free; at least 1."""
    slots = most
    while slots > 1 and slots * need_bytes * _RESERVE_TENTHS > free_bytes * 10:
        slots //= 2
    return slots


class BatchSize:
    """The slots of a batch for the jobs that are in.

    They are chosen anew by whoever comes to an idle engine, and hold for all who join it: jobs of one size share batches.
    ``release`` gives back what the networks' last run left allocated; it is called when the last job has left.
    """

    def __init__(self, most: int, device: torch.device, release: Callable[[], None]) -> None:
        self._most = most
        self._device = device
        self._release = release
        self._need_bytes = 0
        self._slots = most
        self._jobs = 0
        self._guard = threading.Lock()

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Note what a segment takes: one batch of one slot is run in the block."""
        if self._device.type != "cuda":
            yield
            return
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        yield
        need_bytes = torch.cuda.max_memory_allocated(self._device) - before
        self._need_bytes = max(self._need_bytes, need_bytes)

    @contextmanager
    def joined(self) -> Iterator[int]:
        """Separate in the block, with so many slots; the last to leave gives memory back."""
        with self._guard:
            if self._jobs == 0:
                self._slots = slots_that_fit(self._most, self._need_bytes, self._free_bytes())
            self._jobs += 1
            slots = self._slots
        try:
            yield slots
        finally:
            with self._guard:
                self._jobs -= 1
                if self._jobs == 0:
                    self._release()

    def _free_bytes(self) -> int:
        if self._device.type != "cuda":
            return 0
        free_bytes, _ = torch.cuda.mem_get_info(self._device)
        cached = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return free_bytes + cached
