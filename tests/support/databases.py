"""Empty databases for tests that run on SQLite and PostgreSQL, and journals that earlier releases wrote."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine, create_engine, text

from tests.support.journal_rows import url_of

KEPT = Path(__file__).parent / "kept_journals"
SQLITE, POSTGRESQL = "sqlite", "postgresql"


@contextmanager
def postgresql_server(folder: Path) -> Iterator[str]:
    """A PostgreSQL server on a Unix socket; the URL of its administration database. Skips the test where the packages lack."""
    pgserver = pytest.importorskip("pgserver", reason="needs the PyPI packages pgserver and psycopg")
    pytest.importorskip("psycopg", reason="needs the PyPI packages pgserver and psycopg")
    try:
        started = pgserver.get_server(folder)
    except (
        subprocess.CalledProcessError,
        FileNotFoundError,
    ):  # its pg_ctl has died by SIGSEGV before it did anything, rarely
        started = pgserver.get_server(folder)
    try:
        yield started.get_uri()
    finally:
        started.cleanup()


def postgresql_programs() -> Path:
    """The folder of the programs of that server's release, such as pg_dump and psql."""
    pgserver = pytest.importorskip("pgserver", reason="needs the PyPI packages pgserver and psycopg")
    return Path(pgserver.__file__).parent / "pginstall" / "bin"


@contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """During the block the server in ``folder`` and its backends stand still; the kernel accepts connections and bytes for them."""
    server = psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))
    stopped: list[psutil.Process] = []
    try:
        for process in (server, *server.children(recursive=True)):  # the server first: it starts no other backends then
            process.suspend()
            stopped.append(process)
        yield
    finally:
        for process in stopped:
            process.resume()


def raw_engine(url: str, *, autocommit: bool = False) -> Engine:
    """A database without the journal's code."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    return engine.execution_options(isolation_level="AUTOCOMMIT") if autocommit else engine


def execute(url: str, *statements: str) -> None:
    """Run statements, each on its own."""
    engine = raw_engine(url, autocommit=True)
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def empty_database(server: str, name: str = "journal") -> str:
    """The URL of an empty database of a PostgreSQL server."""
    execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


def kept_journal(schema_version: int, url: str, folder: Path) -> None:
    """Fill an empty database with the journal that the last release of a schema wrote."""
    if url == url_of(folder):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
            raw.executescript((KEPT / f"schema_{schema_version}_sqlite.sql").read_text())
        return
    engine = raw_engine(url, autocommit=True)
    with engine.connect() as connection:
        connection.exec_driver_sql((KEPT / f"schema_{schema_version}_postgresql.sql").read_text())
    engine.dispose()
