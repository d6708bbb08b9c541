"""Connections to PostgreSQL that give up on a server which has stopped answering. Needs psycopg.

The limits of the server itself end nothing while it stands still, as a suspended host does whose kernel goes on to acknowledge what
is sent. The driver would wait without end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.errors import ConnectionTimeout
from sqlalchemy import Engine, event

SILENT_S = 5.0
"""A server that has sent nothing for this long is asked for another connection."""
LONGEST_S = 75.0
"""Longer than the limit of a statement: the server would have answered."""
R = TypeVar("R")


class LimitedConnection(Connection[Any]):
    """A connection that closes and raises OperationalError where its server has stopped answering.

    It has where it neither answers for ``silent_s`` nor accepts another connection within the ``connect_timeout`` of this one, and
    where it does not answer for ``longest_s``. A statement that takes long on a server that accepts connections goes on.
    """

    silent_s: float = SILENT_S
    longest_s: float = LONGEST_S
    connect_another: Callable[[], Connection[Any]] | None = None

    def wait(self, gen: Generator[Any, Any, R], *limits: Any, **named: Any) -> R:  # noqa: ANN401  those of the base class
        """As in the base class."""
        return super().wait(_watched(gen, self._check_server, self.silent_s), *limits, **named)

    def _check_server(self, waited_s: float) -> None:
        if self.connect_another is None:  # this connection is not set up yet
            return
        try:
            if waited_s < self.longest_s:
                self.connect_another().close()
                return
        except ConnectionTimeout:
            pass
        except OperationalError:
            return  # it answers, with a refusal
        self.pgconn.finish()
        raise OperationalError(f"the server has not answered for {waited_s:.0f} s")


def limit_answers(engine: Engine, *, silent_s: float = SILENT_S, longest_s: float = LONGEST_S) -> None:
    """Have an engine open `LimitedConnection`."""

    def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> LimitedConnection:
        connection = LimitedConnection.connect(*arguments, **options)
        connection.silent_s, connection.longest_s = silent_s, longest_s
        connection.connect_another = partial(Connection.connect, *arguments, **options)
        return connection

    event.listen(engine, "do_connect", connect)


def _watched(
    gen: Generator[Any, Any, R], check_server: Callable[[float], None], silent_s: float
) -> Generator[Any, Any, R]:
    """As ``gen``, which is a generator of psycopg. Calls ``check_server`` after each ``silent_s`` of silence, with all of it."""
    heard_s = checked_s = time.monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            now_s = time.monotonic()
            if ready:
                heard_s = checked_s = now_s
            elif now_s - checked_s >= silent_s:
                check_server(now_s - heard_s)
                checked_s = time.monotonic()
            wanted = gen.send(ready)
    except StopIteration as ended:
        result: R = ended.value
        return result
