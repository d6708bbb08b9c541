"""Checks received descriptors and maps them read-only."""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
from collections import OrderedDict

from servicekit.errors import InvalidTensor, ResourceExhausted
from servicekit.loans.messages import TensorHeader

_REQUIRED_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_MAX_REGION_BYTES = 1 << 30
"""A larger file is refused, whatever its header says."""


class RegionMaps:
    """The regions of one lender, mapped read-only; closed with its connection.

    A lender reuses a few regions. Their mappings are cached, because mapping and page faults cost as much as reading; the views of
    a loan, not its mapping, show whether it is in use. The least recently lent region is evicted first, a withdrawn one at once:
    its lender may have discarded it, and then this mapping alone would keep its memory.
    """

    def __init__(self, max_regions: int = 4) -> None:
        self._max_regions = max_regions
        self._maps: OrderedDict[tuple[int, int], mmap.mmap] = OrderedDict()
        self._lent: dict[tuple[int, int], str] = {}  # the newest lease of each region

    def map(self, fds: list[int], header: TensorHeader) -> mmap.mmap:
        """Map the region that came with ``header``. The caller closes ``fds``.

        Raises InvalidTensor unless ``fds`` is exactly one sealed memfd with at least the header's bytes, ResourceExhausted
        OUT_OF_MEMORY where mapping fails.
        """
        if len(fds) != 1:
            raise InvalidTensor(f"a loan must have exactly one descriptor, got {len(fds)}")
        (fd,) = fds
        status = os.fstat(fd)
        _check_region(fd, status, header)
        # An inode number is not reused while the mapping holds its file; if 2^32 wrapped, the checksum would not match.
        inode = (status.st_dev, status.st_ino)
        mapped = self._maps.pop(inode, None) or _map(fd, status.st_size)
        self._maps[inode], self._lent[inode] = mapped, header.lease_id
        if len(self._maps) > self._max_regions:
            evicted, _ = self._maps.popitem(last=False)
            del self._lent[evicted]
        return mapped

    def withdraw(self, lease_id: str) -> None:
        """Drop the mapping of the region whose newest loan this was; while the loan is in use it stays readable."""
        for inode in [inode for inode, newest in self._lent.items() if newest == lease_id]:
            del self._maps[inode], self._lent[inode]

    def close(self) -> None:
        """Drop every mapping; one with a loan in use is unmapped when the loan ends."""
        self._maps.clear()
        self._lent.clear()


def _check_region(fd: int, status: os.stat_result, header: TensorHeader) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidTensor("the descriptor must be a sealed memfd, got something other than a regular file")
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError as error:
        raise InvalidTensor("the descriptor must be a sealed memfd, got a file without seals") from error
    if seals & _REQUIRED_SEALS != _REQUIRED_SEALS:
        raise InvalidTensor(
            f"the region must have the seals SHRINK, GROW and SEAL ({_REQUIRED_SEALS:#x}), got {seals:#x}"
        )
    if not header.nbytes <= status.st_size <= _MAX_REGION_BYTES:
        raise InvalidTensor(
            f"the region must have between {header.nbytes} bytes ({header.channels} channels of {header.frames} float32 samples) "
            f"and {_MAX_REGION_BYTES}, got {status.st_size}"
        )


def _map(fd: int, nbytes: int) -> mmap.mmap:
    try:
        # Without MAP_POPULATE: the pages exist, and the page faults of the checksum map sixteen at a time, which is cheaper.
        return mmap.mmap(fd, nbytes, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    except OSError as error:
        raise ResourceExhausted(
            f"cannot map a lent region of {nbytes} bytes: {error.strerror}", reason="OUT_OF_MEMORY", retry_after_s=2.0
        ) from error
