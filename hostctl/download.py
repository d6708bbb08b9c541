"""Download one file over HTTPS: resumed after a cut or in a later run, and renamed into place once its digest is verified."""

from __future__ import annotations

import hashlib
import http.client
import os
import queue
import random
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc

from sonichaos_client.errors import DigestMismatchError, DownloadError
from sonichaos_client.retry import Backoff, RetryPolicy

MAX_BYTES = 8 * 2**30
"""No known model comes near. A server that never stops sending is stopped here."""
TIMEOUT_S = 60.0
"""Between two pieces of an answer."""
_PIECE_BYTES = 1 << 20
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Progress = Callable[[int, int], None]
"""Gets the bytes received and the bytes in all (0: unknown)."""


RETRY = RetryPolicy(initial_backoff_s=1.0, max_backoff_s=30.0, max_elapsed_s=180.0)
"""For a server that answers, but not all of the file."""


@dataclass(frozen=True, kw_only=True)
class AttemptLimits:
    """When a file is given up. ``answer_s`` is for the name, the connection and the first line of one answer.

    While no server has answered, there are at most ``unreachable_attempts``, within ``unreachable_s``; afterwards ``retry`` counts.
    """

    answer_s: float = 6.0
    unreachable_s: float = 18.0
    unreachable_attempts: int = 4
    retry: RetryPolicy = RETRY


class UnreachableError(DownloadError):
    """No server answered any attempt: there is no network here, or it does not lead there."""


class Attempts:
    """The attempts at one file. ``on_failure`` gets a sentence for each attempt that failed and is followed by another."""

    def __init__(self, limits: AttemptLimits, on_failure: Callable[[str], None]) -> None:
        self.limits = limits
        self._on_failure = on_failure
        self._backoff = Backoff(limits.retry, random.Random())  # noqa: S311 - spreads retries, hides nothing
        self._answered = False
        self._count = 0
        self._started_s = time.monotonic()

    def on_progress(self) -> None:
        """Bytes have arrived: waits start again at the first."""
        self._backoff.reset()

    def wait(self, url: str, error: DownloadError) -> None:
        """Wait before the next attempt. Raises ``error``, or UnreachableError, if there is none."""
        self._count += 1
        self._answered = self._answered or not isinstance(error, _NoAnswerError)
        wait_s = self._backoff.next_wait_s(error)
        elapsed_s = time.monotonic() - self._started_s
        is_last = self._count >= self.limits.unreachable_attempts
        if not self._answered and (is_last or elapsed_s + wait_s + self.limits.answer_s > self.limits.unreachable_s):
            raise UnreachableError(f"{error.message} ({self._count} attempts in {elapsed_s:.0f} s)") from error
        why = error.message.removeprefix(f"{url} ")
        self._on_failure(f"attempt {self._count} failed: it {why}; attempt {self._count + 1} in {wait_s:.1f} s")
        time.sleep(wait_s)


