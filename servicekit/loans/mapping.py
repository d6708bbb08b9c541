"""Received descriptors are checked and mapped for reading."""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
from collections import OrderedDict

from servicekit.errors import InvalidTensor, ResourceExhausted
from servicekit.loans.messages import TensorHeader

_WANTED_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_MAX_REGION_BYTES = 1 << 30
"""A sealed file of more is no region of ours, whatever its header says."""


class RegionMaps:
    """The regions that one lender has lent, mapped read-only; closed with its connection.

    A lender lends the same few regions again and again. Their mappings are kept, since mapping and faulting in cost as much as
    reading; whether a loan is in use is told by its views, not by the mapping. The least recently lent goes first.
    """

    def __init__(self, max_regions: int = 4) -> None:
        self._max_regions = max_regions
        self._maps: OrderedDict[tuple[int, int], mmap.mmap] = OrderedDict()

    def map(self, fds: list[int], header: TensorHeader) -> mmap.mmap:
        """Map the one region that came with ``header``. The caller closes ``fds``.

        Raises InvalidTensor where it is not exactly one sealed memfd that holds the header's bytes, ResourceExhausted where
        there is no room for the mapping.
        """
        if len(fds) != 1:
            raise InvalidTensor(f"one descriptor is wanted with a loan, {len(fds)} came")
        (fd,) = fds
        status = os.fstat(fd)
        _check_region(fd, status, header)
        # An inode number is not given out again while the mapping holds its file; should 2^32 wrap, the checksum tells.
        inode = (status.st_dev, status.st_ino)
        mapped = self._maps.pop(inode, None) or _map(fd, status.st_size)
        self._maps[inode] = mapped
        if len(self._maps) > self._max_regions:
            self._maps.popitem(last=False)
        return mapped

    def close(self) -> None:
        """Let go of every mapping; those with loans in use end with them."""
        self._maps.clear()


def _check_region(fd: int, status: os.stat_result, header: TensorHeader) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidTensor("the descriptor is no regular file; a sealed memfd is wanted")
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError as error:
        raise InvalidTensor("the descriptor is no memfd: its file system has no seals") from error
    if seals & _WANTED_SEALS != _WANTED_SEALS:
        raise InvalidTensor(f"the region has seals {seals:#x}; SHRINK, GROW and SEAL ({_WANTED_SEALS:#x}) are wanted")
    if not header.nbytes <= status.st_size <= _MAX_REGION_BYTES:
        raise InvalidTensor(
            f"{header.channels} channels of {header.frames} float32 samples are {header.nbytes} bytes, the region has "
            f"{status.st_size}, and at most {_MAX_REGION_BYTES} are mapped"
        )


def _map(fd: int, nbytes: int) -> mmap.mmap:
    try:
        # Not MAP_POPULATE: the pages are there, and the checksum's faults map sixteen of them at a time, which is cheaper.
        return mmap.mmap(fd, nbytes, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    except OSError as error:
        raise ResourceExhausted(
            f"cannot map a lent region of {nbytes} bytes: {error.strerror}", reason="OUT_OF_MEMORY", retry_after_s=2.0
        ) from error
