"""Fetch a stored file through a signed URL: whole, checked against the service's digest, resumed after a cut."""

from __future__ import annotations

import contextlib
import http.client
import io
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc

from sonichaos.jobs.v1 import job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as pb
from sonichaos_client import jobs
from sonichaos_client.errors import DataLoss, DownloadFailed, DownloadMismatch
from sonichaos_client.landing import Landing, refuse_existing
from sonichaos_client.options import CallOptions
from sonichaos_client.retry import Backoff
from sonichaos_client.steps import Flow, Sleep, block

_PIECE_BYTES = 1024 * 1024
_TIMEOUT_S = 60.0
_SUFFIXES = {
    pb.FILE_KIND_ZIP: ".zip",
    pb.FILE_KIND_BOUNCE: ".wav",
    pb.FILE_KIND_MANIFEST: ".json",
    pb.FILE_KIND_LATENTS: ".latents.safetensors",
}
_SIGN_AGAIN = frozenset({401, 403, 410})


@dataclass(frozen=True)
class SavedFile:
    """A file that was fetched and checked."""

    job_id: str
    version: int
    path: Path
    size_bytes: int
    sha256: str


def local_name(job_id: str, version: int, kind: pb.FileKind.ValueType) -> str:
    """The name under which a file is kept, such as ``j-...-v1.zip``."""
    return f"{job_id}-v{version}{_SUFFIXES[kind]}"


def kind_of(version: job_pb2.Version) -> pb.FileKind.ValueType:
    """What a version is delivered as: the ZIP where it has stems or awaits them, else the bounce.

    A version that ended without the stems that were wanted awaits none: what it has is its bounce.
    """
    awaits_zip = version.stems_wanted and version.state not in jobs.ENDED
    return pb.FILE_KIND_ZIP if version.files.HasField("zip") or awaits_zip else pb.FILE_KIND_BOUNCE


def download(
    job_id: str,
    folder: Path,
    version: int,
    kind: pb.FileKind.ValueType,
    *,
    overwrite: bool,
    options: CallOptions,
) -> Flow[SavedFile]:
    """Fetch a file of a version into ``folder``; version 0 is the newest, an unspecified kind what `kind_of` says.

    Raises LocalFileExists before anything is fetched, DownloadMismatch where the bytes are not those that were stored,
    DataLoss where the store has lost them, DownloadFailed where they cannot be had, LocalFileUnwritten where this
    machine's disk does not take them; in each case nothing is kept.
    """
    job = yield from jobs.get(job_id, options)
    wanted = jobs.version_of(job, version)
    kind = kind or kind_of(wanted)
    path = folder / local_name(job.job_id, wanted.number, kind)
    refuse_existing(path, overwrite=overwrite)
    signed = yield from jobs.sign(job_id, wanted.number, kind, None, options)
    with Landing(path, overwrite=overwrite) as landing:
        yield from _fill(landing, signed, options, _Signing(job_id, wanted.number, kind))
        _check(landing, signed.file)
        yield from block(landing.commit)
    return SavedFile(job_id, wanted.number, path, landing.size_bytes, landing.sha256)


@dataclass(frozen=True)
class _Signing:
    job_id: str
    version: int
    kind: pb.FileKind.ValueType

    def again(self, options: CallOptions) -> Flow[pb.CreateSignedUrlResponse]:
        """A fresh URL of the same file."""
        return (yield from jobs.sign(self.job_id, self.version, self.kind, None, options))


def _fill(landing: Landing, signed: pb.CreateSignedUrlResponse, options: CallOptions, signing: _Signing) -> Flow[None]:
    """Write the file's bytes, as often as it takes, each time from where the last try ended."""
    backoff = Backoff(options.retry, options.rng)
    while landing.size_bytes < signed.file.size_bytes:
        before_bytes = landing.size_bytes
        try:
            fetch = _Fetch(signed.url, landing)
            yield from block(fetch.start)
            with contextlib.closing(fetch):
                while landing.size_bytes < signed.file.size_bytes:
                    yield from block(fetch.piece)
        except _CutError as cut:
            if landing.size_bytes > before_bytes:
                backoff.succeeded()
            yield Sleep(backoff.wait_s(cut))
            if cut.refused:
                signed = yield from signing.again(options)
        except _AbsentError as absent:
            signed = yield from signing.again(options)  # a job that was deleted meanwhile is NotFound
            raise _lost(signed.file, absent) from absent


