"""xxh3-128 of samples, alone or on the way from one place to another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xxhash

_BLOCK_SAMPLES = 256 * 1024
"""1 MiB: the hash reads what the copy left in the cache."""


def copy_and_hash(target: npt.NDArray[np.float32], source: npt.NDArray[np.float32]) -> str:
    """Copy C-contiguous ``source`` to ``target`` of the same shape, block by block; the xxh3-128 of what arrived, as hex."""
    to, of, digest = target.reshape(-1), source.reshape(-1), xxhash.xxh3_128()
    for start in range(0, of.size, _BLOCK_SAMPLES):
        block = to[start : start + _BLOCK_SAMPLES]
        np.copyto(block, of[start : start + _BLOCK_SAMPLES])
        digest.update(block.data)
    return digest.hexdigest()
