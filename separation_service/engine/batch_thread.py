"""Runs the batches of all jobs in one thread.

Torch caches cuDNN's convolution plans per thread. Each job has a thread of its own; with htdemucs_ft's shape, planning in a fresh
thread cost 0.3 s, as long as separating 90 s on an H200 (docs/measurements.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from torch import Tensor


class ModelRun(Protocol):
    """A `scheduler.Run` that holds device memory between batches."""

    def __call__(self, slots: int, segments: Mapping[int, Tensor], /) -> Tensor:
        """See `scheduler.Run`."""

    def release(self) -> None:
        """Free what the last batch left allocated."""


class BatchThread:
    """One thread, alive as long as this object, that runs the batches of several models one at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="gpu")

    def bind(self, run: ModelRun) -> ModelRun:
        """The same run, executed in this thread; its errors are raised in the caller's."""
        return _BoundRun(self._pool, run)


class _BoundRun:
    def __init__(self, pool: ThreadPoolExecutor, run: ModelRun) -> None:
        self._pool, self._run = pool, run

    def __call__(self, slots: int, segments: Mapping[int, Tensor], /) -> Tensor:
        return self._pool.submit(self._run, slots, segments).result()

    def release(self) -> None:
        self._pool.submit(self._run.release).result()
