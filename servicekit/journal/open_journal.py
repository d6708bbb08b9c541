"""An open journal: its database, the leases of this process, and the transactions that the journal's methods are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from servicekit.clock import Clock
from servicekit.errors import ServiceError
from servicekit.faults import Faults
from servicekit.journal.database import Database, Transaction
from servicekit.journal.leases import Leases
from servicekit.journal.liveness import Liveness
from servicekit.journal.reaping import CrashPolicy
from servicekit.journal.tokens import Sealer
from servicekit.journal.wakeups import Wakeups

_NOT_WRITTEN = frozenset({"STORE_UNAVAILABLE", "DISK_FULL"})


class OpenJournal:
    """Open with :meth:`open`; close with a ``with`` block or :meth:`close`.

    ``sealer`` makes the tokens of other lists too: its key is the journal's, so that every process of an installation opens them.
    """

    def __init__(self, database: Database, liveness: Liveness, clock: Clock, max_crashes: int = 3) -> None:
        self._database = database
        self._liveness = liveness
        self._leases = Leases(liveness, clock)
        self._crash_policy = CrashPolicy(self._leases, max_crashes)
        self.sealer = Sealer(database.token_key)
        self._wakeups = Wakeups()

    @classmethod
    def open(cls, url: str, *, clock: Clock, max_crashes: int = 3) -> Self:
        """Open or create the journal at ``sqlite:////absolute/file`` or ``postgresql://…``.

        A version fails when its worker crashes for the ``max_crashes``-th time. Raises :class:`SchemaError` where another
        release wrote the journal, ValueError for any other kind of URL.
        """
        return cls._of(Database.open(url, clock=clock), clock, max_crashes)

    @classmethod
    def open_existing(cls, url: str, *, clock: Clock) -> Self:
        """As :meth:`open`, for a program beside the services: creates no journal and changes no tables.

        Raises :class:`SchemaError` where there is no journal or where it has another release's tables.
        """
        return cls._of(Database.open_existing(url, clock=clock), clock, 3)

    @classmethod
    def _of(cls, database: Database, clock: Clock, max_crashes: int) -> Self:
        folder = database.path.with_name(database.path.name + "-alive") if database.path else None
        return cls(database, Liveness(folder), clock, max_crashes)

    @property
    def identity(self) -> str:
        """The same for every process that uses this journal, another for any other journal."""
        return hashlib.sha256(b"identity" + self._database.token_key).hexdigest()[:32]

    @property
    def clock(self) -> Clock:
        """A clock with the journal's time of day: the database's on PostgreSQL, so that all hosts agree."""
        return self._database.clock

    def inject(self, faults: Faults) -> None:
        """From now on, the database refuses statements where ``faults`` says so."""
        self._database.inject(faults)

    def close(self) -> None:
        """Close every connection. Other workers can claim this process's versions at once."""
        self._liveness.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        try:
            with self._database.writing() as tx:
                yield tx
        except ServiceError as error:
            if error.reason in _NOT_WRITTEN:
                self._leases.interrupt()
            raise
        if tx.events:
            self._wakeups.notify(tx.events)