def require_https(url: str) -> str:
    """``url`` itself if it is HTTPS or on this machine. Raises DownloadError for any other."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return url
    raise DownloadError(f"weights are downloaded over https only, got {url}", code=grpc.StatusCode.INVALID_ARGUMENT)


def download_file(url: str, path: Path, *, sha256: str, attempts: Attempts, on_progress: Progress) -> str:
    """Download ``url`` to ``path``; returns the file's SHA-256, 64 hex digits.

    ``sha256`` holds the first hex digits of the expected digest, as many as are known. A partial file of an earlier run is
    continued; if the result does not match, the whole file is downloaded once more. Raises DigestMismatchError, or
    DownloadError when ``attempts`` end, which leaves the partial file for the next run.
    """
    require_https(url)
    part = path.with_name(f".{path.name}.part")
    resumed = _size_bytes(part) > 0
    _download(url, part, attempts, on_progress)
    digest = _sha256(part)
    if resumed and not _matches(digest, sha256):
        part.unlink()
        _download(url, part, attempts, on_progress)
        digest = _sha256(part)
    if not _matches(digest, sha256):
        part.unlink()
        raise DigestMismatchError(
            f"{url} must have the SHA-256 {sha256}{'…' if len(sha256) < 64 else ''}, got {digest}; the download was deleted",
            metadata={"key": path.name, "expected_sha256": sha256, "found_sha256": digest},
        )
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    return digest


def check_file(path: Path, sha256: str) -> str:
    """The SHA-256 of an existing file. Raises DigestMismatchError if it does not begin with ``sha256``."""
    digest = _sha256(path)
    if not _matches(digest, sha256):
        raise DigestMismatchError(
            f"{path} must have the SHA-256 {sha256}, got {digest}; delete it and fetch it again",
            metadata={"key": path.name, "expected_sha256": sha256, "found_sha256": digest},
        )
    return digest


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect may not leave HTTPS."""

    def redirect_request(  # noqa: PLR0917 - urllib's own signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        return super().redirect_request(req, fp, code, msg, headers, require_https(newurl))


class _InterruptedError(DownloadError):
    """An attempt ended before the file did; another one may complete it."""


class _NoAnswerError(_InterruptedError):
    """An attempt got no answer at all."""


def _download(url: str, part: Path, attempts: Attempts, on_progress: Progress) -> None:
    """Request the rest of ``part`` until it is complete."""
    opener = urllib.request.build_opener(_HttpsRedirects)
    while True:
        before_bytes = _size_bytes(part)
        try:
            _request_rest(opener, url, part, attempts.limits.answer_s, on_progress)
        except _InterruptedError as error:
            if _size_bytes(part) > before_bytes:
                attempts.on_progress()
            attempts.wait(url, error)
        else:
            return


def _request_rest(
    opener: urllib.request.OpenerDirector, url: str, part: Path, answer_s: float, on_progress: Progress
) -> None:
    """One GET from where the partial file ends."""
    offset_bytes = _size_bytes(part)
    headers = {"Range": f"bytes={offset_bytes}-"} if offset_bytes else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - require_https was called
    try:
        response = _open(opener, request, answer_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the partial file is complete, or too long: its digest decides
        if error.code >= http.client.INTERNAL_SERVER_ERROR or error.code == http.client.TOO_MANY_REQUESTS:
            raise _InterruptedError(f"{url} answered {error.code}") from error
        raise DownloadError(f"{url} answered {error.code}", code=grpc.StatusCode.INTERNAL) from error
    except (OSError, http.client.HTTPException) as error:
        raise _NoAnswerError(f"{url} does not answer: {_reason(error)}") from error
    with response:
        if response.status != http.client.PARTIAL_CONTENT:
            offset_bytes = 0
        rest_bytes = int(response.headers.get("Content-Length") or 0)
        _check_size(url, part, offset_bytes + rest_bytes, rest_bytes)
        with part.open("ab" if offset_bytes else "wb") as file:
            _copy(
                response,
                file,
                url,
                offset_bytes,
                offset_bytes + rest_bytes if rest_bytes else 0,
                on_progress=on_progress,
            )


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return (reason.strerror if isinstance(reason, OSError) else "") or str(reason)


def _open(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, answer_s: float
) -> http.client.HTTPResponse:
    """Send a request; raises TimeoutError if there is no answer within ``answer_s``.

    In a thread, because a name is looked up without a timeout. A thread that is late closes what it opened.
    """
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()
    too_late = threading.Event()

    def open_and_answer() -> None:
        try:
            answer = opener.open(request, timeout=TIMEOUT_S)
        except (OSError, ValueError, http.client.HTTPException, DownloadError) as error:
            answers.put(error)
            return
        answers.put(answer)
        if too_late.is_set():
            answer.close()

    threading.Thread(target=open_and_answer, name="fetch", daemon=True).start()
    try:
        answer = answers.get(timeout=answer_s)
    except queue.Empty:
        too_late.set()
        raise TimeoutError(f"nothing came within {answer_s:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _check_size(url: str, part: Path, size_bytes: int, rest_bytes: int) -> None:
    if size_bytes > MAX_BYTES:
        raise DownloadError(
            f"{url} must have at most {MAX_BYTES} bytes, got {size_bytes}", code=grpc.StatusCode.INTERNAL
        )
    free_bytes = shutil.disk_usage(part.parent).free
    if rest_bytes > free_bytes:
        raise DownloadError(
            f"{part.parent} needs {rest_bytes} bytes of free space, has {free_bytes}; free some and run this again",
            code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        )


def _copy(
    response: http.client.HTTPResponse,
    file: IO[bytes],
    url: str,
    received_bytes: int,
    size_bytes: int,
    *,
    on_progress: Progress,
) -> None:
    """Append the answer to ``file``, which has ``received_bytes`` of ``size_bytes`` (0: unknown)."""
    while True:
        try:
            data = response.read(_PIECE_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _InterruptedError(f"{url} was cut off: {error or type(error).__name__}") from error
        if not data:
            break
        file.write(data)
        received_bytes += len(data)
        if received_bytes > MAX_BYTES:
            raise DownloadError(f"{url} sends more than {MAX_BYTES} bytes", code=grpc.StatusCode.INTERNAL)
        on_progress(received_bytes, size_bytes)
    if size_bytes and received_bytes < size_bytes:
        raise _InterruptedError(f"{url} ended after {received_bytes} of {size_bytes} bytes")


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _matches(digest: str, expected: str) -> bool:
    return digest[: len(expected)] == expected


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
