"""Download a stored file through a signed URL: verified against the stored digest, resumed after a connection loss."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import grpc

from sonichaos.jobs.v1 import job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as pb
from sonichaos_client import jobs
from sonichaos_client.atomic_file import AtomicFile, check_not_existing
from sonichaos_client.credentials import Credentials
from sonichaos_client.enums import FileKind, JobState
from sonichaos_client.errors import (
    DataLossError,
    DigestMismatchError,
    DownloadError,
    InternalError,
    UntrustedServerError,
    untrusted_message,
)
from sonichaos_client.fields import StrPath
from sonichaos_client.job_reference import JobLike, number_of, version_of
from sonichaos_client.options import CallOptions
from sonichaos_client.retry import Backoff
from sonichaos_client.sansio import Operation, Sleep, run_blocking

_READ_BYTES = 1024 * 1024
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_TIMEOUT_S = 60.0
_SUFFIXES = {
    FileKind.ZIP: ".zip",
    FileKind.BOUNCE: ".wav",
    FileKind.MANIFEST: ".json",
    FileKind.LATENTS: ".latents.safetensors",
    FileKind.MIDI: ".mid",
}
_FIELDS: dict[FileKind, Literal["zip", "bounce", "manifest", "latents", "midi"]] = {
    FileKind.ZIP: "zip",
    FileKind.BOUNCE: "bounce",
    FileKind.MANIFEST: "manifest",
    FileKind.LATENTS: "latents",
    FileKind.MIDI: "midi",
}
_URL_EXPIRED = frozenset({401, 403, 410})


@dataclass(frozen=True)
class SavedFile:
    """A file that was downloaded and verified."""

    job_id: str
    version: int
    path: Path
    size_bytes: int
    sha256: str


def local_name(job_id: str, version: int, kind: FileKind) -> str:
    """The local file name, such as ``j-...-v1.zip``. Raises InternalError for an id that is no plain name.

    The id comes from the service: it must not lead out of the folder, nor name a hidden file.
    """
    if not _PLAIN_ID.fullmatch(job_id):
        raise InternalError(
            f"The service must name a job by letters, digits and -, got {job_id[:80]!r}. No file was written.",
            code=grpc.StatusCode.INTERNAL,
        )
    return f"{job_id}-v{version}{_SUFFIXES[kind]}"


def version_with_file(job: job_pb2.Job, number: int, kind: FileKind | None) -> job_pb2.Version:
    """The version of that number. 0: the newest that has the file, or any file if ``kind`` is None; without one, the newest."""
    if not number:
        for version in reversed(job.versions):
            if any(
                version.files.HasField(_FIELDS[one]) for one in ([kind] if kind else (FileKind.ZIP, FileKind.BOUNCE))
            ):
                return version
    return version_of(job, number)


def default_kind(version: job_pb2.Version) -> FileKind:
    """The ZIP if the version has stems or will have them, otherwise the bounce.

    A version that ended without the requested stems will not have them: its file is the bounce.
    """
    expects_zip = version.stems_wanted and JobState(version.state) not in jobs.FINAL_STATES
    return FileKind.ZIP if version.files.HasField("zip") or expects_zip else FileKind.BOUNCE


def download(
    job: JobLike,
    folder: StrPath,
    version: int,
    kind: FileKind | None,
    source: Source,
    *,
    file_name: str | None,
    overwrite: bool,
) -> Operation[SavedFile]:
    """Download a file of a version into ``folder``; version 0 is the newest that has it, kind None is `default_kind`.

    The name of the file is ``file_name``, or `local_name`.

    Raises LocalFileExistsError before anything is downloaded, DigestMismatchError if the bytes are not those that were stored,
    DataLossError if the store has lost the file, DownloadError if it cannot be downloaded, UntrustedServerError if the store's
    certificate is not trusted, LocalWriteError if the file cannot be written here. No partial file remains.
    """
    options = source.options
    row = yield from jobs.get_job(job, options)
    found = version_with_file(row, number_of(job, version), kind)
    target = _Target(row, found.number, kind or default_kind(found))
    path = Path(folder) / (file_name or local_name(row.job_id, target.version, target.kind))
    check_not_existing(path, overwrite=overwrite)
    signed = yield from target.sign(options)
    with AtomicFile(path, overwrite=overwrite) as file:
        yield from _fill(file, signed, source, target)
        _check(file, signed.file)
        yield from run_blocking(file.commit)
    return SavedFile(row.job_id, target.version, path, file.size_bytes, file.sha256)


@dataclass(frozen=True)
class Source:
    """How files are downloaded: the options of calls, and the authorities that are trusted."""

    options: CallOptions
    credentials: Credentials


@dataclass(frozen=True)
class _Target:
    """The file to download."""

    job: job_pb2.Job
    version: int
    kind: FileKind

    def sign(self, options: CallOptions) -> Operation[pb.CreateSignedUrlResponse]:
        """A new URL of the file."""
        return (yield from jobs.create_signed_url(self.job, self.version, self.kind, None, options))


def _fill(file: AtomicFile, signed: pb.CreateSignedUrlResponse, source: Source, target: _Target) -> Operation[None]:
    """Download all bytes, resuming after each connection loss."""
    options = source.options
    backoff = Backoff(options.retry, options.rng)
    while file.size_bytes < signed.file.size_bytes:
        before_bytes = file.size_bytes
        try:
            request = _Get(signed.url, file, source.credentials)
            yield from run_blocking(request.start)
            with contextlib.closing(request):
                while file.size_bytes < signed.file.size_bytes:
                    yield from run_blocking(request.read_chunk)
        except _IncompleteError as error:
            if file.size_bytes > before_bytes:
                backoff.reset()
            yield Sleep(backoff.next_wait_s(error))
            if error.url_expired:
                signed = yield from target.sign(options)
        except _MissingError as error:
            signed = yield from target.sign(options)  # raises NotFoundError if the job was deleted in the meantime
            raise _lost(signed.file, error) from error


def _check(file: AtomicFile, stored: job_pb2.StoredFile) -> None:
    if (file.size_bytes, file.sha256) == (stored.size_bytes, stored.sha256):
        return
    message = (
        f"{stored.key}: expected {stored.size_bytes} bytes with SHA-256 {stored.sha256}, got {file.size_bytes} bytes with "
        f"{file.sha256}. No file was written."
    )
    metadata = {"key": stored.key, "expected_sha256": stored.sha256, "found_sha256": file.sha256}
    raise DigestMismatchError(message, reason="DIGEST_MISMATCH", metadata=metadata)


def _lost(stored: job_pb2.StoredFile, missing: DownloadError) -> DataLossError:
    return DataLossError(
        f"The store has lost {stored.key} ({stored.size_bytes} bytes, SHA-256 {stored.sha256}): {missing.message}. "
        "The operator of the services may be able to restore it from a backup.",
        reason="DIGEST_MISMATCH",
        metadata={"key": stored.key, "expected_sha256": stored.sha256, "found_sha256": ""},
    )


class _MissingError(DownloadError):
    """The store has no file under the signed name."""


class _IncompleteError(DownloadError):
    """A request returned less than the whole file. ``url_expired``: the store no longer accepts the URL."""

    def __init__(self, url: str, what: str, *, url_expired: bool = False) -> None:
        super().__init__(f"{_without_signature(url)} {what}")
        self.url_expired = url_expired


def _without_signature(url: str) -> str:
    return url.partition("?")[0]


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect may not leave HTTPS: the file, and a signature in the new URL, would be readable on the way."""

    def redirect_request(  # noqa: PLR0917 - urllib's own signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme != "https":
            return None  # then the redirect is the answer
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Get:
    """One GET request, starting at the current end of the file.

    Raises _IncompleteError if a retry can succeed, _MissingError if the store has no such file, and the errors of AtomicFile.
    """

    def __init__(self, url: str, file: AtomicFile, credentials: Credentials) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            raise DownloadError(
                f"Expected an http or https URL from the service, got the scheme {parts.scheme!r}.",
                code=grpc.StatusCode.INTERNAL,
            )
        self._url = url
        self._file = file
        self._parts = parts
        self._credentials = credentials
        self._body: IO[bytes] = io.BytesIO()

    def start(self) -> None:
        """Send the request, with Range if the file has bytes already; they are discarded if the server ignores Range."""
        offset_bytes = self._file.size_bytes
        headers = {"Range": f"bytes={offset_bytes}-"} if offset_bytes else {}
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - the scheme was checked
        try:
            response = self._opener().open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            raise self._error_of(error.code) from error
        except (OSError, http.client.HTTPException) as error:
            why = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(why, ssl.SSLCertVerificationError):
                raise UntrustedServerError(untrusted_message(str(self._parts.netloc), why.verify_message)) from error
            raise _IncompleteError(self._url, f"does not answer: {error}") from error
        if offset_bytes and response.status != http.client.PARTIAL_CONTENT:
            self._file.truncate()
        self._body = response

    def _opener(self) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = [_SafeRedirects()]
        if self._parts.hostname in {"127.0.0.1", "localhost", "::1"}:
            handlers.append(urllib.request.ProxyHandler({}))  # a proxy is not used for this machine itself
        if self._parts.scheme == "https":
            handlers.append(urllib.request.HTTPSHandler(context=self._credentials.https_context()))
        return urllib.request.build_opener(*handlers)

    def _error_of(self, status: int) -> DownloadError:
        what = f"answered with HTTP status {status}"
        if status in _URL_EXPIRED:
            return _IncompleteError(self._url, what, url_expired=True)
        if status >= http.client.INTERNAL_SERVER_ERROR or status == http.client.TOO_MANY_REQUESTS:
            return _IncompleteError(self._url, what)
        kind = _MissingError if status == http.client.NOT_FOUND else DownloadError
        return kind(f"{_without_signature(self._url)} {what}", code=grpc.StatusCode.INTERNAL)

    def read_chunk(self) -> None:
        """Write the next bytes to the file."""
        try:
            data = self._body.read(_READ_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _IncompleteError(self._url, f"lost the connection: {error or type(error).__name__}") from error
        if not data:
            raise _IncompleteError(self._url, f"ended after {self._file.size_bytes} bytes")
        self._file.write(data)

    def close(self) -> None:
        """Close the connection."""
        self._body.close()
