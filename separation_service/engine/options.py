"""How a separator is to run, and what was chosen where the operator left the choice open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RuntimeChoice = Literal["auto", "torch", "openvino"]
Precision = Literal["fp32", "reduced"]

DEFAULT_CUDA_BATCH = 8
"""Segments in a batch. On an H200, 16 gain little and 4 lose much (docs/decisions/0012-separation-engine.md)."""

MOST_AT_ONCE = 4
"""Segments at a time on a CPU: each takes a forward's memory."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """``runtime``: what runs the networks; ``auto`` takes OpenVINO where it is installed and pays (loading.py).

    ``precision``: ``reduced`` runs the transformers in bfloat16 and the rest in float32, on a GPU in its TF32; agreement with
    demucs falls from above 90 to above 50 dB. ``batch``: segments in a batch, 0: one on a CPU, `DEFAULT_CUDA_BATCH` on a GPU.
    ``compiled``: let `torch.compile` fuse the networks on a GPU. ``cache``: folder for converted models; None converts at each
    start.
    """

    device: str = "cpu"
    threads: int = 1
    runtime: RuntimeChoice = "torch"
    precision: Precision = "fp32"
    batch: int = 0
    compiled: bool = True
    cache: Path | None = None

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.startswith("cuda")

    @property
    def at_once(self) -> int:
        """Batches that run at a time, each on its share of the threads: two on one thread each get more done than one on two."""
        return 1 if self.is_cuda or self.slots > 1 else min(self.threads, MOST_AT_ONCE)

    @property
    def slots(self) -> int:
        """Segments in a batch, the default filled in."""
        return self.batch or (DEFAULT_CUDA_BATCH if self.is_cuda else 1)
