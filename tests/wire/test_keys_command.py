"""``sonichaos keys`` on a real journal: what it shows, what it refuses, and a rotation while a server runs."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from hostctl.keys import keys
from servicekit.access.api_key import parse_key_text
from servicekit.clock import SystemClock
from servicekit.journal import Journal
from tests.support.identity_server import bearer, guarded
from tests.support.journal_rows import url_of

EXPIRED = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")
KEY_FIELDS = {"keyId", "tenant", "name", "scopes", "limits", "state", "replacedBy"} | {
    f"{name}Time" for name in ("create", "expire", "revoke", "lastUsed")
}


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """The data folder of an installation whose services have the journal open."""
    with Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock()):
        yield tmp_path


def run(data: Path, *arguments: str, **environment: str) -> Result:
    """One run of the command, in this process."""
    return CliRunner().invoke(keys, [*arguments, "--data", str(data)], env={"COLUMNS": "200", **environment})


def created(data: Path, *arguments: str) -> dict[str, Any]:
    """A new key as JSON."""
    done = run(data, "create", "--tenant", "a", "--scopes", "read", "--json", *arguments)
    assert done.exit_code == 0, done.output
    body: dict[str, Any] = json.loads(done.stdout)
    return body


def listed(data: Path, *arguments: str) -> list[dict[str, Any]]:
    """The keys as JSON."""
    done = run(data, "list", "--json", *arguments)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_key_is_shown_once(data: Path) -> None:
    """On stdout and alone there, so that a script can read it; neither a list nor the journal's file shows it again."""
    done = run(data, "create", "--tenant", "a", "--scopes", "read,render", "--name", "laptop 2", "--expires", "90d")
    text = done.stdout.strip()
    parsed = parse_key_text(text)
    assert parsed is not None
    assert f"Key {parsed.key_id} of a. Store it now: it cannot be shown again." in done.stderr
    assert text not in done.stderr
    shown = run(data, "list").stdout
    assert parsed.key_id in shown
    assert "laptop 2" in shown
    assert "not used yet" in shown
    secret = text.rpartition("_")[2]
    assert secret not in shown + run(data, "list", "--json").stdout
    assert all(secret.encode() not in file.read_bytes() for file in data.iterdir() if file.is_file())


def test_a_key_as_json(data: Path) -> None:
    """One object with the key, its id, and everything that a list shows of it."""
    body = created(data, "--limit", "waiting_jobs=10", "--limit", "requests_per_second=0.5", "--expires", "1h")
    assert body.keys() == KEY_FIELDS | {"key"}
    assert (body["scopes"], body["state"]) == (["read"], "active")
    assert body["limits"] == {"waiting_jobs": 10, "requests_per_second": 0.5}
    (row,) = listed(data)
    assert row.keys() == KEY_FIELDS
    assert row == {name: value for name, value in body.items() if name != "key"}


def test_a_list_can_be_of_one_tenant(data: Path) -> None:
    """Oldest first; an empty one says so on stderr."""
    first, second = created(data), created(data)
    run(data, "create", "--tenant", "b", "--scopes", "read")
    assert [row["keyId"] for row in listed(data, "--tenant", "a")] == [first["keyId"], second["keyId"]]
    assert len(listed(data)) == 3
    empty = run(data, "list", "--tenant", "c")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "The tenant c has no keys." in empty.stderr


def test_a_revoked_key_stays_in_the_list(data: Path) -> None:
    """By its id, or by the whole key where someone found it; twice is no error."""
    body = created(data)
    for named in (body["keyId"], body["key"]):
        done = run(data, "revoke", named)
        assert (done.exit_code, done.stdout) == (0, f"{body['keyId']} of a is revoked\n")
    (row,) = listed(data)
    assert row["state"] == "revoked"
    assert row["revokeTime"]


