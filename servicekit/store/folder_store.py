"""The embedded object store: files in a folder that both services use."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from servicekit.delivery.files import StoredFile
from servicekit.store.file_metadata import FileMetadata, read_metadata, write_metadata
from servicekit.store.object_key import InvalidKey, check_folder, check_key, join_key
from servicekit.store.object_store import (
    ObjectDigest,
    ObjectStat,
    ObjectWriter,
    SignedUrl,
    check_range,
    disk_full,
    not_found,
    too_large,
    unavailable,
)
from servicekit.store.partial_file import PartialFile, partial_file, remove_abandoned
from servicekit.store.rooted_folder import RootedFolder
from servicekit.store.url_signer import UrlSigner

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PARTIAL = ".partial"
"""Where files are written. No key can name it, because a segment of a key cannot begin with a dot."""
RETRY_AFTER_S = 5.0
_BUFFER_BYTES = 1 << 18
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_SUCH_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_WRONG_KIND = frozenset({errno.ENOTDIR, errno.EISDIR, errno.ELOOP})


@dataclass(frozen=True)
class FolderObject:
    """An object opened for reading. It does not change when the object is replaced or deleted."""

    key: str
    descriptor: int
    size_bytes: int
    modified_ns: int
    metadata: FileMetadata

    def read(self, size_bytes: int, offset: int) -> bytes:
        """At most ``size_bytes`` from ``offset``; empty at the end. May be called from any thread."""
        try:
            return os.pread(self.descriptor, size_bytes, offset)
        except OSError as error:
            raise _store_error(error, "read", self.key) from error


class FolderStore:
    """An ObjectStore of files under ``root``, created with mode 0700 if it is missing; ``prefix`` is a folder in it.

    An object is written to ``root/.partial``, synced, renamed to its key, and its folder synced. The constructor removes
    partial files whose writers died. No symbolic link below ``root`` is followed. ``signer`` has the clock and the secret.
    """

    def __init__(self, root: Path, signer: UrlSigner, *, prefix: str = "") -> None:
        self.prefix = check_folder(prefix)
        self.signer = signer
        self._folder = RootedFolder(root)
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._folder.folder([PARTIAL], create=True) as partials:
                remove_abandoned(partials)
        except OSError as error:
            raise unavailable("start", f"{root}: {error.strerror}", retry_after_s=RETRY_AFTER_S) from error

    def put_bytes(self, key: str, data: bytes, *, content_type: str, fallback: str = "") -> StoredFile:
        """See ObjectStore."""
        with self.writer(key, content_type=content_type, fallback=fallback) as sink:
            sink.write(data)
        return sink.stored

    @contextmanager
    def writer(self, key: str, *, content_type: str, fallback: str = "") -> Iterator[ObjectWriter]:
        """See ObjectStore."""
        places = [(one, self._segments(one)) for one in (key, *([fallback] if fallback else []))]
        with self._partial("write", key) as partial:
            sink = _FolderWriter(partial, key)
            yield sink
            sink.publish(self._folder, places, content_type)

    @contextmanager
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[BinaryIO]:
        """See ObjectStore."""
        check_range(offset, length)
        with self.open_object(key) as source:
            end = source.size_bytes if length is None else min(source.size_bytes, offset + length)
            with io.BufferedReader(_RangeReader(source, offset, end), _BUFFER_BYTES) as reader:
                yield reader

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """See ObjectStore."""
        with self.open(key, length=max_bytes + 1) as source:
            data = source.read()
        if len(data) > max_bytes:
            raise too_large(key, max_bytes)
        return data

    def stat(self, key: str) -> ObjectStat | None:
        """See ObjectStore."""
        descriptor = self._open_if_exists("stat", key)
        if descriptor is None:
            return None
        try:
            status = os.fstat(descriptor)
            modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
            return ObjectStat(status.st_size, read_metadata(descriptor, key).sha256, modified_at)
        finally:
            os.close(descriptor)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        segments = self._segments(key)
        try:
            self._folder.remove(segments, keep=len(segments) - len(key.split("/")))
        except OSError as error:
            if error.errno not in _NO_SUCH_FILE | _WRONG_KIND:
                raise _store_error(error, "delete", key) from error
            self._check_mounted("delete")

    def delete_prefix(self, prefix: str) -> int:
        """See ObjectStore."""
        found = list(self.keys(check_key(prefix.removesuffix("/"))))
        for key in found:
            self.delete(key)
        return len(found)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See ObjectStore."""
        folder = check_folder(prefix)
        whole = join_key(self.prefix, folder) if folder else self.prefix
        return self._keys(folder, whole)

    def signed_url(self, key: str, *, ttl_s: int) -> SignedUrl:
        """See ObjectStore."""
        return self.signer.sign(join_key(self.prefix, check_key(key)), ttl_s=ttl_s)

    @contextmanager
    def open_object(self, key: str) -> Iterator[FolderObject]:
        """The object at ``key``, for positioned reads. Raises NotFound if there is none."""
        descriptor = self._open_if_exists("open", key)
        if descriptor is None:
            raise not_found(key)
        try:
            status = os.fstat(descriptor)
            yield FolderObject(key, descriptor, status.st_size, status.st_mtime_ns, read_metadata(descriptor, key))
        finally:
            os.close(descriptor)

    def _segments(self, key: str) -> list[str]:
        return join_key(self.prefix, check_key(key)).split("/")

    def _keys(self, folder: str, whole: str) -> Iterator[str]:
        with _os_errors("list", folder):
            for path in self._folder.files(whole.split("/") if whole else []):
                try:
                    key = check_key(join_key(folder, path))
                except InvalidKey:
                    # Partial files, and files of others whose names are not keys, are not objects.
                    continue
                yield key
            self._check_mounted("list")

    def _open_if_exists(self, operation: str, key: str) -> int | None:
        segments = self._segments(key)
        try:
            return self._folder.open_file(segments)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in _NO_SUCH_FILE:
                raise _store_error(error, operation, key) from error
        self._check_mounted(operation)
        return None

    def _check_mounted(self, operation: str) -> None:
        """Tell a missing object from a missing disk: the folder for partial files exists as long as the disk is mounted."""
        with _os_errors(operation, self.prefix), self._folder.folder([PARTIAL]):
            pass

    @contextmanager
    def _partial(self, operation: str, key: str) -> Iterator[PartialFile]:
        """A partial file. Its folder is not created again here: if the disk is not mounted, the mount point would fill up."""
        with ExitStack() as stack:
            with _os_errors(operation, key):
                folder = stack.enter_context(self._folder.folder([PARTIAL]))
                partial = stack.enter_context(partial_file(folder))
            yield partial


