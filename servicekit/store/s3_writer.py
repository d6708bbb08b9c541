"""How an object of unknown size is written to a bucket: whole if it is small, in parts if it is not.

``Minio.put_object`` reads from a source and knows how to start, complete and abort a multipart upload; the packager writes.
A thread runs ``put_object``, and a bounded pipe joins the two.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, cast

from minio import Minio

from servicekit.delivery.files import StoredFile
from servicekit.errors import NotFound
from servicekit.logs import logger
from servicekit.store.object_store import ObjectDigest, unavailable
from servicekit.store.s3_client import RETRY_AFTER_S, s3_errors

PART_BYTES = 8 << 20
"""The size of a part. S3 requires at least 5 MiB and at most 10000 parts, so an object has up to 78 GiB."""
_PIECE_BYTES = 1 << 20


class S3Writer:
    """The ObjectWriter of a bucket: one request up to ``PART_BYTES``, a multipart upload beyond, in bounded memory."""

    def __init__(self, client: Minio, bucket: str, name: str, key: str, content_type: str) -> None:
        self._client = client
        self._bucket = bucket
        self._name = name
        self._key = key
        self._content_type = content_type
        self._digest = ObjectDigest()
        self._buffer = bytearray()
        self._upload: _StreamedUpload | None = None
        self._open = True
        self._stored: StoredFile | None = None

    @property
    def stored(self) -> StoredFile:
        """See ObjectWriter."""
        if self._stored is None:
            raise RuntimeError(f"{self._key} is not stored yet: read `stored` after the with block")
        return self._stored

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """See ObjectWriter."""
        if not self._open:
            raise ValueError(f"{self._key} must be written inside its with block, which has ended")
        view = memoryview(data).cast("B")
        self._digest.update(view)
        if self._upload is None and len(self._buffer) + len(view) <= PART_BYTES:
            self._buffer += view
            return len(view)
        with s3_errors("write", self._key):
            if self._upload is None:
                self._upload = _StreamedUpload(self._put_stream)
                with memoryview(self._buffer) as start:
                    self._upload.write(start)
                self._buffer.clear()
            self._upload.write(view)
        return len(view)

    def flush(self) -> None:
        """See ObjectWriter."""

    def close(self) -> None:
        """See ObjectWriter."""

    def publish(self) -> None:
        """Make what was written an object."""
        stored = self._digest.stored(self._key)
        with s3_errors("write", self._key):
            if self._upload is None:
                self._put_buffer(stored.sha256)
            else:
                self._upload.finish()
                self._check_size(stored.size_bytes)
        self._stored = stored

    def abort_unless_published(self) -> None:
        """Stop the upload and delete what was sent; no effect after ``publish`` has succeeded."""
        self._open = False
        self._buffer.clear()
        error = self._upload.abort() if self._upload else None
        if error is not None:
            # Not raised, because the caller has an error of its own. put_object has tried to abort; what it could not delete is
            # left to abort_stale_uploads.
            logger("store").warning("multipart_upload_failed", key=self._key, cause=f"{type(error).__name__}: {error}")

    def _put_buffer(self, sha256: str) -> None:
        self._client.put_object(
            self._bucket,
            self._name,
            io.BytesIO(self._buffer),
            len(self._buffer),
            content_type=self._content_type,
            metadata={"sha256": sha256},
            part_size=PART_BYTES,
        )

    def _put_stream(self, source: BinaryIO) -> None:
        self._client.put_object(
            self._bucket,
            self._name,
            source,
            length=-1,
            content_type=self._content_type,
            part_size=PART_BYTES,
            num_parallel_uploads=1,  # each one more holds one more part
        )

    def _check_size(self, size_bytes: int) -> None:
        """Check that the object exists with its size: S3 may report a failed completion in the body of a 200."""
        try:
            with s3_errors("write", self._key):
                found = self._client.stat_object(self._bucket, self._name).size
        except NotFound:
            found = None
        if found != size_bytes:
            raise unavailable(
                "write",
                f"{self._key} must have the {size_bytes} bytes that were sent, has {found or 'none'}",
                retry_after_s=RETRY_AFTER_S,
            )


class _StreamedUpload:
    """A call that reads all of a stream, in a thread, and the writing end of that stream."""

    def __init__(self, send: Callable[[BinaryIO], None]) -> None:
        self._pipe = _Pipe()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="s3-upload")
        self._result = self._thread.submit(self._run, send)

    def write(self, data: memoryview) -> None:
        """Pass ``data`` on, as fast as the call reads. Raises what the call has raised."""
        if not self._pipe.write(data):
            self._result.result()

    def finish(self) -> None:
        """End the stream and wait for the call. Raises what it has raised."""
        self._pipe.end()
        self._thread.shutdown()
        self._result.result()

    def abort(self) -> BaseException | None:
        """Make the call fail if it still runs, and wait for it; returns what else it has raised."""
        self._pipe.fail()
        self._thread.shutdown()
        error = self._result.exception()
        return None if isinstance(error, _AbortedError) else error

    def _run(self, send: Callable[[BinaryIO], None]) -> None:
        try:
            send(cast("BinaryIO", self._pipe))
        finally:
            self._pipe.close_reader()


class _AbortedError(Exception):
    """The writer has failed, so the object must not be stored."""


class _Pipe:
    """A queue of bytes between two threads; the writer waits while ``_PIECE_BYTES`` of them are unread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._failed = False
        self._has_reader = True

    def write(self, data: memoryview) -> bool:
        """Enqueue all of ``data``; False if there is no reader any more."""
        for start in range(0, len(data), _PIECE_BYTES):
            with self._changed:
                self._changed.wait_for(lambda: not self._pieces or not self._has_reader)
                if not self._has_reader:
                    return False
                self._pieces.append(bytes(data[start : start + _PIECE_BYTES]))
                self._changed.notify_all()
        return True

    def end(self) -> None:
        """Mark the end of the bytes."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def fail(self) -> None:
        """Make the reader's next read raise."""
        with self._changed:
            self._failed = True
            self._changed.notify_all()

    def close_reader(self) -> None:
        """Release a waiting writer: nobody reads any more."""
        with self._changed:
            self._has_reader = False
            self._changed.notify_all()

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; empty at the end. Raises _AbortedError after ``fail``."""
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._ended or self._failed)
            if self._failed:
                raise _AbortedError
            if not self._pieces:
                return b""
            piece = self._pieces.popleft()
            if len(piece) > size:
                self._pieces.appendleft(piece[size:])
            self._changed.notify_all()
        return piece[:size]
