"""xxh3-128 of samples while they are copied."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xxhash

_BLOCK_SAMPLES = 256 * 1024
"""1 MiB, so that the hash reads what the copy left in the cache."""


def copy_and_hash(target: npt.NDArray[np.float32], source: npt.NDArray[np.float32]) -> str:
    """Copy C-contiguous ``source`` to ``target`` of the same shape, block by block; returns the xxh3-128 of the copy as hex."""
    flat_target, flat_source, digest = target.reshape(-1), source.reshape(-1), xxhash.xxh3_128()
    for start in range(0, flat_source.size, _BLOCK_SAMPLES):
        block = flat_target[start : start + _BLOCK_SAMPLES]
        np.copyto(block, flat_source[start : start + _BLOCK_SAMPLES])
        digest.update(block.data)
    return digest.hexdigest()
