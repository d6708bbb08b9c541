"""What a folder store does with a real file system: crashes, full and missing disks, links, two services at once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servicekit.errors import NotFound, ResourceExhausted, Unavailable
from servicekit.store.folder_store import PARTIAL, FolderStore
from servicekit.store.object_key import InvalidKey
from tests.unit.servicekit.store.conftest import folder_store

ROOT = Path(__file__).resolve().parents[4]
KEY = "jobs/0a1b/v1.zip"
MIB = 1 << 20
PRELUDE = """
    import resource, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from servicekit.errors import ResourceExhausted
    from servicekit.store.folder_store import FolderStore
    from servicekit.store.url_signer import UrlSigner
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=bytes(32), now=lambda: datetime.now(UTC))
    store = FolderStore(Path(sys.argv[1]), signer)
"""


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """An empty folder store."""
    return folder_store(tmp_path / "objects")


@contextmanager
def another_process(body: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with a store of the same folder that runs ``body``."""
    command = [sys.executable, "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(body), str(root)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def partial_files(root: Path) -> list[Path]:
    """The files that are being written."""
    return list((root / PARTIAL).iterdir())


def test_files_and_folders_are_for_their_user_only(store: FolderStore, tmp_path: Path) -> None:
    """Objects have mode 0600, folders 0700."""
    store.put_bytes(KEY, b"1", content_type="application/zip")
    modes = {
        path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "objects", *(tmp_path / "objects").rglob("*")]
    }
    assert modes == {"objects": 0o700, PARTIAL: 0o700, "jobs": 0o700, "0a1b": 0o700, "v1.zip": 0o600}


def test_a_killed_writer_leaves_no_object_and_its_partial_file_is_removed(tmp_path: Path) -> None:
    """After kill -9 during a write there is no object; a store that starts removes the partial file, not before its writer died."""
    root = tmp_path / "objects"
    body = f"""
        with store.writer("{KEY}", content_type="application/zip") as sink:
            sink.write(bytes(3 << 20))
            print("written", flush=True)
            sys.stdin.read()
    """
    with another_process(body, root) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        second = folder_store(root)
        assert [path.stat().st_size for path in partial_files(root)] == [3 * MIB]
        writer.kill()
        writer.wait()
    assert list(second.keys()) == []
    assert second.stat(KEY) is None
    assert len(partial_files(root)) == 1
    assert list(folder_store(root).keys()) == []
    assert partial_files(root) == []


