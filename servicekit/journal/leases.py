"""Which claims are abandoned: judged by what this process observes and by its monotonic clock, never by the time of day.

Every heartbeat changes a claim's row. A worker is silent if the row has not changed for a whole lease while this process
observed it and the journal accepted writes. After a gap the observation starts anew. So neither a clock that jumps, nor hosts
whose clocks differ, nor a suspended machine, nor a journal outage can end a lease. Kubernetes elects leaders in the same way
(client-go, tools/leaderelection).

A process knows its own claims: while their work lives, nothing takes them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Row

from servicekit.clock import Clock
from servicekit.journal.liveness import Liveness

_GAPS_PER_LEASE = 3.0
"""A gap of more than a third of the lease interrupts an observation."""
_FORGET_S = 600.0


class Loss(Enum):
    """Why a claim is abandoned."""

    DEAD = "its process has died"
    SILENT = "no heartbeat for the whole lease"
    UNUSED = "no work in its process holds it"
    REVOKED = "it was taken from its worker"

    @property
    def is_crash(self) -> bool:
        """True where the work may have killed its process."""
        return self in {Loss.DEAD, Loss.SILENT}


@dataclass
class _Observation:
    """The newest heartbeat of a claim, how long it has been the newest (seconds), and when it was last looked at."""

    heartbeats: int
    silent_s: float
    looked_s: float


class Leases:
    """The claims of this process, and its observations of those of others. Safe to use from any thread."""

    def __init__(self, liveness: Liveness, clock: Clock) -> None:
        self._liveness = liveness
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, float] = {}
        self._observed: dict[str, _Observation] = {}

    @property
    def worker(self) -> str:
        """The name under which this process claims versions."""
        return self._liveness.name

    def hold(self, token: str) -> None:
        """Nothing takes this claim of this process until :meth:`drop`; called before the claim is written."""
        with self._lock:
            self._held[token] = self._clock.monotonic_s()

    def drop(self, token: str) -> None:
        """No work holds this claim any more: if its row still has it, it is abandoned."""
        with self._lock:
            self._held.pop(token, None)

    def held_s(self, token: str) -> float | None:
        """For how many seconds this process has held a claim; None for one that it does not hold."""
        with self._lock:
            since_s = self._held.get(token)
        return None if since_s is None else self._clock.monotonic_s() - since_s

    def interrupt(self) -> None:
        """The journal did not accept a write, so other workers could not write a heartbeat either: observe anew."""
        with self._lock:
            self._observed.clear()

    def losses(self, claimed: Iterable[Row[Any]]) -> dict[str, Loss]:
        """Look at claimed versions, rows of ``versions``; returns the token of each abandoned claim with the reason."""
        rows = list(claimed)
        alive = {row.worker: not self._liveness.is_dead(row.worker) for row in rows if row.worker}
        found = {}
        with self._lock:
            now_s = self._clock.monotonic_s()
            self._observed = {
                token: seen for token, seen in self._observed.items() if now_s - seen.looked_s < _FORGET_S
            }
            for row in rows:
                loss = self._loss(row, now_s, alive=alive.get(row.worker, False))
                if loss is not None:
                    found[row.claim_token] = loss
        return found

    def _loss(self, row: Row[Any], now_s: float, *, alive: bool) -> Loss | None:
        if row.worker is None:
            return Loss.REVOKED
        if row.worker == self.worker:
            return None if row.claim_token in self._held else Loss.UNUSED
        if not alive:
            return Loss.DEAD
        return Loss.SILENT if row.lease_s is None or self._silent_s(row, now_s) > row.lease_s else None

    def _silent_s(self, row: Row[Any], now_s: float) -> float:
        seen = self._observed.get(row.claim_token)
        gap_s = now_s - seen.looked_s if seen else 0.0
        if seen is None or seen.heartbeats != row.heartbeats or gap_s > row.lease_s / _GAPS_PER_LEASE:
            seen = self._observed[row.claim_token] = _Observation(row.heartbeats, 0.0, now_s)
        else:
            seen.silent_s += gap_s
            seen.looked_s = now_s
        return seen.silent_s
