"""How many segments of a batch fit into the device's free memory, and when memory is freed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

_HEADROOM_TENTHS = 11
"""Required free memory in tenths of the measured need: allocators round up."""


class DeviceMemory(Protocol):
    """What the choice of a batch size asks of a device."""

    def measured_bytes(self) -> int:
        """Peak allocation since the last call of `reset`, above what was allocated then."""

    def reset(self) -> None:
        """Start a measurement."""

    def free_bytes(self) -> int:
        """Bytes that a batch can use now."""


class CudaMemory:
    """Memory of a GPU: free memory is what the driver reports plus what torch has cached."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._allocated_bytes = 0

    def reset(self) -> None:
        """Start a measurement."""
        torch.cuda.reset_peak_memory_stats(self._device)
        self._allocated_bytes = torch.cuda.memory_allocated(self._device)

    def measured_bytes(self) -> int:
        """Peak allocation since `reset`."""
        return torch.cuda.max_memory_allocated(self._device) - self._allocated_bytes

    def free_bytes(self) -> int:
        """Bytes that a batch can use now."""
        free_bytes, _ = torch.cuda.mem_get_info(self._device)
        cached = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return free_bytes + cached


class HostMemory:
    """Main memory, which does not limit batches: they measure as needing nothing."""

    def reset(self) -> None:
        """Nothing to measure."""

    def measured_bytes(self) -> int:
        """Always 0."""
        return 0

    def free_bytes(self) -> int:
        """Always 0; nothing is needed."""
        return 0


def slots_that_fit(max_slots: int, bytes_per_slot: int, free_bytes: int) -> int:
    """The largest of ``max_slots``, half of it, a quarter, ... 1 for which ``bytes_per_slot`` a segment is free; at least 1."""
    slots = max_slots
    while slots > 1 and slots * bytes_per_slot * _HEADROOM_TENTHS > free_bytes * 10:
        slots //= 2
    return slots


class BatchSize:
    """The slots of a batch for all running jobs.

    The first job on an idle engine chooses them, and they hold for every job that joins it, because only jobs
    with equal slots share batches. ``release`` frees what the last run left allocated; it is called when the last job ends.
    """

    def __init__(self, max_slots: int, memory: DeviceMemory, release: Callable[[], None]) -> None:
        self._max_slots = max_slots
        self._memory = memory
        self._release = release
        self._bytes_per_slot = 0
        self._slots = max_slots
        self._jobs = 0
        self._lock = threading.Lock()

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Measure what a segment needs: the block runs one batch of one slot."""
        self._memory.reset()
        yield
        self._bytes_per_slot = max(self._bytes_per_slot, self._memory.measured_bytes())

    @contextmanager
    def job(self) -> Iterator[int]:
        """Run one job in the block, with this many slots."""
        with self._lock:
            if self._jobs == 0:
                self._slots = slots_that_fit(self._max_slots, self._bytes_per_slot, self._memory.free_bytes())
            self._jobs += 1
            slots = self._slots
        try:
            yield slots
        finally:
            with self._lock:
                self._jobs -= 1
                if self._jobs == 0:
                    self._release()
