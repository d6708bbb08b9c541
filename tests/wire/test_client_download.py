"""Downloads: complete and verified or not at all, resumed after a lost connection, never over an existing file by default."""

# ruff: noqa: S311  draws need no secrecy

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import resource
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from sonichaos_client import AsyncClient, CallOptions, Client, RetryPolicy, errors
from sonichaos_client.atomic_file import AtomicFile
from tests.support.scripted_service import BOUNCE, ZIP
from tests.support.scripted_services import ScriptedPair, scripted_pair

QUICK = CallOptions(
    timeout_s=10, retry=RetryPolicy(initial_backoff_s=0.01, max_backoff_s=0.02, max_elapsed_s=0.3), rng=random.Random(1)
)


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


@pytest.fixture
def client(pair: ScriptedPair) -> Iterator[Client]:
    """A blocking client."""
    with Client(pair.render_address, pair.separation_address, options=QUICK) as made:
        yield made


def finished(client: Client, *, stems: bool) -> str:
    """The id of a finished take."""
    job = client.create_render(prompt="a", persona_id="ember", stems=stems)
    return client.wait(job).job_id


@pytest.mark.parametrize(("stems", "suffix", "content"), [(True, "v1.zip", ZIP), (False, "v1.wav", BOUNCE)])
def test_the_default_file_is_the_zip_or_the_bounce(
    client: Client, tmp_path: Path, *, stems: bool, suffix: str, content: bytes
) -> None:
    """The file has the name from the contract and the permissions of any new file."""
    job_id = finished(client, stems=stems)
    saved = client.download(job_id, tmp_path / "new" / "folder")
    assert saved.path == tmp_path / "new" / "folder" / f"{job_id}-{suffix}"
    assert saved.path.read_bytes() == content
    assert (saved.sha256, saved.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(saved.path.stat().st_mode) == 0o666 & ~umask
    assert list(saved.path.parent.iterdir()) == [saved.path]


def test_an_interrupted_download_continues_where_it_ended(pair: ScriptedPair, client: Client, tmp_path: Path) -> None:
    """Each retry requests only the missing bytes."""
    job_id = finished(client, stems=True)
    pair.files.disconnect_after_bytes = [100_000, 0, 1_000_000]
    assert client.download(job_id, tmp_path).path.read_bytes() == ZIP
    assert pair.files.ranges == ["", "bytes=100000-", "bytes=100000-", "bytes=1100000-"]


def test_without_range_support_the_download_starts_again(pair: ScriptedPair, client: Client, tmp_path: Path) -> None:
    """If the server ignores Range, the bytes of the first try are discarded."""
    job_id = finished(client, stems=True)
    pair.files.disconnect_after_bytes = [100_000]
    pair.files.ignore_range = True
    assert client.download(job_id, tmp_path).path.read_bytes() == ZIP


def test_an_expired_url_is_signed_again(pair: ScriptedPair, client: Client, tmp_path: Path) -> None:
    """A URL that expires midway is replaced, and the download continues."""
    job_id = finished(client, stems=True)
    pair.files.disconnect_after_bytes = [100_000]
    pair.files.statuses = [200, 403]
    assert client.download(job_id, tmp_path).path.read_bytes() == ZIP
    assert len(pair.render.requests("CreateSignedUrl")) == 2
    assert pair.files.ranges[-1] == "bytes=100000-"


def test_a_busy_store_is_retried_and_a_client_error_is_not(pair: ScriptedPair, client: Client, tmp_path: Path) -> None:
    """HTTP status 503 is retried; 400 is an error at once."""
    job_id = finished(client, stems=True)
    pair.files.statuses = [503, 503]
    assert client.download(job_id, tmp_path).path.read_bytes() == ZIP
    pair.files.statuses = [400, 200]
    with pytest.raises(errors.DownloadError, match="HTTP status 400"):
        client.download(job_id, tmp_path, overwrite=True)


def test_a_file_that_the_store_lost_is_data_loss(
    pair: ScriptedPair, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for status 404 names the file; if the job was deleted in the meantime, the error says that."""
    job_id = finished(client, stems=True)
    pair.files.statuses = [404]
    with pytest.raises(errors.DataLossError, match=f"lost jobs/{job_id}/v1.zip") as caught:
        client.download(job_id, tmp_path)
    assert caught.value.metadata["expected_sha256"] == hashlib.sha256(ZIP).hexdigest()
    answer = pair.files.answer

    def deleted_meanwhile(handler: BaseHTTPRequestHandler) -> None:
        pair.render.jobs.clear()
        pair.files.statuses = [404]
        answer(handler)

    monkeypatch.setattr(pair.files, "answer", deleted_meanwhile)
    with pytest.raises(errors.NotFoundError):
        client.download(job_id, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_changed_bytes_are_not_saved(pair: ScriptedPair, client: Client, tmp_path: Path) -> None:
    """Bytes that do not match the stored digest leave no file, and the error has both digests."""
    job_id = finished(client, stems=True)
    pair.files.tamper = True
    with pytest.raises(errors.DigestMismatchError) as caught:
        client.download(job_id, tmp_path)
    assert caught.value.metadata["expected_sha256"] == hashlib.sha256(ZIP).hexdigest()
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_store_leaves_no_file(pair: ScriptedPair, client: Client, tmp_path: Path) -> None:
    """No partial file remains after the last retry, and the error does not contain the signature."""
    job_id = finished(client, stems=True)
    pair.files.disconnect_after_bytes = [10, *([0] * 500)]
    with pytest.raises(errors.DownloadError) as caught:
        client.download(job_id, tmp_path)
    assert "signature" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_overwritten_by_default(pair: ScriptedPair, client: Client, tmp_path: Path) -> None:
    """Nothing is downloaded over an existing file, unless overwriting is allowed."""
    job_id = finished(client, stems=True)
    path = tmp_path / f"{job_id}-v1.zip"
    path.write_bytes(b"mine")
    with pytest.raises(errors.LocalFileExistsError):
        client.download(job_id, tmp_path)
    assert path.read_bytes() == b"mine"
    assert pair.files.ranges == []
    client.download(job_id, tmp_path, overwrite=True)
    assert path.read_bytes() == ZIP


def test_a_file_created_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    """Of two downloads with one name, the second to finish does not overwrite the first."""
    path = tmp_path / "a.zip"
    with AtomicFile(path, overwrite=False) as file:
        file.write(b"late")
        path.write_bytes(b"early")
        with pytest.raises(errors.LocalFileExistsError):
            file.commit()
    assert path.read_bytes() == b"early"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_not_retried(pair: ScriptedPair, client: Client, tmp_path: Path) -> None:
    """An error of the local disk ends the download without a retry and leaves no file."""
    job_id = finished(client, stems=True)
    soft_bytes, hard_bytes = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(ZIP) // 2, hard_bytes))
    try:
        with pytest.raises(errors.LocalWriteError, match=f"Cannot write .*{job_id}-v1.zip: File too large.*Free space"):
            client.download(job_id, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft_bytes, hard_bytes))
    assert pair.files.ranges == [""]
    assert list(tmp_path.iterdir()) == []


async def test_a_cancelled_download_leaves_no_file(pair: ScriptedPair, tmp_path: Path) -> None:
    """Cancelling the task midway removes the temporary file."""
    async with AsyncClient(pair.render_address, pair.separation_address, options=QUICK) as client:
        job = await client.create_render(prompt="a", persona_id="ember", stems=True)
        await client.wait(job)
        pair.files.disconnect_after_bytes = [1000, *([0] * 500)]
        task = asyncio.ensure_future(client.download(job.job_id, tmp_path))
        while len(pair.files.ranges) < 3:  # noqa: ASYNC110  the server runs in threads
            await asyncio.sleep(0.005)
        assert len(_names(tmp_path)) == 1
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
    assert _names(tmp_path) == []


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
