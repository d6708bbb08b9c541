"""Transactions on SQLite or PostgreSQL. There is one writer at a time, so numbers are committed in ascending order."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from servicekit.clock import Clock, from_micros, to_micros
from servicekit.errors import Internal, OutcomeUnknown, ResourceExhausted, ServiceError, Unavailable
from servicekit.faults import NO_FAULTS, FaultPoint, Faults
from servicekit.journal.clock_steps import clock_offset_us, follow_clock, is_step
from servicekit.journal.migrate import SchemaError, prepare, read_key
from servicekit.journal.rows import Event

_WRITE = "journal_write"
_TRANSACTION_ID = "journal_transaction_id"
_BEGUN_US = "journal_begun_us"
_STATUS = text("SELECT pg_xact_status(CAST(:id AS xid8))")
# How long the outcome of a commit is asked for that was not answered.
_ASK_S = 5.0
_ASK_INTERVAL_S = 0.2
_BUSY_S = 30.0
_PURGE_WAIT_MS = 500
# Key of the advisory lock. Any number works that every writer of the same PostgreSQL database uses.
_POSTGRESQL_WRITER = 0x736F6E69

# In seconds, tcp_user_timeout in milliseconds. Source: PostgreSQL, "Parameter Key Words" of libpq.
_POSTGRESQL_LIMITS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# A writer that stops answering inside its transaction is disconnected before those that wait for it give up.
_POSTGRESQL_OPTIONS = "-c idle_in_transaction_session_timeout=10s -c lock_timeout=20s -c statement_timeout=60s"
# Held until the commit is visible, so numbers become visible in ascending order. The time is read after the lock was granted.
_POSTGRESQL_BEGIN = f"""
    SELECT pg_current_xact_id()::text, pg_advisory_xact_lock({_POSTGRESQL_WRITER}),
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
"""  # noqa: S608
_POOL_TIMEOUT_S = 10.0


class JournalClock:
    """A `Clock` with the time of day of PostgreSQL, so that hosts whose clocks differ agree; with SQLite the process's own.

    Between two readings of the database's time, a clock that does not jump goes on from the last.
    """

    def __init__(self, local: Clock) -> None:
        self._local = local
        self._read: tuple[int, float] | None = None

    def set_now(self, now_us: int) -> None:
        """The database's time is ``now_us``."""
        self._read = (now_us, self._local.monotonic_s())

    def now(self) -> datetime:
        """The wall time in UTC."""
        if self._read is None:
            return self._local.now()
        read_us, read_s = self._read
        return from_micros(read_us + round((self._local.monotonic_s() - read_s) * 1e6))

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary time."""
        return self._local.monotonic_s()

    def boot_s(self) -> float:
        """Seconds since this machine started."""
        return self._local.boot_s()


@dataclass
class Transaction:
    """An open write transaction. ``now_us`` is its time (microseconds since 1970-01-01 UTC), ``events`` what it appended."""

    connection: Connection
    now_us: int
    events: list[Event] = field(default_factory=list)


class Database:
    """Opens transactions: readers see one snapshot, and there is one writer at a time."""

    def __init__(self, engine: Engine, *, path: Path | None, clock: Clock) -> None:
        self._engine = engine
        self.clock = JournalClock(clock)
        self._writer = threading.Lock()
        self.path = path
        self.token_key = b""
        self._faults = NO_FAULTS
        self._recorded_offset_us: int | None = None

    @classmethod
    def open(cls, url: str, *, clock: Clock) -> Self:
        """Open or create the database, and upgrade its tables.

        ``url`` is ``sqlite:////absolute/file`` or ``postgresql://…``. Raises :class:`SchemaError` for a database of a newer
        release, ValueError for any other kind of URL.
        """
        database = cls.connect(url, clock=clock)
        with database.writing() as tx:
            database.token_key = prepare(tx.connection)
        return database

    @classmethod
    def open_existing(cls, url: str, *, clock: Clock) -> Self:
        """As :meth:`open`, but raises :class:`SchemaError` where there is no database, or one with another release's tables."""
        path = _path_of(url)
        if path is not None and not path.exists():
            raise SchemaError(f"there is no journal at {path}; start the services once, or name their data folder")
        database = cls.connect(url, clock=clock)
        try:
            with database.reading() as connection:
                database.token_key = read_key(connection)
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def connect(cls, url: str, *, clock: Clock) -> Self:
        """As :meth:`open`, but the tables stay as they are."""
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ValueError(_bad_url(url)) from None
        if parsed.get_backend_name() == "sqlite":
            engine, path = _sqlite(parsed)
            database = cls(engine, path=path, clock=clock)
        elif parsed.get_backend_name() == "postgresql":
            database = cls(_postgresql(parsed), path=None, clock=clock)
        else:
            raise ValueError(_bad_url(url))
        event.listen(database._engine, "begin", _begin)
        return database

    def inject(self, faults: Faults) -> None:
        """From now on, refuse statements where ``faults`` says so."""

        def refuse(*_arguments: object) -> None:
            if faults.occurs(FaultPoint.JOURNAL_STATEMENT):
                raise OperationalError("injected", None, ConnectionError("injected"))

        self._faults = faults
        event.listen(self._engine, "before_cursor_execute", refuse)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose queries all see the same snapshot."""
        with _service_errors("read"), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """The only write transaction of all processes; committed at the end of the block."""
        with _service_errors("write"), self._writing(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITE: True})
            with connection.begin() as transaction:
                transaction_id = connection.info.get(_TRANSACTION_ID)
                recorded_us = self._recorded_offset_us
                if self.path is None:
                    self.clock.set_now(connection.info[_BEGUN_US])
                elif self.token_key and self.clock_was_set():  # its tables are there
                    recorded_us = follow_clock(connection, clock_offset_us(self.clock))
                yield Transaction(connection, self.now_us())
                try:
                    transaction.commit()
                    self._lose_answer(transaction_id)
                except DBAPIError as error:
                    if not error.connection_invalidated or transaction_id is None:
                        raise
                    if not self._was_committed(transaction_id, error):
                        raise
                self._recorded_offset_us = recorded_us

    def now_us(self) -> int:
        """The journal's time: microseconds since 1970-01-01 UTC."""
        return to_micros(self.clock.now())

    def clock_was_set(self) -> bool:
        """Whether the next write transaction may move expiries; never with PostgreSQL."""
        recorded_us = self._recorded_offset_us
        return self.path is not None and (recorded_us is None or is_step(recorded_us, clock_offset_us(self.clock)))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """This process's turn to write."""
        if not self._writer.acquire(timeout=_BUSY_S):
            raise _unavailable(f"another thread has been writing for {_BUSY_S:.0f} s", "write")
        try:
            yield
        finally:
            self._writer.release()

    def _lose_answer(self, transaction_id: str | None) -> None:
        """At JOURNAL_COMMIT_ANSWER, fail as if the connection had broken; with SQLite nothing can be lost on the way."""
        if transaction_id is not None and self._faults.occurs(FaultPoint.JOURNAL_COMMIT_ANSWER):
            raise OperationalError("injected", None, ConnectionError("injected"), connection_invalidated=True)

    def _was_committed(self, transaction_id: str, lost: DBAPIError) -> bool:
        """Whether a transaction whose COMMIT was not answered took effect. Raises OutcomeUnknown where it cannot be asked."""
        deadline_s = time.monotonic() + _ASK_S
        while True:
            try:
                with self._engine.connect() as plain:
                    connection = plain.execution_options(**{_WRITE: True})
                    with connection.begin():  # waits until that transaction, which has the writers' lock, has ended
                        status = connection.execute(_STATUS, {"id": transaction_id}).scalar_one()
            except DBAPIError as error:
                if time.monotonic() > deadline_s:
                    raise OutcomeUnknown(
                        f"the journal did not answer a commit, which may have taken effect ({lost.orig}); retry",
                        metadata={"operation": "journal write"},
                        retry_after_s=5.0,
                    ) from error
                time.sleep(_ASK_INTERVAL_S)
            else:
                return bool(status == "committed")

    def purge_overwritten(self) -> bool:
        """Remove overwritten values from SQLite's write-ahead log too.

        False where readers still use the log. False with PostgreSQL, whose VACUUM and recycling of its log do this in their time.
        """
        if self.path is None:
            return False
        with _service_errors("checkpoint"), self._writing(), self._engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={_PURGE_WAIT_MS}")
            try:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                busy = cursor.fetchall()[0][0]
            finally:
                cursor.execute(f"PRAGMA busy_timeout={round(_BUSY_S * 1000)}")
            return not busy


