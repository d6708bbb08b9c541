"""The level of samples, measured as ``sonichaos verify`` measures it, to a hundredth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.verify.loudness import Meter
from sonichaos_client.verify.wav import BLOCK_FRAMES


@dataclass(frozen=True)
class Level:
    """Integrated loudness in LUFS and true peak in dBTP; None for silence."""

    lufs: float | None
    true_peak_dbtp: float | None

    def louder_by(self, gain_db: float) -> Level:
        """The level after a gain."""
        return Level(_plus(self.lufs, gain_db), _plus(self.true_peak_dbtp, gain_db))

    def message(self) -> job_pb2.Loudness:
        """As a protobuf message."""
        return job_pb2.Loudness(lufs=self.lufs, true_peak_dbtp=self.true_peak_dbtp)


def measure(pcm: NDArray[np.int32]) -> Level:
    """The level of 24-bit samples ``(2, N)``."""
    meter = Meter()
    for start in range(0, pcm.shape[1], BLOCK_FRAMES):
        meter.add(pcm[:, start : start + BLOCK_FRAMES])
    return Level(_plus(meter.lufs(), 0.0), _plus(meter.true_peak_dbtp(), 0.0))


def _plus(value: float | None, gain_db: float) -> float | None:
    return None if value is None else round(value + gain_db, 2)
