"""Brings a journal's tables to the schema of this release, or back to an earlier one, with the Alembic migrations of `migrations/`.

A new journal gets the newest tables at once. Alembic's table ``alembic_version`` names the schema. ``meta.schema_version`` repeats
it: releases before Alembic read it there, and so refuse a newer journal.
"""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select, update

from servicekit.journal import schema

_FOLDER = Path(__file__).parent / "migrations"
_revisions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_NEWER = "run the release that wrote it, or use another journal"
# Alembic keeps its context in module globals.
_alembic = threading.Lock()


class SchemaError(RuntimeError):
    """The database was written by another release of this program."""


def prepare(connection: Connection) -> bytes:
    """Create or upgrade the tables, in the caller's transaction; returns the key for sealing tokens.

    Raises :class:`SchemaError` for a journal of a newer release.
    """
    if not inspect(connection).has_table(schema.meta.name):
        schema.metadata.create_all(connection)
        facts = {"schema_version": str(schema.SCHEMA_VERSION), "token_key": secrets.token_hex(32)}
        connection.execute(insert(schema.meta), [{"name": name, "value": value} for name, value in facts.items()])
    written = read_version(connection)
    if written > schema.SCHEMA_VERSION:
        raise SchemaError(
            f"this program needs journal schema {schema.SCHEMA_VERSION}, the journal has {written}, which is newer; "
            f"{_NEWER}"
        )
    if written < schema.SCHEMA_VERSION:
        migrate(connection, schema.SCHEMA_VERSION)
    return _token_key(connection)


def read_key(connection: Connection) -> bytes:
    """The key for sealing tokens of a journal with this release's tables. Changes nothing. Raises :class:`SchemaError`."""
    tables = inspect(connection)
    if not tables.has_table(schema.meta.name):
        raise SchemaError("there is no journal in this database; start the services once, or name their journal")
    stated = connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == "schema_version")).scalar_one()
    written = int(stated)
    if written != schema.SCHEMA_VERSION:
        advice = "start the services of this release, which upgrade it" if written < schema.SCHEMA_VERSION else _NEWER
        raise SchemaError(
            f"this program needs journal schema {schema.SCHEMA_VERSION}, the journal has {written}; {advice}"
        )
    return _token_key(connection)


def _token_key(connection: Connection) -> bytes:
    stated = connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == "token_key")).scalar_one()
    return bytes.fromhex(stated)


def read_version(connection: Connection) -> int:
    """The journal's schema version. Marks a journal that was written before Alembic, or just now, with its revision."""
    if inspect(connection).has_table(_revisions.name):
        return int(connection.execute(select(_revisions.c.version_num)).scalar_one())
    stated = connection.execute(select(schema.meta.c.value).where(schema.meta.c.name == "schema_version")).scalar_one()
    _revisions.create(connection)
    connection.execute(insert(_revisions).values(version_num=_revision(int(stated))))
    return int(stated)


def migrate(connection: Connection, version: int) -> None:
    """Upgrade or downgrade to a schema version, in the caller's transaction. Raises ValueError for an unknown version."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if _revision(version) not in known:
        raise ValueError(f"the journal's schema version must be between 1 and {schema.SCHEMA_VERSION}, got {version}")
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # an index of a long history takes minutes
    step = command.upgrade if version > read_version(connection) else command.downgrade
    with _alembic:
        step(config, _revision(version))
    stated = update(schema.meta).where(schema.meta.c.name == "schema_version")
    connection.execute(stated.values(value=str(version)))


def _revision(version: int) -> str:
    return f"{version:04}"
