"""Download one file over HTTPS: resumed after a cut or in a later run, and known by its digest before it gets its name."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

import grpc

from sonichaos_client.errors import DownloadFailed, DownloadMismatch
from sonichaos_client.retry import Backoff

MOST_BYTES = 8 * 2**30  # no known model comes near; a server that sends without end is stopped here
_PIECE_BYTES = 1024 * 1024
_TIMEOUT_S = 60.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def require_https(url: str) -> str:
    """``url`` itself where it is HTTPS, or on this machine. Raises DownloadFailed."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return url
    raise DownloadFailed(f"weights are fetched over https only, not from {url}", code=grpc.StatusCode.INVALID_ARGUMENT)


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


def fetch(url: str, path: Path, *, sha256: str, backoff: Backoff, shown: Callable[[int, int], None]) -> str:
    """Download ``url`` to ``path``; gives the SHA-256, 64 hex digits.

    ``sha256`` are its first hex digits, as many as are known; ``shown`` gets bytes done and bytes in all (0: unknown). What a run
    before this left in ``path``'s part file is gone on from; where the whole then does not match, it is fetched anew once. Raises
    DownloadMismatch, or DownloadFailed when patience has run out, which leaves the part for the next run.
    """
    require_https(url)
    part = path.with_name(f".{path.name}.part")
    resumed = part.exists() and part.stat().st_size > 0
    _fill(url, part, backoff, shown)
    found = _sha256(part)
    if resumed and not _matches(found, sha256):
        part.unlink()
        _fill(url, part, backoff, shown)
        found = _sha256(part)
    if not _matches(found, sha256):
        part.unlink()
        raise DownloadMismatch(
            f"{url} has SHA-256 {found}, wanted {sha256}{'…' if len(sha256) < 64 else ''}; nothing was kept",
            metadata={"key": path.name, "expected_sha256": sha256, "found_sha256": found},
        )
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    return found


def check(path: Path, sha256: str) -> str:
    """The SHA-256 of a file that is there already. Raises DownloadMismatch where it does not begin with ``sha256``."""
    found = _sha256(path)
    if not _matches(found, sha256):
        raise DownloadMismatch(
            f"{path} has SHA-256 {found}, wanted {sha256}; delete it and fetch it again",
            metadata={"key": path.name, "expected_sha256": sha256, "found_sha256": found},
        )
    return found


def _matches(found: str, wanted: str) -> bool:
    return hmac.compare_digest(found[: len(wanted)], wanted)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(url: str, part: Path, backoff: Backoff, shown: Callable[[int, int], None]) -> None:
    opener = urllib.request.build_opener(_HttpsRedirects)
    while True:
        before_bytes = part.stat().st_size if part.exists() else 0
        try:
            _one_try(opener, url, part, shown)
        except _CutError as cut:
            if part.exists() and part.stat().st_size > before_bytes:
                backoff.succeeded()
            time.sleep(backoff.wait_s(cut))
        else:
            return


class _CutError(DownloadFailed):
    """A try that brought less than the whole file."""


def _one_try(opener: urllib.request.OpenerDirector, url: str, part: Path, shown: Callable[[int, int], None]) -> None:
    """One GET from where the part file ends. Raises _CutError for what another try may mend."""
    offset_bytes = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={offset_bytes}-"} if offset_bytes else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - require_https was asked
    try:
        response = opener.open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the part is whole, or too long: its digest will tell
        if error.code >= http.client.INTERNAL_SERVER_ERROR or error.code == http.client.TOO_MANY_REQUESTS:
            raise _CutError(f"{url} answered {error.code}") from error
        raise DownloadFailed(f"{url} answered {error.code}", code=grpc.StatusCode.INTERNAL) from error
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(f"{url} does not answer: {error}") from error
    with response:
        if response.status != http.client.PARTIAL_CONTENT:
            offset_bytes = 0
        left_bytes = int(response.headers.get("Content-Length") or 0)
        _check_room(part, url, offset_bytes + left_bytes, left_bytes)
        with part.open("ab" if offset_bytes else "wb") as file:
            _copy(response, file, url, offset_bytes, offset_bytes + left_bytes if left_bytes else 0, shown=shown)


def _check_room(part: Path, url: str, size_bytes: int, left_bytes: int) -> None:
    if size_bytes > MOST_BYTES:
        raise DownloadFailed(f"{url} has {size_bytes} bytes, more than {MOST_BYTES}", code=grpc.StatusCode.INTERNAL)
    free_bytes = shutil.disk_usage(part.parent).free
    if left_bytes > free_bytes:
        raise DownloadFailed(
            f"{part.parent} has {free_bytes} bytes free, {left_bytes} are to come; free space and try again",
            code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        )


def _copy(
    response: http.client.HTTPResponse,
    file: IO[bytes],
    url: str,
    done_bytes: int,
    size_bytes: int,
    *,
    shown: Callable[[int, int], None],
) -> None:
    while True:
        try:
            data = response.read(_PIECE_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _CutError(f"{url} broke off: {error or type(error).__name__}") from error
        if not data:
            break
        file.write(data)
        done_bytes += len(data)
        if done_bytes > MOST_BYTES:
            raise DownloadFailed(f"{url} sends more than {MOST_BYTES} bytes", code=grpc.StatusCode.INTERNAL)
        shown(done_bytes, size_bytes)
    if size_bytes and done_bytes < size_bytes:
        raise _CutError(f"{url} ended after {done_bytes} of {size_bytes} bytes")
