"""A lender and a borrower in one process, connected by a socket."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from render_service.separation.codec import HandoffCodec
from separation_service.api.handoff_codec import ReceiveCodec
from servicekit.loans import Borrowings, BorrowLimits, LoanClient, LoanPool, LoanServer, LoanTimes

TIMES = LoanTimes(release_timeout_s=0.1, withdraw_timeout_s=0.05)


class Pair:
    """A borrower and a lender, connected by a socket in ``folder``."""

    def __init__(self, folder: Path, *, regions: int = 2, limits: BorrowLimits | None = None) -> None:
        self.path = folder / "private" / "loans.sock"
        self.borrowings = Borrowings(limits)
        self.server = LoanServer(self.path, ReceiveCodec(), self.borrowings)
        self.pool = LoanPool(max_regions=regions)
        self.client = LoanClient(self.path, HandoffCodec(), self.pool, times=TIMES)

    def lend(self, samples: np.ndarray) -> contextlib.AbstractContextManager:
        """Lend ``samples``."""
        return self.client.lend(samples, sample_rate_hz=44_100, job_id="job")


def ramp(frames: int, start: float = 0.0) -> np.ndarray:
    """Stereo samples that count up from ``start``."""
    return np.arange(2 * frames, dtype=np.float32).reshape(2, frames) + np.float32(start)
