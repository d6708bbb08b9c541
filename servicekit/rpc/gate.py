"""Whether a service accepts work: warming, serving or draining."""

from __future__ import annotations

from enum import Enum

from servicekit.errors import Unavailable


class Phase(Enum):
    """The phase of a service process."""

    WARMING = "warming"
    SERVING = "serving"
    DRAINING = "draining"


class Gate:
    """Holds the phase; calls that create work check it first."""

    def __init__(self) -> None:
        self.phase = Phase.WARMING

    def check(self) -> None:
        """Raise :class:`Unavailable` with a retry time unless serving."""
        if self.phase is Phase.WARMING:
            raise Unavailable("models are loading; retry in a few seconds", reason="WARMING", retry_after_s=3.0)
        if self.phase is Phase.DRAINING:
            raise draining()


def draining() -> Unavailable:
    """The error for calls that a service does not take, or ends, because it shuts down."""
    return Unavailable("the service is shutting down; retry in a minute", reason="DRAINING", retry_after_s=30.0)