def test_a_write_beyond_the_largest_file_is_disk_full(tmp_path: Path) -> None:
    """If the system accepts no more bytes, the error is DISK_FULL with the object's path, and no partial file remains."""
    body = f"""
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        try:
            store.put_bytes("{KEY}", bytes(4 << 20), content_type="application/zip")
        except ResourceExhausted as error:
            print(error.reason, error.metadata)
    """
    with another_process(body, tmp_path / "objects") as writer:
        output, _ = writer.communicate()
    assert output == f"DISK_FULL {{'path': '{KEY}'}}\n"
    assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs (root)")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_loses_nothing_and_is_usable_once_there_is_space(small_disk: Path) -> None:
    """On a full disk a write fails as DISK_FULL, existing objects stay, and after a delete the same write succeeds."""
    store = folder_store(small_disk / "objects")
    store.put_bytes(KEY, bytes(MIB), content_type="application/zip")
    for key in (KEY, "jobs/0a1b/v2.zip"):
        with pytest.raises(ResourceExhausted) as caught:
            store.put_bytes(key, bytes(3 * MIB // 2), content_type="application/zip")
        assert (caught.value.reason, caught.value.metadata) == ("DISK_FULL", {"path": key})
        assert caught.value.retry_after_s is None
    assert partial_files(small_disk / "objects") == []
    assert store.read(KEY, max_bytes=MIB) == bytes(MIB)
    store.delete(KEY)
    store.put_bytes("jobs/0a1b/v2.zip", bytes(3 * MIB // 2), content_type="application/zip")


def test_a_missing_disk_is_unavailable_and_its_mount_point_stays_empty(store: FolderStore, tmp_path: Path) -> None:
    """While its disk is not mounted every call is STORE_UNAVAILABLE, never "not found", and writes nothing."""
    store.put_bytes(KEY, b"1", content_type="application/zip")
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    (tmp_path / "objects").mkdir()
    calls: dict[str, Callable[[], object]] = {
        "write": lambda: store.put_bytes(KEY, b"2", content_type="application/zip"),
        "open": lambda: store.read(KEY, max_bytes=1),
        "stat": lambda: store.stat(KEY),
        "delete": lambda: store.delete(KEY),
        "list": lambda: list(store.keys()),
    }
    for operation, call in calls.items():
        with pytest.raises(Unavailable) as caught:
            call()
        assert (caught.value.reason, caught.value.metadata) == ("STORE_UNAVAILABLE", {"operation": operation})
        assert caught.value.retry_after_s is not None
    assert list((tmp_path / "objects").iterdir()) == []
    (tmp_path / "objects").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "objects")
    assert store.read(KEY, max_bytes=1) == b"1"


def test_a_folder_that_cannot_be_created_is_unavailable(tmp_path: Path) -> None:
    """A store whose root is a file is STORE_UNAVAILABLE at its start, and the message names the path."""
    (tmp_path / "objects").write_text("not a folder")
    with pytest.raises(Unavailable, match=r"start: .*objects"):
        folder_store(tmp_path / "objects")


def test_links_in_the_folder_are_not_followed(store: FolderStore, tmp_path: Path) -> None:
    """A symbolic link, to a file or a folder, is neither read, listed, written through nor deleted through."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.wav").write_text("secret")
    root = tmp_path / "objects"
    (root / "jobs").mkdir()
    (root / "jobs" / "leak.wav").symlink_to(outside / "secret.wav")
    (root / "away").symlink_to(outside)
    for key in ("jobs/leak.wav", "away/secret.wav"):
        with pytest.raises(NotFound):
            store.read(key, max_bytes=100)
        assert store.stat(key) is None
    assert list(store.keys()) == []
    assert store.delete_prefix("away") == 0
    store.delete("away/secret.wav")
    with pytest.raises(InvalidKey, match="links are not followed"):
        store.put_bytes("away/new.wav", b"1", content_type="audio/wav")
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("secret.wav", "secret")]
    store.put_bytes("jobs/leak.wav", b"own", content_type="audio/wav")
    assert (outside / "secret.wav").read_text() == "secret"
    assert partial_files(root) == []


def test_other_entries_of_the_folder_are_ignored(store: FolderStore, tmp_path: Path) -> None:
    """Pipes, folders and files whose names are not keys are neither listed nor read, and block nothing."""
    root = tmp_path / "objects"
    (root / "jobs" / "folder").mkdir(parents=True)
    os.mkfifo(root / "jobs" / "pipe")
    (root / "jobs" / ".hidden").write_text("x")
    (root / "jobs" / "with space").write_text("x")
    assert list(store.keys()) == []
    for key in ("jobs/folder", "jobs/pipe"):
        assert store.stat(key) is None
        with pytest.raises(NotFound):
            store.read(key, max_bytes=1)
    with pytest.raises(InvalidKey):
        store.put_bytes("jobs/folder", b"1", content_type="audio/wav")
    store.delete("jobs/folder")
    assert store.delete_prefix("jobs") == 0
    assert (root / "jobs" / "folder").is_dir()


def test_a_key_below_an_object_is_refused(store: FolderStore) -> None:
    """A folder and an object cannot share a name, and the error says so."""
    store.put_bytes("jobs/a", b"1", content_type="audio/wav")
    with pytest.raises(InvalidKey, match="in its way"):
        store.put_bytes("jobs/a/b", b"1", content_type="audio/wav")
    assert store.stat("jobs/a/b") is None
    store.delete("jobs/a/b")
    assert store.read("jobs/a", max_bytes=1) == b"1"


def test_a_file_changed_behind_the_store_has_no_digest(store: FolderStore, tmp_path: Path) -> None:
    """The digest recorded with a file is not returned after the file changes."""
    stored = store.put_bytes(KEY, b"before", content_type="application/zip")
    found = store.stat(KEY)
    assert found is not None
    assert (found.size_bytes, found.sha256) == (stored.size_bytes, stored.sha256)
    path = tmp_path / "objects" / KEY
    path.write_bytes(b"after!")
    found = store.stat(KEY)
    assert found is not None
    assert (found.size_bytes, found.sha256) == (6, None)


def test_deleting_leaves_no_empty_folders(store: FolderStore, tmp_path: Path) -> None:
    """The folders of a deleted job are removed with its last object, others stay."""
    store.put_bytes(KEY, b"1", content_type="application/zip")
    store.put_bytes("jobs/0a1b/v2.zip", b"1", content_type="application/zip")
    store.delete(KEY)
    assert (tmp_path / "objects" / "jobs" / "0a1b").is_dir()
    store.delete("jobs/0a1b/v2.zip")
    assert [path.name for path in (tmp_path / "objects").iterdir()] == [PARTIAL]


def test_an_object_being_read_survives_its_deletion(store: FolderStore) -> None:
    """A reader gets the bytes of the object that it opened, even if that is deleted or replaced meanwhile."""
    store.put_bytes(KEY, bytes(MIB), content_type="application/zip")
    with store.open(KEY) as source:
        first = source.read(10)
        store.put_bytes(KEY, b"other", content_type="application/zip")
        store.delete(KEY)
        assert first + source.read() == bytes(MIB)


def test_concurrent_writers_deleters_and_starts_do_not_fail(store: FolderStore, tmp_path: Path) -> None:
    """Threads that create, empty and clean up the same folder repeatedly cause no errors for each other."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(40):
                key = f"jobs/shared/{number}-{turn % 3}"
                store.put_bytes(key, key.encode(), content_type="application/json")
                if number == 0:
                    folder_store(tmp_path / "objects")
                store.delete_prefix("jobs") if turn % 5 == 4 else store.delete(key)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(store.keys()) == []
    assert [path.name for path in (tmp_path / "objects").rglob("*")] == [PARTIAL]
