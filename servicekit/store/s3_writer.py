"""How an object of unknown size goes into a bucket: whole where it is small, in parts where it is not, or not at all."""

from __future__ import annotations

import io

from minio.datatypes import Part

from servicekit.errors import Unavailable
from servicekit.logs import logger
from servicekit.store.object_store import ObjectDigest, StoredObject, unavailable
from servicekit.store.s3_client import RETRY_AFTER_S, S3Client, s3_errors

PART_BYTES = 8 << 20
"""A part of an upload: S3 wants 5 MiB at least and 10000 parts at most, so that an object has up to 78 GiB."""


class S3Writer:
    """The ObjectWriter of a bucket: one request up to ``PART_BYTES``, a multipart upload beyond. Holds one part."""

    def __init__(self, client: S3Client, bucket: str, name: str, key: str, content_type: str) -> None:
        self._client = client
        self._bucket = bucket
        self._name = name
        self._key = key
        self._content_type = content_type
        self._digest = ObjectDigest()
        self._held = bytearray()
        self._upload_id: str | None = None
        self._parts: list[Part] = []
        self._open = True
        self._stored: StoredObject | None = None

    @property
    def stored(self) -> StoredObject:
        """See ObjectWriter."""
        if self._stored is None:
            raise RuntimeError(f"{self._key} is not stored yet: that is known when the with block has ended well")
        return self._stored

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """See ObjectWriter."""
        if not self._open:
            raise ValueError(f"write to {self._key} after the end of its with block")
        rest = memoryview(data).cast("B")
        size = len(rest)
        self._digest.update(rest)
        while rest:
            room = PART_BYTES - len(self._held)
            self._held += rest[:room]
            rest = rest[room:]
            if len(self._held) == PART_BYTES and rest:
                self._send_part()
        return size

    def flush(self) -> None:
        """See ObjectWriter."""

    def close(self) -> None:
        """See ObjectWriter."""

    def publish(self) -> None:
        """Make what was written an object."""
        stored = self._digest.stored(self._key)
        if self._upload_id is None:
            self._put_whole(stored.sha256 or "")
        else:
            self._send_part()
            with s3_errors("write", self._key):
                self._client.complete_upload(self._bucket, self._name, self._parts, upload_id=self._upload_id)
            self._upload_id = None
            self._check_size(stored)
        self._stored = stored

    def abort_unless_published(self) -> None:
        """Drop what was sent."""
        self._open = False
        self._held.clear()
        if self._upload_id is None:
            return
        try:
            with s3_errors("abort", self._key):
                self._client.abort_upload(self._bucket, self._name, upload_id=self._upload_id)
        except Unavailable as error:
            # The error that led here is the one to be seen; the parts wait for abort_stale_uploads.
            logger("store").warning("multipart_upload_left", key=self._key, cause=str(error))

    def _send_part(self) -> None:
        """Send what is held; the upload begins with its first part."""
        with s3_errors("write", self._key):
            if self._upload_id is None:
                self._upload_id = self._client.begin_upload(self._bucket, self._name, self._content_type)
            number = len(self._parts) + 1
            data = bytes(self._held)
            self._held.clear()
            part = self._client.upload_part(self._bucket, self._name, data, upload_id=self._upload_id, number=number)
            self._parts.append(part)

    def _put_whole(self, sha256: str) -> None:
        with s3_errors("write", self._key):
            self._client.put_object(
                self._bucket,
                self._name,
                io.BytesIO(self._held),
                len(self._held),
                content_type=self._content_type,
                metadata={"sha256": sha256},
                part_size=PART_BYTES,
            )

    def _check_size(self, stored: StoredObject) -> None:
        """S3 may answer 200 and put the failure of a completion into the body: look whether the object is there, and whole."""
        with s3_errors("write", self._key):
            found = self._client.stat_object(self._bucket, self._name)
        if found.size != stored.size_bytes:
            raise unavailable(
                "write",
                f"{self._key} has {found.size} bytes there after {stored.size_bytes} were sent",
                retry_after_s=RETRY_AFTER_S,
            )
