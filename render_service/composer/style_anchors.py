"""The vectors of the words and scenes that the style reader compares prompts with, stored beside this file.

They depend only on these texts and on the weights of the text encoder. To encode them takes longer than all else that a start does
after its imports. ``python scripts/style_anchors.py`` writes the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

_PATH = Path(__file__).with_suffix(".safetensors")
_VECTORS = "vectors"


def read_vectors(encoder_sha256: str, texts: Sequence[str]) -> NDArray[np.float32] | None:
    """The stored vectors ``(A, W)``; None if they are those of other texts or of another encoder."""
    with safe_open(_PATH, framework="numpy") as file:
        if file.metadata() != _facts(encoder_sha256, texts):
            return None
        vectors: NDArray[np.float32] = file.get_tensor(_VECTORS)
        return vectors


def write_vectors(encoder_sha256: str, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Replace the stored vectors."""
    save_file({_VECTORS: vectors}, _PATH, metadata=_facts(encoder_sha256, texts))


def _facts(encoder_sha256: str, texts: Sequence[str]) -> dict[str, str]:
    return {"encoder": encoder_sha256, "texts": hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()}