class _FolderWriter:
    """The ObjectWriter of a folder store."""

    def __init__(self, partial: PartialFile, key: str) -> None:
        self._partial = partial
        self._key = key
        self._digest = ObjectDigest()
        self._stored: StoredFile | None = None

    @property
    def stored(self) -> StoredFile:
        """See ObjectWriter."""
        if self._stored is None:
            raise RuntimeError(f"{self._key} is not stored yet: read `stored` after the with block")
        return self._stored

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """See ObjectWriter."""
        with _os_errors("write", self._key):
            self._partial.write(data)
        self._digest.update(data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        """See ObjectWriter."""

    def close(self) -> None:
        """See ObjectWriter."""

    def publish(self, folder: RootedFolder, places: list[tuple[str, list[str]]], content_type: str) -> None:
        """Sync the bytes and rename the file to the key of the first of ``places`` that is free; the last may be taken."""
        descriptor, source = self._partial.file.fileno(), self._partial.folder
        with _os_errors("write", self._key):
            write_metadata(descriptor, FileMetadata(self._digest.stored(self._key).sha256, content_type))
            os.fsync(descriptor)
            *preferred, (key, segments) = places
            for free, there in preferred:
                if folder.link_in(self._partial.name, there, source_folder=source):
                    key = free
                    break
            else:
                folder.move_in(self._partial.name, segments, source_folder=source)
        self._stored = self._digest.stored(key)


class _RangeReader(io.RawIOBase):
    """Bytes ``offset`` to ``end`` (exclusive) of an open object, sequentially."""

    def __init__(self, source: FolderObject, offset: int, end: int) -> None:
        self._source = source
        self._offset = offset
        self._end = end

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into ``buffer``; returns the number of bytes, 0 at the end."""
        target = memoryview(buffer).cast("B")
        data = self._source.read(max(0, min(len(target), self._end - self._offset)), self._offset)
        target[: len(data)] = data
        self._offset += len(data)
        return len(data)


@contextmanager
def _os_errors(operation: str, path: str) -> Iterator[None]:
    """Turn an OSError of the block into an error of the store; ``path`` is relative to the store."""
    try:
        yield
    except OSError as error:
        raise _store_error(error, operation, path) from error


def _store_error(error: OSError, operation: str, path: str) -> Exception:
    if error.errno in _FULL:
        return disk_full(path)
    if operation == "write" and error.errno in _WRONG_KIND:
        return InvalidKey(
            f"{path} is, or is below, a file, folder or link in the store's folder that is in its way; links are not followed"
        )
    return unavailable(operation, f"{path or 'its folder'}: {error.strerror}", retry_after_s=RETRY_AFTER_S)
