"""The journal's tables, the same for SQLite and PostgreSQL. Times are microseconds since 1970-01-01 UTC; JSON is text."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
    literal,
    text,
)

SCHEMA_VERSION = 11
"""Of the tables below; `migrations/versions/` has a file for each change."""

metadata = MetaData()

# SQLite assigns numbers, each only once, only to a column of exactly this type.
_Position = BigInteger().with_variant(Integer, "sqlite")


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows that ``where`` holds for. Only a query that contains the same condition uses it."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def is_one_of(column: Column[str], values: Iterable[str]) -> ColumnElement[bool]:
    """``column IN (…)`` for a statement that is built once: the number of values is fixed, so it is compiled once too."""
    return column.in_([literal(value) for value in sorted(values)])


meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("persona_id", Text, nullable=False),
    Column("create_us", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("next_version", Integer, nullable=False),
    Column("deleting", Boolean, nullable=False),
    Index("jobs_newest", "tenant", "create_us", "job_id"),
    Index("jobs_of_owner", "tenant", "owner", "create_us", "job_id"),
    Index("jobs_oldest", "owner", "create_us"),
    _partial("jobs_deleting", "owner", where="deleting IS true"),
)

job_labels = Table(
    "job_labels",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("rpc", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("job_id", Text, ForeignKey("jobs.job_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("stems_wanted", Boolean, nullable=False),
    Column("stem_mode", Text, nullable=False),
    Column("base_version", Integer, nullable=False),
    Column("rerendered_stem", Text, nullable=False),
    Column("brief", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("files", Text, nullable=False),
    Column("loudness", Text),
    Column("timings", Text, nullable=False),
    Column("error", Text),
    Column("checkpointed_stage", Text),
    Column("audio_s", Float, nullable=False),
    Column("work_s", Float),
    Column("expire_us", BigInteger),
    Column("create_us", BigInteger, nullable=False),
    Column("queued_us", BigInteger, nullable=False),
    Column("start_us", BigInteger),
    Column("end_us", BigInteger),
    Column("claim_token", Text),
    Column("worker", Text),
    Column("lease_s", Float),
    Column("heartbeats", BigInteger, nullable=False, server_default="0"),
    Column("lost_token", Text),
    Column("suspect", Boolean, nullable=False, server_default=false()),
    Column("waiting", Text),
    Column("waits", Text, nullable=False, server_default="{}"),
    Column("prompt_erased", Boolean, nullable=False, server_default=false()),
    Column("render_position", BigInteger),
    Column("stems_position", BigInteger),
    Column("tenant", Text, nullable=False, server_default=""),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("running_limit", Integer, nullable=False, server_default="0"),
    Column("delete_us", BigInteger),
    Index("versions_waiting", "owner", "state", "tenant", "priority", "queued_us", "job_id", "number"),
    _partial("versions_measured", "owner", "state", "stems_wanted", "end_us", where="work_s IS NOT NULL"),
    _partial("versions_expiring", "owner", "state", "expire_us", where="expire_us IS NOT NULL"),
    _partial("versions_deleting", "owner", where="delete_us IS NOT NULL AND files <> '{}'"),
    _partial("versions_rerendered", "rerendered_stem", "create_us", "job_id", "number", where="rerendered_stem <> ''"),
)

events = Table(
    "events",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("job_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("track", Text),
    Column("stage", Text),
    Column("attempt", Integer, nullable=False),
    Column("steps_done", Integer, nullable=False),
    Column("steps_total", Integer, nullable=False),
    Column("fraction", Float, nullable=False),
    Column("time_left_s", Float),
    Column("error", Text),
    Column("time_us", BigInteger, nullable=False),
    UniqueConstraint("job_id", "sequence"),
    Index("events_feed", "owner", "tenant", "position"),
    Index("events_of_owner", "owner", "position"),
    # A deleted row's position is never reused, so a cursor never skips a later event.
    sqlite_autoincrement=True,
)

audit_rows = Table(
    "audit_rows",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body_json", Text, nullable=False),
    Column("salt", Text),
    Column("prompt", Text),
    Column("personal", Text),
    Column("previous_digest", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("create_us", BigInteger, nullable=False),
    UniqueConstraint("tenant", "job_id", "version", "kind"),
    Index("audit_rows_of_job", "job_id", "sequence"),
)

measured_failures = Table(
    "measured_failures",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("rerendered_stem", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("create_us", BigInteger, nullable=False),
)
"""Measurements of deleted jobs' failed re-renders. The error holds the reason and numbers, no text of the caller."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("secret_sha256", Text, nullable=False),
    Column("limits", Text, nullable=False),
    Column("create_us", BigInteger, nullable=False),
    Column("expire_us", BigInteger),
    Column("revoke_us", BigInteger),
    Column("last_used_us", BigInteger),
    Column("replaced_by", Text),
)
"""``scopes`` is a JSON array, ``limits`` a JSON object; ``secret_sha256`` is 64 hex digits; ``replaced_by`` is a key id."""

