"""The contract of every object store, on a folder and on two real S3 servers."""

from __future__ import annotations

import hashlib
import random
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import timedelta

import pytest
import urllib3

from servicekit.delivery.files import StoredFile
from servicekit.errors import DataLoss, NotFound, ResourceExhausted
from servicekit.store.object_key import InvalidKey
from servicekit.store.object_store import ObjectStore
from servicekit.store.s3_writer import PART_BYTES
from servicekit.store.verified_read import read_verified, verified_chunks
from tests.unit.servicekit.store.conftest import Backend

KEY = "jobs/0a1b/v1.zip"
MIB = 1 << 20
STREAM_MIB = 40


def sha256(data: bytes) -> str:
    """The digest as the journal records it."""
    return hashlib.sha256(data).hexdigest()


def noise(size: int, seed: int) -> bytes:
    """Bytes that do not repeat."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - the same bytes at every run


def chunks(count: int) -> Iterator[bytes]:
    """``count`` different chunks of 1 MiB, made one at a time."""
    first = noise(MIB, 0)
    for number in range(count):
        yield number.to_bytes(4, "big") + first[4:]


@pytest.mark.parametrize("data", [b"", b"one", noise(300_000, 1)], ids=["empty", "small", "larger"])
def test_an_object_is_read_back(backend: Backend, data: bytes) -> None:
    """An object is read back unchanged, with its size and digest known."""
    stored = backend.store.put_bytes(KEY, data, content_type="application/zip")
    assert stored == StoredFile(key=KEY, sha256=sha256(data), size_bytes=len(data))
    assert backend.store.read(KEY, max_bytes=len(data)) == data
    found = backend.store.stat(KEY)
    assert found is not None
    assert found.size_bytes == len(data)
    assert found.sha256 in (None, stored.sha256)


def test_an_object_is_replaced_whole(backend: Backend) -> None:
    """A second put replaces the first, however much shorter it is."""
    backend.store.put_bytes(KEY, noise(100_000, 1), content_type="application/zip")
    backend.store.put_bytes(KEY, b"new", content_type="application/zip")
    assert backend.store.read(KEY, max_bytes=10) == b"new"
    assert list(backend.store.keys()) == [KEY]


def test_a_long_stream_is_written_and_read_in_bounded_memory(backend: Backend) -> None:
    """Writing 40 MiB takes less memory than four parts of an upload, and returns size and digest."""
    digest = hashlib.sha256()
    tracemalloc.start()
    try:
        with backend.store.writer(KEY, content_type="application/zip") as sink:
            for chunk in chunks(STREAM_MIB):
                digest.update(chunk)
                assert sink.write(chunk) == MIB
        _, writing = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        size = sum(len(chunk) for chunk in verified_chunks(backend.store, KEY, digest.hexdigest()))
        _, reading = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.stored == StoredFile(key=KEY, sha256=digest.hexdigest(), size_bytes=STREAM_MIB * MIB)
    assert size == STREAM_MIB * MIB
    assert writing < 4 * PART_BYTES
    assert reading < PART_BYTES
    assert backend.leftovers() == []


@pytest.mark.parametrize("size", [PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])
def test_objects_at_the_size_of_whole_parts_are_complete(backend: Backend, size: int) -> None:
    """An object of exactly one or two parts, or one byte more, is stored completely."""
    data = noise(size, size)
    stored = backend.store.put_bytes(KEY, data, content_type="audio/wav")
    assert read_verified(backend.store, KEY, stored.sha256 or "", max_bytes=size) == data


def write_and_fail(store: ObjectStore, key: str, written_mib: int, failure: type[BaseException]) -> None:
    """Raise ``failure`` after some MiB were written."""
    with store.writer(key, content_type="application/zip") as sink:
        for chunk in chunks(written_mib):
            sink.write(chunk)
        raise failure


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("written_mib", [0, 1, 2 * PART_BYTES // MIB + 1])
def test_a_write_that_fails_leaves_nothing(backend: Backend, failure: type[BaseException], written_mib: int) -> None:
    """After an exception in the block the old object is unchanged, a new one does not exist, and no part of it remains."""
    backend.store.put_bytes(KEY, b"old", content_type="application/zip")
    for key in (KEY, "jobs/0a1b/v2.zip"):
        with pytest.raises(failure):
            write_and_fail(backend.store, key, written_mib, failure)
    assert backend.leftovers() == []
    assert list(backend.store.keys()) == [KEY]
    assert backend.store.read(KEY, max_bytes=3) == b"old"
    assert backend.store.stat("jobs/0a1b/v2.zip") is None


def test_a_fallback_is_never_needed_twice(backend: Backend) -> None:
    """With a fallback no object is replaced: a folder uses the key while it is free, S3 always the fallback."""
    fallbacks = ["jobs/0a1b/own-1/v1.zip", "jobs/0a1b/own-2/v1.zip"]
    stored = [
        backend.store.put_bytes(KEY, fallback.encode(), content_type="application/zip", fallback=fallback)
        for fallback in fallbacks
    ]
    assert stored[0].key in {KEY, fallbacks[0]}
    assert stored[1].key == fallbacks[1]
    for file, fallback in zip(stored, fallbacks, strict=True):
        assert backend.store.read(file.key, max_bytes=100) == fallback.encode()
    assert sorted(backend.store.keys()) == sorted(file.key for file in stored)
    assert backend.leftovers() == []


def test_an_object_is_visible_only_at_the_end_of_its_block(backend: Backend) -> None:
    """While an object is written it is not listed, cannot be read and has no digest; after the block it cannot be written."""
    with backend.store.writer(KEY, content_type="application/zip") as sink:
        for chunk in chunks(PART_BYTES // MIB + 1):
            sink.write(chunk)
        sink.flush()
        sink.close()
        assert list(backend.store.keys()) == []
        assert backend.store.stat(KEY) is None
        with pytest.raises(RuntimeError, match="not stored yet"):
            _ = sink.stored
    assert list(backend.store.keys()) == [KEY]
    with pytest.raises(ValueError, match=r"closed|inside its with block"):
        sink.write(b"more")


def test_a_zip_is_written_directly_into_the_store(backend: Backend) -> None:
    """A ZIP is written: zipfile takes the writer as an unseekable sink, and the result is a whole ZIP."""
    wav = noise(3 * MIB, 7)
    with backend.store.writer(KEY, content_type="application/zip") as sink, zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("take/bounce.wav", wav)
        archive.writestr("take/manifest.json", b"{}")
    with backend.store.open(KEY) as source:
        data = source.read()
    assert sha256(data) == sink.stored.sha256
    assert data.count(wav) == 1


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, None, slice(None)),
        (0, 10, slice(0, 10)),
        (1000, None, slice(1000, None)),
        (1000, 1, slice(1000, 1001)),
        (1999, 10, slice(1999, 2000)),
        (0, 0, slice(0, 0)),
        (5, 0, slice(0, 0)),
        (2000, None, slice(0, 0)),
        (2000, 1, slice(0, 0)),
        (9999, 5, slice(0, 0)),
    ],
)
def test_a_range_is_read(backend: Backend, offset: int, length: int | None, expected: slice) -> None:
    """A range gives its bytes up to the end of the object, and none beyond it."""
    data = noise(2000, 3)
    backend.store.put_bytes(KEY, data, content_type="application/zip")
    with backend.store.open(KEY, offset=offset, length=length) as source:
        assert source.read() == data[expected]


def test_a_negative_range_is_refused(backend: Backend) -> None:
    """A negative offset or length is a ValueError."""
    for offset, length in ((-1, None), (0, -1)):
        with pytest.raises(ValueError, match="0 or more"), backend.store.open(KEY, offset=offset, length=length):
            pass


def test_an_object_above_the_readers_limit_is_refused(backend: Backend) -> None:
    """An object larger than the reader's limit is TOO_LARGE, naming the limit."""
    stored = backend.store.put_bytes(KEY, bytes(1001), content_type="application/zip")
    with pytest.raises(ResourceExhausted) as caught:
        backend.store.read(KEY, max_bytes=1000)
    assert (caught.value.reason, caught.value.metadata) == ("TOO_LARGE", {"key": KEY, "limit_bytes": "1000"})
    with pytest.raises(ResourceExhausted):
        read_verified(backend.store, KEY, stored.sha256 or "", max_bytes=1000)


