"""How a separator runs: device, precision, batch size, runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RuntimeChoice = Literal["auto", "torch", "openvino"]
Precision = Literal["fp32", "reduced"]

DEFAULT_CUDA_BATCH = 8
"""Segments in a batch. On an H200, 16 gain little and 4 lose much (docs/decisions/0012-separation-engine.md)."""

MAX_CONCURRENT_SEGMENTS = 4
"""Segments that run at the same time on a CPU; each needs the memory of one forward pass."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """``runtime``: what runs the networks; ``auto`` uses OpenVINO where it is installed and faster (runtime.py).

    ``precision``: ``reduced`` runs the transformers in bfloat16 and the rest in float32, on a GPU in its TF32; agreement with
    demucs drops from above 90 dB to above 50 dB. ``batch``: segments in a batch, 0: one on a CPU, `DEFAULT_CUDA_BATCH` on a GPU.
    ``compiled``: fuse the networks with `torch.compile` on a GPU. ``cache``: folder for converted models; None converts on each
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
        """True if the device is a GPU."""
        return self.device.startswith("cuda")

    @property
    def max_running(self) -> int:
        """Batches that run at the same time, each on its share of the threads.

        Two on one thread each are faster than one on two.
        """
        return 1 if self.is_cuda or self.slots > 1 else min(self.threads, MAX_CONCURRENT_SEGMENTS)

    @property
    def slots(self) -> int:
        """Segments in a batch, with the default applied."""
        return self.batch or (DEFAULT_CUDA_BATCH if self.is_cuda else 1)
