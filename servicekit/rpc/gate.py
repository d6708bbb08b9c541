"""Whether a service takes calls: warming, serving or draining."""

from __future__ import annotations

from enum import Enum

from servicekit.errors import Unavailable


class Phase(Enum):
    """Where a service process stands."""

    WARMING = "warming"
    SERVING = "serving"
    DRAINING = "draining"


class Gate:
    """Holds the phase; calls that make new work ask it first."""

    def __init__(self) -> None:
        self.phase = Phase.WARMING

    def check(self) -> None:
        """Raise :class:`Unavailable` with a retry time unless serving."""
        if self.phase is Phase.WARMING:
            raise Unavailable(
                "models are being loaded; try again in a few seconds", reason="WARMING", retry_after_s=3.0
            )
        if self.phase is Phase.DRAINING:
            raise Unavailable(
                "the service is shutting down; try again in a minute", reason="DRAINING", retry_after_s=30.0
            )