tenant_turns = Table(
    "tenant_turns",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("virtual_s", Float, nullable=False),
)
"""Seconds of audio of start-time fair queuing, of each service: each tenant's, and with tenant '' the service's virtual time."""

tenant_usage = Table(
    "tenant_usage",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("audio_s", Float, nullable=False, server_default="0"),
    Column("upload_bytes", BigInteger, nullable=False, server_default="0"),
)
"""What a tenant used on a day in UTC; ``day`` counts from 1970-01-01."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("job_id", Text, ForeignKey("jobs.job_id", ondelete="CASCADE"), index=True),
    Column("url", Text, nullable=False),
    Column("kinds", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("start_position", BigInteger, nullable=False),
    Column("create_us", BigInteger, nullable=False),
    Column("disable_us", BigInteger),
    Column("request_id", Text),
    Index("webhooks_of_tenant", "tenant", "create_us", "webhook_id"),
    Index("webhooks_start", "start_position"),
    _partial("webhooks_requested", "tenant", "request_id", where="request_id IS NOT NULL", unique=True),
)
"""``job_id`` NULL: all jobs of the tenant. ``kinds`` is a JSON array. The feed's events after ``start_position`` are delivered."""

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("delivery_id", Text, primary_key=True),
    Column("webhook_id", Text, ForeignKey("webhooks.webhook_id", ondelete="CASCADE"), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("job_id", Text, ForeignKey("jobs.job_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sequence", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("earlier_attempts", Integer, nullable=False),
    Column("status_code", Integer),
    Column("problem", Text),
    Column("next_attempt_us", BigInteger),
    Column("create_us", BigInteger, nullable=False),
    Column("end_us", BigInteger),
    UniqueConstraint("webhook_id", "job_id", "sequence"),
    Index("webhook_deliveries_newest", "webhook_id", "create_us", "delivery_id"),
    _partial("webhook_deliveries_due", "owner", "webhook_id", "next_attempt_us", where="next_attempt_us IS NOT NULL"),
    _partial("webhook_deliveries_waiting", "tenant", "webhook_id", where="state = 'WAITING'"),
    _partial("webhook_deliveries_ended", "owner", "end_us", where="end_us IS NOT NULL"),
)
"""``earlier_attempts`` are those before the last retry that a caller asked for."""

_CHAINED = (
    "tenant",
    "sequence",
    "job_id",
    "version",
    "kind",
    "body_json",
    "previous_digest",
    "digest",
    "create_us",
)
_ERASABLE = ("prompt", "personal", "salt")
_SQLITE_SAME = " AND ".join(f"NEW.{column} IS OLD.{column}" for column in _CHAINED)
_POSTGRESQL_CHANGED = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in _CHAINED)
_SQLITE_ERASED = " AND ".join(f"(NEW.{column} IS NULL OR NEW.{column} IS OLD.{column})" for column in _ERASABLE)
_POSTGRESQL_SET = " OR ".join(
    f"(NEW.{column} IS NOT NULL AND NEW.{column} IS DISTINCT FROM OLD.{column})" for column in _ERASABLE
)

_SQLITE_TRIGGERS = (
    f"""CREATE TRIGGER audit_rows_keep BEFORE UPDATE ON audit_rows
        WHEN NOT ({_SQLITE_SAME} AND {_SQLITE_ERASED})
        BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END""",
    """CREATE TRIGGER audit_rows_stay BEFORE DELETE ON audit_rows
        BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END""",
)
_POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION audit_rows_refuse() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION ''audit rows are append-only''; END'""",
    f"""CREATE TRIGGER audit_rows_keep BEFORE UPDATE ON audit_rows FOR EACH ROW
        WHEN ({_POSTGRESQL_CHANGED} OR {_POSTGRESQL_SET})
        EXECUTE FUNCTION audit_rows_refuse()""",
    """CREATE TRIGGER audit_rows_stay BEFORE DELETE ON audit_rows
        FOR EACH ROW EXECUTE FUNCTION audit_rows_refuse()""",
    """CREATE TRIGGER audit_rows_whole BEFORE TRUNCATE ON audit_rows
        FOR EACH STATEMENT EXECUTE FUNCTION audit_rows_refuse()""",
)
for _dialect, _statements in (("sqlite", _SQLITE_TRIGGERS), ("postgresql", _POSTGRESQL_TRIGGERS)):
    for _statement in _statements:
        _trigger = DDL(_statement).execute_if(dialect=_dialect)  # type: ignore[no-untyped-call]
        event.listen(audit_rows, "after_create", _trigger)
