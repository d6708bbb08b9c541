"""A received descriptor is checked and mapped for reading."""

from __future__ import annotations

import fcntl
import mmap
import os
import stat

from servicekit.errors import InvalidTensor, ResourceExhausted
from servicekit.loans.messages import TensorHeader

_WANTED_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_MAX_REGION_BYTES = 1 << 32
"""A sealed file of more is no region of ours, whatever its header says."""


def map_lent_region(fds: list[int], header: TensorHeader) -> mmap.mmap:
    """Map the one region that came with ``header``, read-only and faulted in. The caller closes ``fds``.

    Raises InvalidTensor where it is not exactly one sealed memfd that holds the header's bytes, ResourceExhausted where there is
    no room for the mapping.
    """
    if len(fds) != 1:
        raise InvalidTensor(f"one descriptor is wanted with a loan, {len(fds)} came")
    (fd,) = fds
    status = os.fstat(fd)
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
            f"{status.st_size}"
        )
    try:
        return mmap.mmap(fd, header.nbytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ)
    except OSError as error:
        raise ResourceExhausted(
            f"cannot map a lent region of {header.nbytes} bytes: {error.strerror}",
            reason="OUT_OF_MEMORY",
            retry_after_s=2.0,
        ) from error
