"""When and how long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from sonichaos_client.errors import CallCancelled, ServiceFault, SonichaosError, Unavailable


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Waits that double up to a cap, each drawn between half and all of it, so that many clients do not come at once.

    ``patience_s`` bounds the waits in a row that brought nothing; a message that arrives starts anew.
    """

    first_s: float = 0.2
    cap_s: float = 5.0
    patience_s: float = 120.0


@dataclass
class Backoff:
    """The waits of one operation."""

    policy: RetryPolicy
    rng: random.Random
    _tries: int = field(default=0, init=False)
    _waited_s: float = field(default=0.0, init=False)

    def succeeded(self) -> None:
        """Something arrived: the next wait is short again."""
        self._tries = 0
        self._waited_s = 0.0

    def wait_s(self, error: SonichaosError) -> float:
        """Seconds to wait after ``error``; raises ``error`` when patience has run out.

        A wait that the service asked for by RetryInfo is kept to.
        """
        if self._waited_s >= self.policy.patience_s:
            raise error
        wanted_s: float = min(self.policy.first_s * 2**self._tries, self.policy.cap_s)
        wait_s = max(wanted_s * self.rng.uniform(0.5, 1.0), error.retry_after_s or 0.0)
        self._tries = min(self._tries + 1, 32)
        self._waited_s += wait_s
        return wait_s


def is_cut(error: SonichaosError) -> bool:
    """Whether a stream that ended with ``error`` was cut rather than refused.

    A proxy or a dying process ends a stream with UNAVAILABLE, or with INTERNAL, UNKNOWN or CANCELLED without a reason;
    an error that a service made on purpose carries one, and RetryInfo where trying again can help.
    """
    if isinstance(error, Unavailable) or error.retry_after_s is not None:
        return True
    return isinstance(error, ServiceFault | CallCancelled) and not error.reason
