"""Batches of all jobs in one thread.

Torch keeps cuDNN's plans for convolutions a thread at a time. A job in a thread that had none took 0.3 s longer with htdemucs_ft's
shape, as long again as separating 90 s on an H200; jobs come in threads of their own, so none of them would find any.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from torch import Tensor

from separation_service.engine.forward import BatchRun


class OneThread:
    """Runs several models' batches, one at a time, in a thread that lives as long as this object."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="gpu")

    def run(self, batch_run: BatchRun) -> InOneThread:
        """The same run, in the thread."""
        return InOneThread(self._pool, batch_run)


class InOneThread:
    """A `desk.Run` whose work another thread does; what it raises is raised here."""

    def __init__(self, pool: ThreadPoolExecutor, batch_run: BatchRun) -> None:
        self._pool, self._batch_run = pool, batch_run

    def __call__(self, slots: int, segments: Mapping[int, Tensor]) -> Tensor:
        """See `desk.Run`."""
        return self._pool.submit(self._batch_run, slots, segments).result()

    def release(self) -> None:
        """See `forward.Forward.release`."""
        self._pool.submit(self._batch_run.release).result()
