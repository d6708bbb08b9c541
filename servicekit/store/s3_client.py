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
"""For what only an operator can put right."""
_RETRIES = 1
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_FULL = frozenset({"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "QuotaExceeded"})
_ADVICE = {
    "NoSuchBucket": "the bucket does not exist: make it, or correct the setting of its name",
    "AccessDenied": "the access key or its secret is wrong, or it may not read, write, list and delete below the prefix: "
    "correct the settings, or give it the right",
    "InvalidAccessKeyId": "the access key is not known there: correct the setting",
    "SignatureDoesNotMatch": "the secret key is not right: correct the setting",
    "RequestTimeTooSkewed": "the clocks of this host and of the store differ: set them",
    "AuthorizationHeaderMalformed": "the region is not right: correct the setting",
}


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Where the bucket is and who asks.

    ``endpoint`` is the URL by which the services reach it, ``public_endpoint`` the one by which callers do (None: the same);
    both without a path, http or https. ``region`` is part of every signature. ``ca_file`` is a PEM file of trusted
    certificates, None for the system's own.
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
    """A client of ``endpoint``: a store that is down fails after 2 x (1 + retries) seconds at most, by default.

    Safe to share between threads. Raises ValueError for an endpoint or a bucket's name that cannot be one.
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
    """Connections with the timeouts and the certificates of ``settings``."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=settings.connect_timeout_s, read=read_timeout_s),
        retries=urllib3.Retry(total=retries, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
        maxsize=16,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(settings.ca_file) if settings.ca_file else None,
    )


@contextmanager
def s3_errors(operation: str, key: str) -> Iterator[None]:
    """Give what minio and urllib3 raise in the block the store's names; ``key`` is what it was done to."""
    try:
        yield
    except (S3Error, InvalidResponseError) as error:
        raise _named(s3_code(error), operation, key) from error
    except (MinioException, urllib3.exceptions.HTTPError, ParseError) as error:
        raise unavailable(operation, _cause(error), retry_after_s=RETRY_AFTER_S) from error


def s3_code(error: S3Error | InvalidResponseError) -> str | None:
    """S3's own code of an error.

    minio reads an error only where it is declared as application/xml; some servers declare it as text/xml.
    """
    if isinstance(error, S3Error):
        return error.code
    found = _CODE.search(str(error))
    return found[1] if found else None


def _named(code: str | None, operation: str, key: str) -> Exception:
    """The error for one of S3's codes, None where it gave none."""
    if code in ("NoSuchKey", "ResourceNotFound"):
        return not_found(key)
    if code in _FULL:
        return disk_full(key)
    if code in _ADVICE:
        return unavailable(operation, f"{_ADVICE[code]} ({code})", retry_after_s=RETRY_SETTINGS_S)
    return unavailable(operation, f"it answered {code or 'what is no S3'}", retry_after_s=RETRY_AFTER_S)


def _cause(error: Exception) -> str:
    """What went wrong, without the URL that urllib3 puts before it."""
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        return f"it does not answer ({type(error.reason).__name__})"
    return f"it failed or broke off ({type(error).__name__})"
