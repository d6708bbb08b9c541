"""A PostgreSQL server that stands still, while its kernel goes on to accept connections and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from servicekit.journal.answer_limit import limit_answers
from tests.support.databases import frozen, postgresql_server

SILENT_S = 0.3  # less than a third of the long statement


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Its folder, and its URL for SQLAlchemy."""
    folder = tmp_path_factory.mktemp("pg")
    with postgresql_server(folder) as url:
        yield folder, url.replace("postgresql:", "postgresql+psycopg:") + "&connect_timeout=2"


def test_a_server_that_stands_still_is_given_up(server: tuple[Path, str]) -> None:
    """A statement on an open connection fails, and so does a new one; afterwards the same engine works."""
    folder, url = server
    engine = create_engine(url, pool_pre_ping=True)
    limit_answers(engine, silent_s=SILENT_S)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        with frozen(folder):
            with pytest.raises(OperationalError, match="has not answered") as given_up:
                connection.exec_driver_sql("SELECT 1")
            with pytest.raises(OperationalError, match="timeout"):
                engine.connect()
    assert given_up.value.connection_invalidated
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 7").scalar_one() == 7
    engine.dispose()


def test_a_long_statement_goes_on(server: tuple[Path, str]) -> None:
    """The server accepts connections meanwhile."""
    engine = create_engine(server[1])
    limit_answers(engine, silent_s=SILENT_S)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 7 FROM pg_sleep(1)").scalar_one() == 7
    engine.dispose()


def test_a_statement_beyond_every_limit_is_given_up(server: tuple[Path, str]) -> None:
    """Its backend may stand still though the server accepts connections."""
    engine = create_engine(server[1])
    limit_answers(engine, silent_s=SILENT_S, longest_s=SILENT_S)
    with engine.connect() as connection, pytest.raises(OperationalError, match="has not answered"):
        connection.exec_driver_sql("SELECT pg_sleep(60)")
    engine.dispose()