def test_a_missing_object_is_not_found(backend: Backend) -> None:
    """A missing object is FILE_NOT_FOUND with its key when it is read, None in stat, and no error when it is deleted."""
    for length in (None, 0, 5):
        with pytest.raises(NotFound) as caught, backend.store.open(KEY, length=length):
            pass
        assert (caught.value.reason, caught.value.metadata) == ("FILE_NOT_FOUND", {"key": KEY})
    with pytest.raises(NotFound):
        backend.store.read(KEY, max_bytes=5)
    assert backend.store.stat(KEY) is None
    backend.store.delete(KEY)
    assert backend.store.delete_prefix("jobs/0a1b") == 0
    assert list(backend.store.keys("jobs/0a1b")) == []


def test_a_folder_of_keys_is_listed_in_order_and_removed(backend: Backend) -> None:
    """Listing and deleting cover a folder, not a prefix of names: jobs/1 does not cover jobs/10 or jobs/1.zip."""
    inside = ["jobs/1-a/x", "jobs/1.zip", "jobs/1/a.wav", "jobs/1/a/b.wav", "jobs/1/v1.zip", "jobs/10/v1.zip"]
    for key in reversed(inside):
        backend.store.put_bytes(key, key.encode(), content_type="application/octet-stream")
    assert list(backend.store.keys()) == inside
    assert list(backend.store.keys("jobs/1")) == inside[2:5]
    assert list(backend.store.keys("jobs/1/")) == inside[2:5]
    assert backend.store.delete_prefix("jobs/1") == 3
    assert list(backend.store.keys()) == inside[:2] + inside[5:]
    backend.store.delete("jobs/1.zip")
    assert list(backend.store.keys("jobs")) == ["jobs/1-a/x", "jobs/10/v1.zip"]


