"""Injected faults: at named points, with a seed and a rate, real code meets refusals, delays and losses.

As FoundationDB's Buggify. Off by default. For tests, and for operators who want to see what their installation withstands;
docs/robustness.md lists the points.
"""

from __future__ import annotations

import errno
import random
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from servicekit.errors import ResourceExhausted
from servicekit.logs import logger

_log = logger(__name__)
_MAX_MESSAGES = 16
_EXAMPLE = "seed=7,rate=0.01"


class FaultPoint(StrEnum):
    """Where a fault can be injected, and which."""

    JOURNAL_STATEMENT = "journal.statement"
    """The database refuses a statement."""
    JOURNAL_COMMIT_ANSWER = "journal.commit_answer"
    """The connection to PostgreSQL breaks after a commit, before its answer."""
    STORE_READ = "store.read"
    """The store refuses to open, read or look up an object."""
    STORE_WRITE = "store.write"
    """The store refuses an object, or the last byte of one."""
    STORE_SLOW = "store.slow"
    """The store takes a second longer."""
    LOG_WRITE = "log.write"
    """The log's disk is full."""
    PEER_REFUSAL = "peer.refusal"
    """separation_service refuses a call: its queue is full."""
    DEVICE_MEMORY = "device.memory"
    """The device has no memory left when its turn has come."""
    HANDOFF_CUT = "handoff.cut"
    """The stream of a call to separation_service breaks."""
    THREAD_DEATH = "thread.death"
    """A thread that works on jobs ends as soon as it starts, one that repeats before a round."""
    THREAD_START = "thread.start"
    """The system has no room for a thread in place of one that has died."""


@dataclass(frozen=True)
class Faults:
    """Decides at each point whether a fault occurs, by a random sequence of its own for each point. ``rate`` is the probability."""

    seed: int = 0
    rate: float = 0.0
    points: frozenset[FaultPoint] = frozenset(FaultPoint)
    forced: bool = False
    """Allowed although callers on other machines are affected."""
    _begun: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)
    _random: dict[FaultPoint, random.Random] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a setting such as ``seed=7,rate=0.01,points=store.read+store.write,force``. Raises ValueError."""
        if not text:
            return cls()
        values = dict(part.partition("=")[::2] for part in text.split(","))
        unknown = set(values) - {"seed", "rate", "points", "force"}
        if unknown:
            raise ValueError(f"must be like {_EXAMPLE}; unknown: {', '.join(sorted(unknown))}")
        try:
            seed, rate = int(values.get("seed", "0")), float(values["rate"])
            points = frozenset(map(FaultPoint, values["points"].split("+"))) if "points" in values else cls.points
        except (KeyError, ValueError) as error:
            known = ", ".join(FaultPoint)
            raise ValueError(f"must be like {_EXAMPLE}, with points among {known}, got {text!r}: {error}") from None
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"rate must be between 0 and 1, got {rate:g}")
        return cls(seed, rate, points, "force" in values)

    def __bool__(self) -> bool:
        return self.rate > 0.0

    def begin(self) -> None:
        """Inject from now on: a service begins when everything of it is built."""
        self._begun.set()

    def occurs(self, point: FaultPoint) -> bool:
        """Whether the fault of a point occurs now."""
        if not self or point not in self.points or not self._begun.is_set():
            return False
        with self._lock:
            if point not in self._random:
                self._random[point] = random.Random(f"{self.seed} {point}")  # noqa: S311  reproducible, not secret
            occurs = self._random[point].random() < self.rate
        if occurs and point is not FaultPoint.LOG_WRITE:
            _log.warning("fault injected", point=str(point))
        return occurs

    def cut_after(self) -> int | None:
        """At HANDOFF_CUT, the number of messages after which the stream of a call breaks; None where it does not."""
        if not self.occurs(FaultPoint.HANDOFF_CUT):
            return None
        with self._lock:
            return self._random[FaultPoint.HANDOFF_CUT].randrange(_MAX_MESSAGES)

    def refuse_log_write(self) -> None:
        """At LOG_WRITE, raise the OSError of a full disk."""
        if self.occurs(FaultPoint.LOG_WRITE):
            raise OSError(errno.ENOSPC, "injected")

    def refuse_thread(self) -> None:
        """At THREAD_START, raise the RuntimeError of a system without room for a thread."""
        if self.occurs(FaultPoint.THREAD_START):
            raise RuntimeError("injected: can't start new thread")

    def refuse_call(self) -> None:
        """At PEER_REFUSAL, raise ResourceExhausted QUEUE_FULL."""
        if self.occurs(FaultPoint.PEER_REFUSAL):
            raise ResourceExhausted("injected: no call is taken now", reason="QUEUE_FULL", retry_after_s=1.0)


NO_FAULTS = Faults()
"""The usual case."""