def test_a_rotation_shows_the_new_key_and_the_end_of_the_old(data: Path) -> None:
    """Each key can be replaced once."""
    body = created(data, "--limit", "open_streams=3")
    done = run(data, "rotate", body["keyId"], "--overlap", "1h", "--json")
    new = json.loads(done.stdout)
    assert (new["replaces"], new["limits"]) == (body["keyId"], {"open_streams": 3})
    old, replacing = listed(data)
    assert (old["state"], old["replacedBy"], old["expireTime"]) == ("replaced", new["keyId"], new["replacedUntil"])
    assert replacing["state"] == "active"
    again = run(data, "rotate", body["keyId"])
    assert again.exit_code == 2
    assert f"already replaced by {new['keyId']}" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("create", "--scopes", "read"), "Missing option '--tenant'"),
        (("create", "--tenant", "a"), "Missing option '--scopes'"),
        (("create", "--tenant", "A b", "--scopes", "read"), "must be 1 to 63 characters of a-z"),
        (("create", "--tenant", "a", "--scopes", "peer"), "must be some of render,separate,read,operate, got 'peer'"),
        (("create", "--tenant", "a", "--scopes", ""), "must be some of render,separate,read,operate, got ''"),
        (("create", "--tenant", "a", "--scopes", "read", "--expires", "0"), "must be more than 0"),
        (("create", "--tenant", "a", "--scopes", "read", "--expires", "soon"), "got soon"),
        (("create", "--tenant", "a", "--scopes", "read", "--limit", "jobs=1"), "a limit must be one of waiting_jobs"),
        (("create", "--tenant", "a", "--scopes", "read", "--limit", "waiting_jobs"), "must be NAME=NUMBER"),
        (("create", "--tenant", "a", "--scopes", "read", "--limit", "waiting_jobs=-1"), "must be NAME=NUMBER"),
        (("create", "--tenant", "a", "--scopes", "read", "--name", "a\nb"), "printable characters"),
        (("revoke", "aaaaaaaaaaaa"), "There is no key aaaaaaaaaaaa; see 'sonichaos keys list'"),
        (("rotate", "aaaaaaaaaaaa"), "There is no key aaaaaaaaaaaa; see 'sonichaos keys list'"),
        (("revoke", "key"), "must be the id of a key"),
        (("rotate", "aaaaaaaaaaaa", "--overlap", "91d"), "up to 90d"),
    ],
)
def test_wrong_arguments_are_refused_by_name(data: Path, arguments: tuple[str, ...], expected: str) -> None:
    """With the exit status of bad usage; nothing is written."""
    done = run(data, *arguments)
    assert done.exit_code == 2
    assert expected in done.stderr
    assert listed(data) == []


def test_no_journal_is_created(tmp_path: Path) -> None:
    """A misspelt folder is named, and stays as it was."""
    done = run(tmp_path, "create", "--tenant", "a", "--scopes", "read")
    assert done.exit_code == 1
    assert f"there is no journal at {tmp_path / 'journal.sqlite3'}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_journal_is_upgraded(data: Path) -> None:
    """The message says which schema it has, and what to do."""
    with sqlite3.connect(data / "journal.sqlite3") as raw:
        raw.execute("UPDATE meta SET value = '7' WHERE name = 'schema_version'")
    done = run(data, "list")
    assert done.exit_code == 1
    assert "the journal has 7; start the services of this release" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives a file to another user")
def test_another_users_journal_is_left_alone(data: Path) -> None:
    """SQLite would leave files that the services cannot write."""
    os.chown(data / "journal.sqlite3", 12345, -1)
    done = run(data, "list")
    assert done.exit_code == 1
    assert "belongs to user 12345; run this command as that user" in done.stderr


def test_the_journal_may_be_anywhere(data: Path, any_url: str) -> None:
    """SONICHAOS_JOURNAL_URL counts, as for the services."""
    done = run(data, "create", "--tenant", "a", "--scopes", "read", SONICHAOS_JOURNAL_URL=any_url)
    assert done.exit_code == 0, done.output
    assert listed(data) == []
    with Journal.open_existing(any_url, clock=SystemClock()) as journal:
        assert [key.tenant for key in journal.api_keys()] == ["a"]


@pytest.fixture
def any_url(tmp_path: Path) -> str:
    """The URL of another journal."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    url = url_of(folder)
    Journal.open(url, clock=SystemClock()).close()
    return url


async def sonichaos_keys(folder: Path, *arguments: str) -> dict[str, Any]:
    """One run of the command as a process of its own, beside the server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from hostctl.keys import keys; keys()",
        *arguments,
        "--json",
        env={**os.environ, "SONICHAOS_JOURNAL_URL": url_of(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    body: dict[str, Any] = json.loads(output)
    return body


async def test_keys_are_rotated_while_a_server_runs(tmp_path: Path) -> None:
    """With an overlap and without one; the server is not restarted. The first key comes from a process of its own."""

    def rotated(key_id: str, overlap: str) -> dict[str, Any]:
        done = run(tmp_path, "rotate", key_id, "--overlap", overlap, "--json", SONICHAOS_JOURNAL_URL=url_of(tmp_path))
        body: dict[str, Any] = json.loads(done.stdout)
        return body

    async with guarded(tmp_path) as served:
        first = await sonichaos_keys(tmp_path, "create", "--tenant", "a", "--scopes", "read")
        assert await served.tenants(bearer(first["key"])) == {"a"}
        second = await asyncio.to_thread(rotated, first["keyId"], "1h")
        third = await asyncio.to_thread(rotated, second["keyId"], "0")
        assert await served.refusal(bearer(second["key"])) == EXPIRED
        assert await served.tenants(bearer(first["key"])) == await served.tenants(bearer(third["key"])) == {"a"}