def test_everything_is_never_deleted_at_once(backend: Backend) -> None:
    """The empty prefix can be listed but not deleted."""
    backend.store.put_bytes(KEY, b"1", content_type="application/zip")
    with pytest.raises(InvalidKey):
        backend.store.delete_prefix("")
    assert list(backend.store.keys("")) == [KEY]


def test_stores_with_different_prefixes_are_separate(backend: Backend) -> None:
    """A store sees, reads and deletes only what is below its own prefix."""
    one, two, whole = backend.store_at("studio/one"), backend.store_at("studio/on"), backend.store_at("")
    one.put_bytes(KEY, b"one", content_type="application/zip")
    assert two.stat(KEY) is None
    assert list(two.keys()) == []
    two.put_bytes(KEY, b"two", content_type="application/zip")
    assert two.delete_prefix("jobs") == 1
    assert one.read(KEY, max_bytes=3) == b"one"
    assert list(whole.keys()) == [f"studio/one/{KEY}"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/jobs/1",
        "jobs//1",
        "jobs/",
        "../jobs/1",
        "jobs/../1",
        "jobs/./1",
        ".partial/x",
        "a\x00b",
        "a b",
        "ä",
        "a%2fb",
    ],
)
def test_an_unsafe_key_is_refused(backend: Backend, key: str) -> None:
    """Every call refuses a key that is not safe as a path and a URL, and stores nothing."""
    store = backend.store
    with pytest.raises(InvalidKey):
        store.put_bytes(key, b"1", content_type="application/zip")
    with pytest.raises(InvalidKey), store.writer(key, content_type="application/zip"):
        pass
    with pytest.raises(InvalidKey), store.open(key):
        pass
    with pytest.raises(InvalidKey):
        store.read(key, max_bytes=1)
    with pytest.raises(InvalidKey):
        store.stat(key)
    with pytest.raises(InvalidKey):
        store.delete(key)
    with pytest.raises(InvalidKey):
        store.signed_url(key, ttl_s=60)
    assert list(store.keys()) == []


