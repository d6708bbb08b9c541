"""The object store in a bucket, over S3: MinIO, AWS and compatible servers.

Nothing here depends on conditional requests or on ETags being digests, because servers differ there. The caller records digests;
small objects carry theirs as metadata too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO

from minio.error import InvalidResponseError, S3Error
from urllib3 import BaseHTTPResponse

from servicekit.delivery.files import StoredFile
from servicekit.errors import NotFound
from servicekit.store.object_key import InvalidKey, check_folder, check_key, download_name, join_key
from servicekit.store.object_store import (
    ObjectStat,
    ObjectWriter,
    SignedUrl,
    check_range,
    check_ttl,
    too_large,
    unavailable,
)
from servicekit.store.s3_client import RETRY_SETTINGS_S, S3Settings, s3_client, s3_code, s3_errors
from servicekit.store.s3_uploads import UnfinishedUploads
from servicekit.store.s3_writer import S3Writer

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PROBE_TIMEOUT_S = 3.0
_BUFFER_BYTES = 1 << 18
_DIGEST = "x-amz-meta-sha256"


class S3Store:
    """An ObjectStore in ``settings.bucket`` below ``settings.prefix``. The constructor sends no request.

    ``now`` returns the time, with its zone, for the expiry of signed URLs.
    """

    def __init__(self, settings: S3Settings, *, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._prefix = check_folder(settings.prefix)
        self._bucket = settings.bucket
        self._now = now
        self._client = s3_client(settings, settings.endpoint, read_timeout_s=settings.read_timeout_s)
        self._prober = s3_client(settings, settings.endpoint, read_timeout_s=PROBE_TIMEOUT_S, retries=0)
        # Only signs: the region is known, so it sends nothing to an endpoint that may not be reachable from here.
        self._public = s3_client(
            settings, settings.public_endpoint or settings.endpoint, read_timeout_s=settings.read_timeout_s
        )

    def put_bytes(self, key: str, data: bytes, *, content_type: str, fallback: str = "") -> StoredFile:
        """See ObjectStore."""
        with self.writer(key, content_type=content_type, fallback=fallback) as sink:
            sink.write(data)
        return sink.stored

    @contextmanager
    def writer(self, key: str, *, content_type: str, fallback: str = "") -> Iterator[ObjectWriter]:
        """See ObjectStore. An exception in the block aborts the upload; ``abort_stale_uploads`` handles killed processes."""
        used = fallback or key
        sink = S3Writer(self._client, self._bucket, self._name(used), used, content_type)
        try:
            yield sink
            sink.publish()
        finally:
            sink.abort_unless_published()

    @contextmanager
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[BinaryIO]:
        """See ObjectStore."""
        check_range(offset, length)
        response = self._get(key, offset, length)
        if response is None:
            yield io.BytesIO()
            return
        try:
            with io.BufferedReader(_ResponseReader(response, key), _BUFFER_BYTES) as reader:
                yield reader
        finally:
            response.close()
            response.release_conn()

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """See ObjectStore."""
        with self.open(key, length=max_bytes + 1) as source:
            data = source.read()
        if len(data) > max_bytes:
            raise too_large(key, max_bytes)
        return data

    def stat(self, key: str) -> ObjectStat | None:
        """See ObjectStore. Objects of at most one part have their digest."""
        name = self._name(key)
        try:
            with s3_errors("stat", key):
                found = self._client.stat_object(self._bucket, name)
        except NotFound:
            return None
        modified_at = found.last_modified or self._now()  # a server that does not say: as if written just now
        return ObjectStat(found.size or 0, (found.metadata or {}).get(_DIGEST), modified_at)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        name = self._name(key)
        try:
            with s3_errors("delete", key):
                self._client.remove_object(self._bucket, name)
        except NotFound:
            # S3 answers 204 for a missing object; some compatible servers answer 404.
            return

    def delete_prefix(self, prefix: str) -> int:
        """See ObjectStore. One request per object, because not every server has the request for many."""
        found = list(self.keys(check_key(prefix.removesuffix("/"))))
        for key in found:
            self.delete(key)
        return len(found)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See ObjectStore."""
        folder = check_folder(prefix)
        whole = join_key(self._prefix, folder) if folder else self._prefix
        return self._keys(f"{whole}/" if whole else "")

    def signed_url(self, key: str, *, ttl_s: int) -> SignedUrl:
        """See ObjectStore. Signature Version 4, for the public endpoint."""
        signed_at = self._now().astimezone(UTC).replace(microsecond=0)
        ttl = timedelta(seconds=check_ttl(ttl_s))
        url = self._public.presigned_get_object(
            self._bucket,
            self._name(key),
            expires=ttl,
            request_date=signed_at,
            response_headers={"response-content-disposition": f'attachment; filename="{download_name(key)}"'},
        )
        return SignedUrl(url, signed_at + ttl)

    def probe(self) -> None:
        """Raise Unavailable, saying what to do, unless the server answers within about three seconds and has the bucket."""
        with s3_errors("probe", ""):
            there = self._prober.bucket_exists(self._bucket)
        if not there:
            raise unavailable(
                "probe",
                f"{self._settings.endpoint} has no bucket {self._bucket}; create it or correct SONICHAOS_S3_BUCKET",
                retry_after_s=RETRY_SETTINGS_S,
            )

    def abort_stale_uploads(self, *, older_than_s: int) -> int:
        """Abort the uploads below the prefix that started more than ``older_than_s`` seconds ago; returns their number.

        For a service's start: the parts of an upload whose process was killed are invisible but stored, and paid for.
        """
        limit = self._now() - timedelta(seconds=older_than_s)
        aborted = 0
        with s3_errors("abort", self._prefix):
            uploads = UnfinishedUploads(self._settings)
            for upload in list(uploads.list(f"{self._prefix}/" if self._prefix else "")):
                if upload.started_at < limit:
                    uploads.abort(upload)
                    aborted += 1
        return aborted

    def _name(self, key: str) -> str:
        """The object's full name in the bucket."""
        return join_key(self._prefix, check_key(key))

    def _keys(self, prefix: str) -> Iterator[str]:
        own = len(f"{self._prefix}/") if self._prefix else 0
        with s3_errors("list", prefix):
            for found in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
                try:
                    key = check_key((found.object_name or "")[own:])
                except InvalidKey:
                    # An object of others, whose name is not a key.
                    continue
                yield key

    def _get(self, key: str, offset: int, length: int | None) -> BaseHTTPResponse | None:
        """A response to be read; None if the range is empty."""
        name = self._name(key)
        with s3_errors("open", key):
            if length == 0:  # for minio that means the whole object
                self._client.stat_object(self._bucket, name)
                return None
            try:
                return self._client.get_object(self._bucket, name, offset=offset, length=length or 0)
            except (S3Error, InvalidResponseError) as error:
                if s3_code(error) != "InvalidRange":
                    raise
                return None


class _ResponseReader(io.RawIOBase):
    """The body of a response, sequentially."""

    def __init__(self, response: BaseHTTPResponse, key: str) -> None:
        self._response = response
        self._key = key

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into ``buffer``; returns the number of bytes, 0 at the end."""
        target = memoryview(buffer).cast("B")
        with s3_errors("read", self._key):
            data = self._response.read(len(target), decode_content=False)
        target[: len(data)] = data
        return len(data)
