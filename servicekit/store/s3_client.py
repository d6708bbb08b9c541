"""minio's S3 client with bounded times, and its errors as the store's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error

from servicekit.store.object_store import disk_full, not_found, unavailable

RETRY_AFTER_S = 5.0
RETRY_SETTINGS_S = 60.0
"""For errors that only an operator can correct."""
_RETRIES = 1
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_FULL = frozenset({"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "QuotaExceeded"})
_ADVICE = {
    "NoSuchBucket": "the bucket does not exist; create it or correct SONICHAOS_S3_BUCKET",
    "AccessDenied": "the access key or its secret is wrong, or lacks the right to read, write, list and delete below the prefix; "
    "correct the settings or grant the right",
    "InvalidAccessKeyId": "the access key is unknown; correct the setting SONICHAOS_S3_ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret key is wrong; correct the setting SONICHAOS_S3_SECRET_KEY",
    "RequestTimeTooSkewed": "the clocks of this host and of the store differ; synchronise them",
    "AuthorizationHeaderMalformed": "the region is wrong; correct the setting SONICHAOS_S3_REGION",
}


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Where the bucket is, and the credentials for it.

    The services reach it at the URL ``endpoint``, callers at ``public_endpoint`` (None: the same); both are http or https,
    without a path. ``region`` is part of every signature. ``ca_file`` is a PEM file of trusted certificates, None for the
    system's.
    """

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    prefix: str = ""
    region: str = "us-east-1"
    public_endpoint: str | None = None
    ca_file: Path | None = None
    connect_timeout_s: float = 2.0
    read_timeout_s: float = 15.0


def s3_client(settings: S3Settings, endpoint: str, *, read_timeout_s: float, retries: int = _RETRIES) -> Minio:
    """A client of ``endpoint``. By default a store that is down fails after at most 2 x (1 + retries) seconds.

    Threads may share it. Raises ValueError for an endpoint that is not a URL of a host.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/") or parts.query:
        raise ValueError(f"an S3 endpoint must be a URL like http://host:9000 or https://host, got {endpoint!r}")
    return Minio(
        parts.netloc,
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        secure=parts.scheme == "https",
        region=settings.region,
        http_client=s3_pool(settings, read_timeout_s=read_timeout_s, retries=retries),
    )


def s3_pool(settings: S3Settings, *, read_timeout_s: float, retries: int = _RETRIES) -> urllib3.PoolManager:
    """A connection pool with the timeouts and certificates of ``settings``."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=settings.connect_timeout_s, read=read_timeout_s),
        # A server's Retry-After would hold the calling thread for as long as it says, deaf to a cancel: callers wait, not requests.
        retries=urllib3.Retry(
            total=retries, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), respect_retry_after_header=False
        ),
        maxsize=16,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(settings.ca_file) if settings.ca_file else None,
    )


@contextmanager
def s3_errors(operation: str, key: str) -> Iterator[None]:
    """Turn what minio and urllib3 raise in the block into the store's errors; ``key`` is the object of the operation."""
    try:
        yield
    except (S3Error, InvalidResponseError) as error:
        raise _store_error(s3_code(error), operation, key) from error
    except (MinioException, urllib3.exceptions.HTTPError, ParseError) as error:
        raise unavailable(operation, _cause(error), retry_after_s=RETRY_AFTER_S) from error


def s3_code(error: S3Error | InvalidResponseError) -> str | None:
    """The code that S3 gave an error, None if it gave none.

    minio parses an error only if its media type is application/xml; some servers send text/xml.
    """
    if isinstance(error, S3Error):
        return error.code
    found = _CODE.search(str(error))
    return found[1] if found else None


def _store_error(code: str | None, operation: str, key: str) -> Exception:
    """The error for one of S3's codes, None if there was none."""
    if code in ("NoSuchKey", "ResourceNotFound"):
        return not_found(key)
    if code in _FULL:
        return disk_full(key)
    if code in _ADVICE:
        return unavailable(operation, f"{_ADVICE[code]} ({code})", retry_after_s=RETRY_SETTINGS_S)
    return unavailable(operation, f"it answered {code or 'something other than S3'}", retry_after_s=RETRY_AFTER_S)


def _cause(error: Exception) -> str:
    """What went wrong, without the URL in urllib3's message."""
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        return f"it does not answer ({type(error.reason).__name__})"
    return f"the connection failed or broke off ({type(error).__name__})"