def test_a_changed_object_is_data_loss(backend: Backend) -> None:
    """Bytes without the recorded digest, or missing ones, raise DIGEST_MISMATCH with both digests, whole or streamed."""
    kept = backend.store.put_bytes(KEY, b"what was rendered", content_type="audio/wav").sha256 or ""
    assert read_verified(backend.store, KEY, kept.upper(), max_bytes=100) == b"what was rendered"
    backend.store.put_bytes(KEY, b"what was changed!", content_type="audio/wav")
    for read in (
        lambda: read_verified(backend.store, KEY, kept, max_bytes=100),
        lambda: list(verified_chunks(backend.store, KEY, kept)),
    ):
        with pytest.raises(DataLoss) as caught:
            read()
        assert caught.value.reason == "DIGEST_MISMATCH"
        found = sha256(b"what was changed!")
        assert caught.value.metadata == {"key": KEY, "expected_sha256": kept, "found_sha256": found}
        backend.store.delete(KEY)
        with pytest.raises(DataLoss, match="is missing now") as gone:
            read()
        assert gone.value.metadata == {"key": KEY, "expected_sha256": kept, "found_sha256": ""}
        backend.store.put_bytes(KEY, b"what was changed!", content_type="audio/wav")


def test_a_section_is_read_and_checked(backend: Backend) -> None:
    """One stem inside a ZIP is read by offset and length and checked against its own digest."""
    data = noise(50_000, 5)
    backend.store.put_bytes(KEY, data, content_type="application/zip")
    part = data[1234 : 1234 + 20_000]
    assert read_verified(backend.store, KEY, sha256(part), max_bytes=20_000, offset=1234, length=20_000) == part
    with pytest.raises(DataLoss):
        read_verified(backend.store, KEY, sha256(part), max_bytes=20_000, offset=1235, length=20_000)


def test_a_signed_url_fetches_the_object_and_ranges_of_it(backend: Backend) -> None:
    """A signed URL gives the whole object or one range of it, under a file name that names the job."""
    data = noise(3 * MIB, 9)
    backend.store.put_bytes(KEY, data, content_type="application/zip")
    before = backend.clock()
    signed = backend.store.signed_url(KEY, ttl_s=60)
    assert timedelta(seconds=59) <= signed.expires_at - before
    assert signed.expires_at - backend.clock() <= timedelta(seconds=61)
    whole = urllib3.request("GET", signed.url, retries=False)
    assert (whole.status, whole.data) == (200, data)
    assert whole.headers["Content-Disposition"] == 'attachment; filename="0a1b-v1.zip"'
    assert whole.headers["Accept-Ranges"] == "bytes"
    part = urllib3.request("GET", signed.url, headers={"Range": "bytes=1000000-1999999"}, retries=False)
    # rclone sends the range under status 200.
    assert part.status == (200 if backend.kind == "rclone" else 206)
    assert part.headers["Content-Range"] == f"bytes 1000000-1999999/{len(data)}"
    assert part.data == data[1_000_000:2_000_000]


def test_a_signed_url_of_a_missing_object_is_not_found(backend: Backend) -> None:
    """Signing sends no request; the URL of a missing object answers with an error."""
    signed = backend.store.signed_url(KEY, ttl_s=60)
    # moto answers as AWS does to one who may not list: that there is no object is not said.
    assert urllib3.request("GET", signed.url, retries=False).status == (403 if backend.kind == "moto" else 404)


@pytest.mark.parametrize("ttl_s", [-1, 0, 604_801])
def test_a_ttl_out_of_range_is_refused(backend: Backend, ttl_s: int) -> None:
    """A signed URL lives between one second and seven days."""
    with pytest.raises(ValueError, match="604800"):
        backend.store.signed_url(KEY, ttl_s=ttl_s)


def test_concurrent_writers_of_one_key_do_not_mix(backend: Backend) -> None:
    """If several threads write one key at the same time, the object is that of one of them."""
    if backend.kind == "rclone":
        pytest.skip("this stand-in lets uploads of one key write into one file at once, which S3 itself rules out")
    store = backend.store
    texts = [bytes([letter]) * 200_000 for letter in b"abcd"]
    threads = [
        threading.Thread(target=store.put_bytes, args=(KEY, text), kwargs={"content_type": "application/zip"})
        for text in texts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read(KEY, max_bytes=MIB) in texts
    assert backend.leftovers() == []
