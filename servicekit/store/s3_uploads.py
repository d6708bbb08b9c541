"""Multipart uploads that a killed process left behind: listed and aborted.

minio completes or aborts the uploads of its own ``put_object``, but has no call for those of a process that died. Two signed
requests do it: ``GET /bucket?uploads`` and ``DELETE /bucket/name?uploadId=…``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from minio.credentials.credentials import Credentials
from minio.datatypes import ListMultipartUploadsResult
from minio.error import InvalidResponseError
from minio.signer import presign_v4
from urllib3 import BaseHTTPResponse

from servicekit.store.s3_client import S3Settings, s3_client, s3_code, s3_pool

_REQUEST_TTL = timedelta(minutes=5)
"""Leaves room for clocks that differ between the two hosts."""


@dataclass(frozen=True)
class UnfinishedUpload:
    """A multipart upload that was started and neither completed nor aborted."""

    name: str
    upload_id: str
    started_at: datetime


class UnfinishedUploads:
    """The unfinished uploads of one bucket. Raises what minio and urllib3 raise; see ``s3_errors``."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._client = s3_client(settings, settings.endpoint, read_timeout_s=settings.read_timeout_s)
        self._pool = s3_pool(settings, read_timeout_s=settings.read_timeout_s)

    def list(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Uploads to names that begin with ``prefix``."""
        marker = ""
        while True:
            # Pages are continued by name, which may skip further uploads to the last name; the next call lists those.
            response = self._send("GET", self._listing_url(prefix, marker))
            if response is None:
                return
            page = ListMultipartUploadsResult(response)
            for upload in page.uploads:
                if upload.upload_id and upload.initiated_time:
                    yield UnfinishedUpload(upload.object_name, upload.upload_id, upload.initiated_time)
            marker = page.next_key_marker or ""
            if not (page.is_truncated and page.uploads and marker):
                return

    def abort(self, upload: UnfinishedUpload) -> None:
        """Delete an upload and its parts. One that no longer exists is no error."""
        url = self._client.get_presigned_url(
            "DELETE",
            self._settings.bucket,
            upload.name,
            expires=_REQUEST_TTL,
            extra_query_params={"uploadId": upload.upload_id},
        )
        self._send("DELETE", url)

    def _listing_url(self, prefix: str, marker: str) -> str:
        query = {"encoding-type": "url", "key-marker": marker, "prefix": prefix, "uploads": ""}
        url = f"{self._settings.endpoint.rstrip('/')}/{self._settings.bucket}?{urlencode(query, quote_via=quote, safe='')}"
        signed = presign_v4(
            method="GET",
            url=urlsplit(url),
            region=self._settings.region,
            credentials=Credentials(self._settings.access_key, self._settings.secret_key),
            date=datetime.now(UTC),
            expires=int(_REQUEST_TTL.total_seconds()),
        )
        return urlunsplit(signed)

    def _send(self, method: str, url: str) -> BaseHTTPResponse | None:
        """The answer to a signed request; None for NoSuchUpload, which rclone also answers to a listing without uploads."""
        response = self._pool.request(method, url)
        if response.status in (200, 204):
            return response
        error = InvalidResponseError(
            response.status, response.headers.get("Content-Type"), response.data.decode(errors="replace")
        )
        if s3_code(error) != "NoSuchUpload":
            raise error
        return None
