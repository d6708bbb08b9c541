"""The journal's API keys, on SQLite and PostgreSQL, and how a program beside the services opens a journal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit.access.api_key import ApiKeyState, KeyText, NewApiKey, new_key_text
from servicekit.access.caller import Scope
from servicekit.clock import SystemClock
from servicekit.errors import FailedPrecondition
from servicekit.journal import Journal, SchemaError
from servicekit.journal.schema import SCHEMA_VERSION
from tests.support.databases import execute, kept_journal
from tests.support.journal_rows import url_of

HOUR = timedelta(hours=1)


@pytest.fixture
def journal(any_database: str) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(any_database, clock=SystemClock()) as opened:
        yield opened


def new_key(tenant: str = "a", *, lifetime: timedelta | None = None) -> tuple[KeyText, NewApiKey]:
    """A key to record, and its text."""
    text = new_key_text()
    new = NewApiKey(
        key_id=text.key_id,
        secret_sha256=text.secret_sha256,
        tenant=tenant,
        name="render farm",
        scopes=frozenset({Scope.READ, Scope.RENDER}),
        limits={"waiting_jobs": 10.0},
        expire_time=datetime.now(UTC) + lifetime if lifetime is not None else None,
    )
    return text, new


def rotated(journal: Journal, key_id: str, overlap: timedelta = HOUR) -> KeyText:
    """The text of the key that replaces another."""
    text = new_key_text()
    both = journal.rotate_api_key(key_id, new_key_id=text.key_id, secret_sha256=text.secret_sha256, overlap=overlap)
    assert both is not None
    return text


def test_a_key_is_found_as_it_was_created(journal: Journal) -> None:
    """By its id, and listed by its tenant, oldest first."""
    _, new = new_key(lifetime=HOUR)
    created = journal.create_api_key(new)
    other = journal.create_api_key(new_key("b")[1])
    assert journal.find_api_key(new.key_id) == created
    assert (created.limits, created.scopes) == ({"waiting_jobs": 10.0}, {Scope.READ, Scope.RENDER})
    assert created.last_used_time is None
    assert journal.api_keys("b") == [other]
    assert [key.key_id for key in journal.api_keys()] == [created.key_id, other.key_id]
    assert journal.find_api_key("unknown") is None


def test_a_secret_is_not_in_the_journal(journal: Journal, any_database: str, tmp_path: Path) -> None:
    """Neither its text nor its bytes are in any row; with SQLite, nor in any byte of its files."""
    text, new = new_key()
    journal.create_api_key(new)
    assert text.secret_sha256 in str(journal.api_keys())
    assert text.text.rpartition("_")[2] not in str(journal.api_keys())
    if any_database == url_of(tmp_path):
        for file in tmp_path.iterdir():
            if file.is_file():
                assert text.secret not in file.read_bytes()
                assert text.text.encode() not in file.read_bytes()


def test_a_revoked_key_stays_revoked(journal: Journal) -> None:
    """Since the first time; it can no longer be rotated."""
    _, new = new_key()
    journal.create_api_key(new)
    first = journal.revoke_api_key(new.key_id)
    assert first is not None
    assert first.state(datetime.now(UTC)) is ApiKeyState.REVOKED
    assert journal.revoke_api_key(new.key_id) == first
    with pytest.raises(FailedPrecondition, match="is revoked"):
        rotated(journal, new.key_id)
    assert journal.revoke_api_key("unknown") is None


def test_a_rotation_makes_a_key_alike_and_ends_the_old_one_later(journal: Journal) -> None:
    """Tenant, name, scopes, limits and lifetime are the same; a key is replaced once."""
    _, new = new_key(lifetime=timedelta(days=90))
    old = journal.create_api_key(new)
    text = rotated(journal, old.key_id)
    replacing, replaced = journal.find_api_key(text.key_id), journal.find_api_key(old.key_id)
    assert replacing is not None
    assert replaced is not None
    alike = ("tenant", "name", "scopes", "limits")
    assert [getattr(replacing, name) for name in alike] == [getattr(old, name) for name in alike]
    assert replacing.expire_time is not None
    assert replacing.expire_time - replacing.create_time == old.expire_time - old.create_time  # type: ignore[operator]
    assert (replaced.replaced_by, replaced.expire_time) == (text.key_id, replacing.create_time + HOUR)
    assert replaced.state(replacing.create_time) is ApiKeyState.REPLACED
    assert replaced.state(replacing.create_time + HOUR) is ApiKeyState.EXPIRED
    with pytest.raises(FailedPrecondition, match=f"replaced by {text.key_id}"):
        rotated(journal, old.key_id)


def test_an_overlap_does_not_prolong_a_key(journal: Journal) -> None:
    """It expires when it would have, if that is earlier."""
    _, new = new_key(lifetime=HOUR)
    old = journal.create_api_key(new)
    rotated(journal, old.key_id, timedelta(days=7))
    replaced = journal.find_api_key(old.key_id)
    assert replaced is not None
    assert replaced.expire_time == old.expire_time


def test_an_unknown_key_cannot_be_rotated(journal: Journal) -> None:
    """And nothing is recorded."""
    assert journal.rotate_api_key("unknown", new_key_id="x", secret_sha256="y", overlap=HOUR) is None
    assert journal.api_keys() == []


def test_the_last_use_only_moves_forward(journal: Journal) -> None:
    """Two services record it in any order; a key that is gone is ignored."""
    _, new = new_key()
    journal.create_api_key(new)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    journal.touch_api_keys({new.key_id: noon, "gone": noon})
    journal.touch_api_keys({new.key_id: noon - HOUR})
    key = journal.find_api_key(new.key_id)
    assert key is not None
    assert key.last_used_time == noon


def test_a_program_beside_the_services_sees_the_same_keys(journal: Journal, any_database: str) -> None:
    """It opens the journal that they have open."""
    with Journal.open_existing(any_database, clock=SystemClock()) as beside:
        _, new = new_key()
        created = beside.create_api_key(new)
        assert journal.find_api_key(new.key_id) == created
        assert beside.identity == journal.identity


def test_a_program_beside_the_services_creates_no_journal(any_database: str, tmp_path: Path) -> None:
    """A misspelt folder must not become a second journal, whose keys open nothing."""
    for _ in range(2):
        with pytest.raises(SchemaError, match="there is no journal"):
            Journal.open_existing(any_database, clock=SystemClock())
    assert list(tmp_path.iterdir()) == []


def test_a_program_beside_the_services_upgrades_no_journal(any_database: str, tmp_path: Path) -> None:
    """Running services of the earlier release would meet tables that they do not know."""
    kept_journal(7, any_database, tmp_path)
    with pytest.raises(
        SchemaError,
        match=f"needs journal schema {SCHEMA_VERSION}, the journal has 7; start the services of this release",
    ):
        Journal.open_existing(any_database, clock=SystemClock())
    with Journal.open(any_database, clock=SystemClock()):
        pass
    execute(any_database, "UPDATE meta SET value = '999' WHERE name = 'schema_version'")
    with pytest.raises(SchemaError, match="has 999; run the release that wrote it"):
        Journal.open_existing(any_database, clock=SystemClock())
