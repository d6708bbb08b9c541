"""The installation's secrets for signed URLs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from servicekit.store.url_secret import (
    MAX_EARLIER,
    SECRET_BYTES,
    TooManySecrets,
    UnusableSecret,
    UrlSecretFile,
    rotate_secret,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def newest(path: Path) -> bytes:
    """The secret that signs, as a process that starts now reads it."""
    return UrlSecretFile(path).current().newest.value


def test_the_secret_is_created_once(tmp_path: Path) -> None:
    """The first process creates a file that only its user can read; later ones read the same bytes."""
    path = tmp_path / "data" / "url-secret"
    secret = newest(path)
    assert len(secret) == SECRET_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert newest(path) == secret
    assert [file.name for file in path.parent.iterdir()] == ["url-secret"]
    assert newest(tmp_path / "other") != secret


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    """Processes that create the secret at the same moment all get the same one."""
    path = tmp_path / "url-secret"
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(newest, [path] * 64))
    assert found == {newest(path)}
    assert [file.name for file in tmp_path.iterdir()] == ["url-secret"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A file that others can read is refused, also by a rotation; the message names it and what to do."""
    path = tmp_path / "url-secret"
    newest(path)
    path.chmod(mode)
    for refused in (lambda: newest(path), lambda: rotate_secret(path, overlap=HOUR, now=NOW)):
        with pytest.raises(UnusableSecret, match=f"url-secret must be .*{mode:04o}.*remove it"):
            refused()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "abc",
            "zz" * SECRET_BYTES,
            "ab" * (SECRET_BYTES - 1),
            "ab" * (SECRET_BYTES + 1),
            "ä" * 64,
            "AB" * SECRET_BYTES,
        ),
        "ab" * SECRET_BYTES + " 1",
        "ab" * SECRET_BYTES + "\n" + "cd" * SECRET_BYTES,
        "ab" * SECRET_BYTES + "\n" + "cd" * SECRET_BYTES + " -1",
        "ab" * SECRET_BYTES + ("\n" + "cd" * SECRET_BYTES + " 1") * (MAX_EARLIER + 1),
    ],
)
def test_a_file_without_secrets_is_refused(tmp_path: Path, text: str) -> None:
    """Anything but 32 bytes in hex, and further ones with their ends, is refused."""
    path = tmp_path / "url-secret"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UnusableSecret, match="32 bytes in hex"):
        UrlSecretFile(path)


def test_a_file_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    """A file with one secret and no end of line, as releases without rotation wrote it, is in force."""
    path = tmp_path / "url-secret"
    path.write_text("ab" * SECRET_BYTES)
    path.chmod(0o600)
    found = UrlSecretFile(path).current()
    assert (found.newest.value, found.earlier) == (b"\xab" * SECRET_BYTES, ())


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    """A symbolic link or a pipe instead of the secret is neither followed nor read, even a dangling link."""
    UrlSecretFile(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "dangling", "pipe"):
        with pytest.raises(UnusableSecret, match="regular file"):
            UrlSecretFile(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


def test_a_rotation_is_seen_by_running_processes(tmp_path: Path) -> None:
    """A process that has the file open signs with the new secret after a rotation and accepts the old one until its end."""
    path = tmp_path / "url-secret"
    opened = UrlSecretFile(path)
    before = opened.current()
    rotated = rotate_secret(path, overlap=HOUR, now=NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    after = opened.current()
    assert after == rotated == UrlSecretFile(path).current()
    assert after.newest.value != before.newest.value
    (earlier,) = after.earlier
    assert (earlier.value, earlier.key_id) == (before.newest.value, before.newest.key_id)
    assert list(after.accepted(NOW + HOUR - timedelta(seconds=1))) == [after.newest, earlier]
    assert list(after.accepted(NOW + HOUR)) == [after.newest]


def test_a_rotation_without_overlap_ends_all_earlier_secrets(tmp_path: Path) -> None:
    """With an overlap of 0, also secrets of earlier rotations end at once; a shorter overlap shortens theirs."""
    path = tmp_path / "url-secret"
    UrlSecretFile(path)
    rotate_secret(path, overlap=24 * HOUR, now=NOW)
    shorter = rotate_secret(path, overlap=HOUR, now=NOW)
    assert [one.end_s for one in shorter.earlier] == [int((NOW + HOUR).timestamp())] * 2
    longer = rotate_secret(path, overlap=24 * HOUR, now=NOW)
    assert [one.end_s for one in longer.earlier] == [int((NOW + hours * HOUR).timestamp()) for hours in (24, 1, 1)]
    assert rotate_secret(path, overlap=timedelta(0), now=NOW).earlier == ()


def test_secrets_that_ended_are_removed(tmp_path: Path) -> None:
    """A rotation removes from the file what is not accepted any more, and refuses to keep more than the file may hold."""
    path = tmp_path / "url-secret"
    UrlSecretFile(path)
    for _ in range(MAX_EARLIER):
        rotate_secret(path, overlap=HOUR, now=NOW)
    with pytest.raises(TooManySecrets, match=r"at most 15 earlier secrets.*until 2026-11-01T13:00:00.*--overlap 0"):
        rotate_secret(path, overlap=HOUR, now=NOW)
    assert len(rotate_secret(path, overlap=HOUR, now=NOW + HOUR).earlier) == 1


def test_a_file_that_became_unusable_is_not_trusted(tmp_path: Path) -> None:
    """While the file is missing or readable by others, running processes go on with what they read before."""
    path = tmp_path / "url-secret"
    opened = UrlSecretFile(path)
    before = opened.current()
    path.write_text("00" * SECRET_BYTES)
    path.chmod(0o644)
    assert opened.current() == before
    path.unlink()
    assert opened.current() == before
    rotated = rotate_secret(path, overlap=HOUR, now=NOW)
    assert opened.current() == rotated


def test_rotations_at_the_same_moment_lose_no_secret(tmp_path: Path) -> None:
    """Each of several rotations at once makes the one before it an earlier secret."""
    path = tmp_path / "url-secret"
    first = newest(path)
    with ThreadPoolExecutor(8) as pool:
        made = [one.newest.value for one in pool.map(lambda _: rotate_secret(path, overlap=HOUR, now=NOW), range(8))]
    found = UrlSecretFile(path).current()
    assert {one.value for one in found.accepted(NOW)} == {first, *made}


STEPS = ("open", "fdopen", "fsync", "replace", "close")


def _killed_at(step: str, path: str) -> None:
    """Rotate in this process, which dies when it enters ``step``."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if step == "open":
        real: Callable[..., int] = os.open

        def open_or_die(name: str, flags: int, *args: int) -> int:
            if flags & os.O_CREAT:
                die()
            return real(name, flags, *args)

        os.open = open_or_die  # type: ignore[assignment]
    else:
        setattr(os, step, die)
    rotate_secret(Path(path), overlap=HOUR, now=NOW)


@pytest.mark.parametrize("step", STEPS)
def test_a_rotation_that_is_killed_leaves_usable_secrets(tmp_path: Path, step: str) -> None:
    """Wherever a rotation is killed, the file has the old secrets or the new ones, and the next rotation works and tidies up."""
    path = tmp_path / "url-secret"
    first = newest(path)
    process = get_context("spawn").Process(target=_killed_at, args=(step, str(path)))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    found = UrlSecretFile(path).current()
    assert first in {one.value for one in found.accepted(NOW)}
    rotated = rotate_secret(path, overlap=HOUR, now=NOW)
    assert {one.value for one in found.accepted(NOW)} < {one.value for one in rotated.accepted(NOW)}
    assert [file.name for file in tmp_path.iterdir()] == ["url-secret"]
