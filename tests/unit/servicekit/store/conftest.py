"""The three kinds of store that every test of the contract runs against: a folder and two real S3 servers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit.store.folder_store import PARTIAL, FolderStore
from servicekit.store.folder_url_server import FolderUrlServer
from servicekit.store.object_store import ObjectStore
from servicekit.store.s3_store import S3Store
from servicekit.store.s3_uploads import UnfinishedUploads
from servicekit.store.url_signer import UrlSigner
from tests.support.s3_servers import S3Server, free_port, moto_server, rclone_server

SECRET = bytes(range(32))


class Clock:
    """The time, moved by ``shift``."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def __call__(self) -> datetime:
        """The shifted time, UTC."""
        return datetime.now(UTC) + self.shift


@dataclass(frozen=True)
class Backend:
    """A folder or a bucket, stores in it, and what its unfinished uploads left there."""

    kind: str
    store_at: Callable[[str], ObjectStore]
    leftovers: Callable[[], list[str]]
    clock: Clock

    @property
    def store(self) -> ObjectStore:
        """A store below a prefix."""
        return self.store_at("studio/one")


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    """Moto, for the whole run."""
    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def rclone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of rclone's buckets."""
    return tmp_path_factory.mktemp("rclone")


@pytest.fixture(scope="session")
def rclone(rclone_folder: Path) -> Iterator[S3Server]:
    """Rclone, for the whole run."""
    with rclone_server(rclone_folder) as server:
        yield server


def folder_store(root: Path, *, prefix: str = "", port: int = 1, clock: Clock | None = None) -> FolderStore:
    """A folder store that signs for a port of loopback."""
    signer = UrlSigner(base_url=f"http://127.0.0.1:{port}", secret=SECRET, now=clock or Clock())
    return FolderStore(root, signer, prefix=prefix)


@contextmanager
def served(store: FolderStore, port: int) -> Iterator[FolderUrlServer]:
    """The store's URLs answered, by an event loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = FolderUrlServer(store, host="127.0.0.1", port=port)
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(params=["folder", "moto", "rclone"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Each kind of store, empty."""
    if request.param == "folder":
        with _folder_backend(tmp_path / "objects") as found:
            yield found
        return
    server: S3Server = request.getfixturevalue(request.param)
    disk = request.getfixturevalue("rclone_folder") if request.param == "rclone" else None
    yield _s3_backend(request.param, server, disk)


@contextmanager
def _folder_backend(root: Path) -> Iterator[Backend]:
    port, clock = free_port(), Clock()
    with served(folder_store(root, prefix="studio/one", port=port, clock=clock), port):
        yield Backend(
            "folder",
            lambda prefix: folder_store(root, prefix=prefix, port=port, clock=clock),
            lambda: [path.name for path in (root / PARTIAL).iterdir()],
            clock,
        )


def _s3_backend(kind: str, server: S3Server, disk: Path | None) -> Backend:
    bucket, clock = server.make_bucket(), Clock()

    def leftovers() -> list[str]:
        uploads = [upload.name for upload in UnfinishedUploads(server.settings(bucket)).list("")]
        return (
            uploads + [path.name for path in disk.rglob("*rclone_multipart*") if bucket in path.parts]
            if disk
            else uploads
        )

    return Backend(kind, lambda prefix: S3Store(server.settings(bucket, prefix), now=clock), leftovers, clock)