def _path_of(url: str) -> Path | None:
    """The file of a SQLite journal; None for any other URL. Raises ValueError for one that is no URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(_bad_url(url)) from None
    return _file(parsed) if parsed.get_backend_name() == "sqlite" else None


def _file(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise ValueError("a SQLite journal needs a file: sqlite:////absolute/file")
    return Path(url.database).absolute()


def _sqlite(url: URL) -> tuple[Engine, Path]:
    path = _file(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    # SQLite creates its log and index files with the mode of the database file.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        url.set(database=str(path)),
        connect_args={"timeout": _BUSY_S, "check_same_thread": False},
        pool_size=8,
        max_overflow=24,
    )
    event.listen(engine, "connect", _set_up_sqlite)
    return engine, path


def _postgresql(url: URL) -> Engine:
    """Every wait has a limit. What the URL says itself, such as ``?connect_timeout=30``, counts instead."""
    from servicekit.journal.answer_limit import limit_answers  # installations with SQLite only have no psycopg

    limits: dict[str, object] = {name: value for name, value in _POSTGRESQL_LIMITS.items() if name not in url.query}
    limits["options"] = " ".join(
        [_POSTGRESQL_OPTIONS, *url.normalized_query.get("options", ())]
    )  # the last of a name counts
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=limits,
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=8,
        pool_timeout=_POOL_TIMEOUT_S,
    )
    limit_answers(engine)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401  a DBAPI connection has no type
    connection.isolation_level = None  # _begin starts transactions, not the driver
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")  # no free page keeps an erased prompt


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Retry while another process creates the same file: SQLite's busy timeout does not cover this statement."""
    deadline_s = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)
        else:
            return


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
    elif write:
        transaction_id, _, begun_us = connection.exec_driver_sql(_POSTGRESQL_BEGIN).one()
        connection.info.update({_TRANSACTION_ID: transaction_id, _BEGUN_US: begun_us})
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _bad_url(url: str) -> str:
    """Says what is wrong without the URL, which may have a password."""
    scheme, separator, _ = url.partition("://")
    got = f"one with the scheme {scheme!r}" if separator else "one without a scheme"
    return f"the journal URL must be sqlite:////absolute/file or postgresql://host/name, got {got}"