def _check(landing: Landing, stored: job_pb2.StoredFile) -> None:
    if (landing.size_bytes, landing.sha256) == (stored.size_bytes, stored.sha256):
        return
    message = (
        f"{stored.key} came as {landing.size_bytes} bytes with SHA-256 {landing.sha256}, but the service stored "
        f"{stored.size_bytes} bytes with {stored.sha256}; nothing was kept"
    )
    metadata = {"key": stored.key, "expected_sha256": stored.sha256, "found_sha256": landing.sha256}
    raise DownloadMismatch(message, reason="DIGEST_MISMATCH", metadata=metadata)


def _lost(stored: job_pb2.StoredFile, absent: DownloadFailed) -> DataLoss:
    return DataLoss(
        f"{stored.key} ({stored.size_bytes} bytes, SHA-256 {stored.sha256}) is listed in the job's row, but the store "
        f"has lost it: {absent.message}; nothing was kept. Whoever runs the services may have a copy to put back",
        reason="DIGEST_MISMATCH",
        metadata={"key": stored.key, "expected_sha256": stored.sha256, "found_sha256": ""},
    )


class _AbsentError(DownloadFailed):
    """The store has no file of the name that the service signed."""


class _CutError(DownloadFailed):
    """A try brought less than the whole file. ``refused``: the store does not accept the URL, it has expired."""

    def __init__(self, url: str, what: str, *, refused: bool = False) -> None:
        super().__init__(f"{_without_signature(url)} {what}")
        self.refused = refused


def _without_signature(url: str) -> str:
    return url.partition("?")[0]


class _Fetch:
    """One GET from where the landing ends.

    Raises _CutError for what another try may mend, _AbsentError where there is no such file; errors of the local disk
    pass as they are.
    """

    def __init__(self, url: str, landing: Landing) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            raise DownloadFailed(
                f"the service signed a URL of scheme {parts.scheme!r}; wanted http or https",
                code=grpc.StatusCode.INTERNAL,
            )
        self._url = url
        self._landing = landing
        # A proxy in the environment is never meant for this machine itself.
        local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
        self._opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
        self._body: IO[bytes] = io.BytesIO()

    def start(self) -> None:
        """Send the request; what the landing has is asked for with Range, and dropped where that is not honoured."""
        offset_bytes = self._landing.size_bytes
        headers = {"Range": f"bytes={offset_bytes}-"} if offset_bytes else {}
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - the scheme was checked
        try:
            response = self._opener.open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            raise self._refusal(error.code) from error
        except (OSError, http.client.HTTPException) as error:
            raise _CutError(self._url, f"does not answer: {error}") from error
        if offset_bytes and response.status != http.client.PARTIAL_CONTENT:
            self._landing.restart()
        self._body = response

    def _refusal(self, status: int) -> DownloadFailed:
        what = f"answered {status}"
        if status in _SIGN_AGAIN:
            return _CutError(self._url, what, refused=True)
        if status >= http.client.INTERNAL_SERVER_ERROR or status == http.client.TOO_MANY_REQUESTS:
            return _CutError(self._url, what)
        kind = _AbsentError if status == http.client.NOT_FOUND else DownloadFailed
        return kind(f"{_without_signature(self._url)} {what}", code=grpc.StatusCode.INTERNAL)

    def piece(self) -> None:
        """Write the next bytes."""
        try:
            data = self._body.read(_PIECE_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _CutError(self._url, f"broke off: {error or type(error).__name__}") from error
        if not data:
            raise _CutError(self._url, f"ended after {self._landing.size_bytes} bytes")
        self._landing.write(data)

    def close(self) -> None:
        """Leave the connection."""
        self._body.close()
