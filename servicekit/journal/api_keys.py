"""The API keys of an installation: recorded without their secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from servicekit.access.api_key import ApiKey, ApiKeyState, NewApiKey
from servicekit.access.caller import Scope
from servicekit.clock import from_micros, to_micros
from servicekit.errors import FailedPrecondition
from servicekit.journal.database import Transaction
from servicekit.journal.open_journal import OpenJournal
from servicekit.journal.schema import api_keys


class ApiKeyMethods(OpenJournal):
    """Every method is one transaction; see `servicekit.journal.journal` for the errors that all of them raise."""

    def create_api_key(self, new: NewApiKey) -> ApiKey:
        """Record a key, whose id must be new."""
        with self._writing() as tx:
            return _create(tx, new)

    def find_api_key(self, key_id: str) -> ApiKey | None:
        """The key of that id, in whatever state; None where there is none."""
        with self._database.reading() as connection:
            return _find(connection, key_id)

    def api_keys(self, tenant: str | None = None) -> Sequence[ApiKey]:
        """All keys of a tenant or (None) of all, oldest first."""
        asked = select(api_keys).order_by(api_keys.c.create_us, api_keys.c.key_id)
        with self._database.reading() as connection:
            rows = connection.execute(asked if tenant is None else asked.where(api_keys.c.tenant == tenant))
            return [_api_key(row) for row in rows.mappings()]

    def revoke_api_key(self, key_id: str) -> ApiKey | None:
        """Revoke a key for good; None where there is none. Can be repeated: the first time stays."""
        with self._writing() as tx:
            revoke_us = func.coalesce(api_keys.c.revoke_us, tx.now_us)
            tx.connection.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(revoke_us=revoke_us))
            return _find(tx.connection, key_id)

    def rotate_api_key(
        self, key_id: str, *, new_key_id: str, secret_sha256: str, overlap: timedelta
    ) -> tuple[ApiKey, ApiKey] | None:
        """Record a key that replaces another, with the same tenant, name, scopes, limits and lifetime.

        The other expires after ``overlap`` at the latest. Returns both, the new one first; None where there is no such key.
        Raises FailedPrecondition WRONG_STATE for a key that is revoked, expired or already replaced.
        """
        with self._writing() as tx:
            old = _find(tx.connection, key_id)
            if old is None:
                return None
            _check_active(old, from_micros(tx.now_us))
            lifetime = old.expire_time - old.create_time if old.expire_time is not None else None
            new = NewApiKey(
                key_id=new_key_id,
                secret_sha256=secret_sha256,
                tenant=old.tenant,
                name=old.name,
                scopes=old.scopes,
                limits=old.limits,
                expire_time=from_micros(tx.now_us) + lifetime if lifetime is not None else None,
            )
            created = _create(tx, new)
            end_us = tx.now_us + overlap // timedelta(microseconds=1)
            if old.expire_time is not None:
                end_us = min(end_us, to_micros(old.expire_time))
            tx.connection.execute(
                update(api_keys).where(api_keys.c.key_id == key_id).values(expire_us=end_us, replaced_by=created.key_id)
            )
            replaced = _find(tx.connection, key_id)
            return (created, replaced) if replaced is not None else None

    def touch_api_keys(self, last_used: Mapping[str, datetime]) -> None:
        """Record when keys, by their ids, were last used. An earlier time than the recorded one changes nothing."""
        with self._writing() as tx:
            for key_id, used in sorted(last_used.items()):
                used_us = to_micros(used)
                later = func.coalesce(api_keys.c.last_used_us, 0) < used_us
                tx.connection.execute(
                    update(api_keys).where(api_keys.c.key_id == key_id, later).values(last_used_us=used_us)
                )


def _create(tx: Transaction, new: NewApiKey) -> ApiKey:
    values: dict[str, Any] = {
        "key_id": new.key_id,
        "tenant": new.tenant,
        "name": new.name,
        "scopes": json.dumps(sorted(new.scopes)),
        "secret_sha256": new.secret_sha256,
        "limits": json.dumps(dict(new.limits), sort_keys=True),
        "create_us": tx.now_us,
        "expire_us": to_micros(new.expire_time) if new.expire_time is not None else None,
    }
    tx.connection.execute(insert(api_keys).values(values))
    return ApiKey(**vars(new), create_time=from_micros(tx.now_us))


def _find(connection: Connection, key_id: str) -> ApiKey | None:
    row = connection.execute(select(api_keys).where(api_keys.c.key_id == key_id)).mappings().one_or_none()
    return _api_key(row) if row is not None else None


def _api_key(row: RowMapping) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        secret_sha256=row["secret_sha256"],
        tenant=row["tenant"],
        name=row["name"],
        scopes=frozenset(Scope(name) for name in json.loads(row["scopes"])),
        limits=json.loads(row["limits"]),
        create_time=from_micros(row["create_us"]),
        expire_time=_time(row["expire_us"]),
        revoke_time=_time(row["revoke_us"]),
        last_used_time=_time(row["last_used_us"]),
        replaced_by=row["replaced_by"] or "",
    )


def _time(micros: int | None) -> datetime | None:
    return from_micros(micros) if micros is not None else None


def _check_active(key: ApiKey, now: datetime) -> None:
    state = key.state(now)
    if key.replaced_by:
        raise FailedPrecondition(f"key {key.key_id} was already replaced by {key.replaced_by}; rotate that one")
    if state is not ApiKeyState.ACTIVE:
        raise FailedPrecondition(f"key {key.key_id} is {state} and cannot be rotated; create a new key")