@contextmanager
def _service_errors(operation: str) -> Iterator[None]:
    """Turn database failures that an operator can fix into a ServiceError."""
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError):
        raise  # a bug in this program; a retry cannot help
    except DBAPIError as error:
        raise _service_error(error.orig, operation) from error.orig  # its own text has the statement's values
    except PoolTimeout as error:
        raise _service_error(error, operation) from error


def _service_error(cause: BaseException | None, operation: str) -> ServiceError:
    full = (
        getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) == "53100"
    )
    if full:
        return ResourceExhausted(
            "the journal's disk is full; free some space, then retry",
            reason="DISK_FULL",
            metadata={"path": "journal"},
            retry_after_s=60.0,
        )
    if getattr(cause, "sqlite_errorcode", None) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return Internal(
            f"the journal's file is damaged or is not a journal ({cause}); restore it from a backup (docs/tasks/backup.md)"
        )
    return _unavailable(cause, operation)


def _shown(cause: object) -> str:
    """What callers may read of a cause. PostgreSQL's messages have its address, user and database; logs have them."""
    if isinstance(cause, str | sqlite3.Error | PoolTimeout):
        return str(cause)
    state = getattr(cause, "sqlstate", None)
    return f"its database answered {state}" if state else "no connection to its database"


def _unavailable(cause: object, operation: str) -> Unavailable:
    return Unavailable(
        f"the journal does not answer ({_shown(cause)}); retry",
        reason="STORE_UNAVAILABLE",
        metadata={"operation": f"journal {operation}"},
        retry_after_s=5.0,
    )
