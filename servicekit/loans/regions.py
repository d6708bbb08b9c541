"""Pooled shared-memory regions, reused so that their page faults are paid once.

The page faults of a new region per tensor would cost more than sending the bytes. A region is a memfd, so the kernel frees it
however the processes die. Its seals prevent a resize while the borrower reads (which would raise SIGBUS) and writes through any
mapping but the lender's, which is made before the seal (F_SEAL_FUTURE_WRITE, Linux 5.1).
"""

from __future__ import annotations

import errno
import fcntl
import math
import mmap
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from servicekit.errors import InvalidTensor, ResourceExhausted, Unavailable
from servicekit.loans.checksum import copy_and_hash
from servicekit.loans.messages import BYTES_PER_SAMPLE

REGION_NAME = "sonichaos-loan"
"""Shows as ``/memfd:sonichaos-loan`` in /proc/PID/maps."""
_MIB = 1 << 20
F_SEAL_FUTURE_WRITE = 0x10  # linux/fcntl.h; not in Python 3.11's fcntl module
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | F_SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL


def size_class_bytes(nbytes: int) -> int:
    """Size of a region for ``nbytes``: rounded up to a quarter step between powers of two, at least 1 MiB."""
    if nbytes <= _MIB:
        return _MIB
    step = 1 << max(nbytes - 1, 1).bit_length() - 3
    return math.ceil(nbytes / step) * step


class Region:
    """One memfd, mapped writable and faulted in. Created and owned by :class:`LoanPool`."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.nbytes = 0
        self.open_loans = 0
        """Loans that the borrower has neither refused nor released. With any left, the region is not reused."""
        self.fd = os.memfd_create(REGION_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.posix_fallocate(self.fd, 0, capacity_bytes)
            self._map = mmap.mmap(self.fd, capacity_bytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:
            os.close(self.fd)
            raise

    def array(self, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Writable float32 view (C, T) of the region's first bytes, valid until the pool's ``with`` block ends."""
        nbytes = math.prod(shape) * BYTES_PER_SAMPLE
        if nbytes > self.nbytes or min(shape) < 1:
            raise InvalidTensor(
                f"the region was requested for {self.nbytes} bytes of float32, got shape {shape} with {nbytes}"
            )
        return np.frombuffer(self._map, dtype=np.float32, count=math.prod(shape)).reshape(shape)

    def write(self, samples: npt.NDArray[np.float32]) -> str:
        """Copy ``samples`` (C, T) into the region; returns the xxh3-128 of the bytes as hex."""
        return copy_and_hash(self.array((samples.shape[0], samples.shape[1])), samples)

    def close(self) -> None:
        """Close the descriptor and the mapping; remaining views keep the memory alive."""
        os.close(self.fd)
        with suppress(BufferError):
            self._map.close()


class LoanPool:
    """At most ``max_regions`` regions of at most ``max_region_bytes``, each used by one ``with`` block at a time."""

    def __init__(self, *, max_regions: int = 4, max_region_bytes: int = 64 * _MIB, retry_after_s: float = 2.0) -> None:
        self._max_regions = max_regions
        self._max_region_bytes = max_region_bytes
        self._retry_after_s = retry_after_s
        self._changed = threading.Condition()
        self._idle: list[Region] = []
        self._regions = 0
        self._closed = False

    @contextmanager
    def region(self, nbytes: int, *, wait_s: float = 0.0) -> Iterator[Region]:
        """A writable region of at least ``nbytes``. It is reused after the block unless it still has an open loan.

        Waits up to ``wait_s`` for one. Raises ResourceExhausted LOANS_EXHAUSTED (all in use), TOO_LARGE, OUT_OF_MEMORY.
        """
        region = self._acquire(nbytes, wait_s)
        region.nbytes = nbytes
        try:
            yield region
        finally:
            self._release(region)

    def close(self) -> None:
        """Free the idle regions; regions in use are freed when their ``with`` block ends."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._regions -= len(idle)
            self._changed.notify_all()
        for region in idle:
            region.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _acquire(self, nbytes: int, wait_s: float) -> Region:
        if nbytes < 1:
            raise InvalidTensor("a region must have at least one sample, got 0 bytes")
        if nbytes > self._max_region_bytes:
            raise ResourceExhausted(
                f"a loan may have at most {self._max_region_bytes} bytes, got {nbytes}",
                reason="TOO_LARGE",
            )
        too_small = None
        with self._changed:
            deadline_s = time.monotonic() + wait_s
            while not (fitting := [region for region in self._idle if region.capacity_bytes >= nbytes]):
                self._check_open()
                if self._regions < self._max_regions:
                    self._regions += 1
                    break
                if self._idle:
                    too_small = self._idle.pop(0)
                    break
                self._wait_until(deadline_s)
            else:
                self._check_open()
                best = min(fitting, key=lambda region: region.capacity_bytes)
                self._idle.remove(best)
                return best
        if too_small is not None:
            too_small.close()
        return self._make(min(size_class_bytes(nbytes), self._max_region_bytes))

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the loan pool is closed: this service is shutting down", reason="DRAINING")

    def _wait_until(self, deadline_s: float) -> None:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise ResourceExhausted(
                f"all {self._max_regions} loan regions are in use; retry when a separation has ended",
                reason="LOANS_EXHAUSTED",
                retry_after_s=self._retry_after_s,
            )
        self._changed.wait(left_s)

    def _make(self, capacity_bytes: int) -> Region:
        try:
            return Region(capacity_bytes)
        except BaseException as error:
            self._subtract_region()
            if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.ENOSPC, errno.EMFILE, errno.ENFILE):
                raise ResourceExhausted(
                    f"no memory or descriptor for a loan region of {capacity_bytes} bytes: {error.strerror}",
                    reason="OUT_OF_MEMORY",
                    retry_after_s=self._retry_after_s,
                ) from error
            raise

    def _release(self, region: Region) -> None:
        with self._changed:
            if not (region.open_loans or self._closed):
                self._idle.append(region)
                self._changed.notify()
                return
        region.close()
        self._subtract_region()

    def _subtract_region(self) -> None:
        with self._changed:
            self._regions -= 1
            self._changed.notify()
