"""The public keys of an issuer of JWTs, from its JWKS (RFC 7517) in a file or behind a URL."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from servicekit.errors import Unavailable
from servicekit.logs import logger
from servicekit.repeated_problem import RepeatedProblem

_MAX_BYTES = 256 << 10
_MAX_KEYS = 100
_MIN_RSA_BITS = 2048
_FETCH_S = 5.0
_FRESH_S = 600.0
_STALE_S = 24 * 3600.0
_COOLDOWN_S = 60.0
_RETRY_S = 5.0
_PATIENCE_S = 1.0
_FILE_INTERVAL_S = 1.0
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_FITTING: Mapping[tuple[str, str | None], tuple[str, ...]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""The algorithms of each type of key, and of its curve. Source: RFC 7518, section 3.1, and RFC 8037. Secrets (oct) have none."""
_PUBLIC = frozenset({"kty", "crv", "n", "e", "x", "y"})
_log = logger(__name__)


@dataclass(frozen=True)
class SigningKey:
    """A public key, ready for each algorithm that fits its type and that the issuer uses it for."""

    kid: str | None
    algorithms: Mapping[str, jwt.PyJWK]


class KeySource(Protocol):
    """Where an issuer's keys come from."""

    async def keys(self, *, unknown_kid: bool = False) -> tuple[SigningKey, ...]:
        """The keys. With ``unknown_kid`` a token names one that is not among them, so they may have changed.

        Raises Unavailable ISSUER_UNAVAILABLE where there are none.
        """


def parse_jwks(content: bytes) -> tuple[SigningKey, ...]:
    """The usable keys of a JWKS: public, for signatures, of a known type. Raises ValueError where there are none."""
    try:
        document = json.loads(content)
    except RecursionError:
        raise ValueError("must be a JWKS, got JSON that is nested too deeply") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError('must be a JWKS: a JSON object with an array "keys"')  # noqa: TRY004  content, no argument
    if len(listed) > _MAX_KEYS:
        raise ValueError(f"must have at most {_MAX_KEYS} keys, got {len(listed)}")
    keys = [_signing_key(one) for one in listed if isinstance(one, dict)]
    usable = tuple(key for key in keys if key.algorithms)
    if not usable:
        raise ValueError(
            f"must have an RSA key of at least {_MIN_RSA_BITS} bits, a P-256, P-384 or Ed25519 key; got none"
        )
    return usable


def _signing_key(listed: Mapping[str, Any]) -> SigningKey:
    kid, stated = listed.get("kid"), listed.get("alg")
    kind = str(listed.get("kty"))
    fitting = _FITTING.get((kind, None if kind == "RSA" else str(listed.get("crv"))), ())
    chosen = [name for name in fitting if stated in {None, name}] if _verifies(listed) else []
    public = {name: value for name, value in listed.items() if name in _PUBLIC}
    algorithms: dict[str, jwt.PyJWK] = {}
    for name in chosen:
        try:
            key = jwt.PyJWK(public, algorithm=name)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):  # a key that no library reads verifies nothing
            continue
        if not isinstance(key.key, RSAPublicKey) or key.key.key_size >= _MIN_RSA_BITS:
            algorithms[name] = key
    return SigningKey(kid if isinstance(kid, str) else None, algorithms)


def _verifies(listed: Mapping[str, Any]) -> bool:
    """Whether the issuer uses this key for signatures. Source: RFC 7517, sections 4.2 and 4.3."""
    operations = listed.get("key_ops")
    return listed.get("use") in {None, "sig"} and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


class FileKeys:
    """The JWKS of a file, which is read again when it changes; an invalid change is logged, and the old keys stay."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Read the file. Raises OSError or ValueError where it is unusable."""
        self._path = path
        self._monotonic = monotonic
        self._checked_s = monotonic()
        self._failed = False
        self._version = self._version_of()
        self._keys = self._read()

    async def keys(self, *, unknown_kid: bool = False) -> tuple[SigningKey, ...]:
        """See `KeySource`."""
        now_s = self._monotonic()
        if (unknown_kid and not self._failed) or now_s - self._checked_s >= _FILE_INTERVAL_S:
            self._checked_s = now_s
            self._reload()
        return self._keys

    def _reload(self) -> None:
        try:
            version = self._version_of()
            if version == self._version and not self._failed:
                return
            self._failed = True
            self._version = version
            self._keys = self._read()
        except (
            OSError
        ) as error:  # read again soon: it may be there, and withdraw a key, when there is a descriptor for it
            _log.error("the JWKS file cannot be read, its old keys stay", path=str(self._path), problem=str(error))
        except ValueError as error:
            self._failed = False
            _log.error("the JWKS file is unusable, its old keys stay", path=str(self._path), problem=str(error))
        else:
            self._failed = False

    def _version_of(self) -> tuple[int, ...]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[SigningKey, ...]:
        with self._path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise ValueError(f"every user of this machine can write it; run chmod o-w {self._path}")
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"must have at most {_MAX_BYTES} bytes")
        return parse_jwks(content)


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """How a JWKS is fetched. All times are in seconds.

    It is fetched again after ``fresh_s``, or for a token with an unknown kid, but then ``cooldown_s`` after the last time at the
    earliest: tokens with made-up kids must not make a service call the issuer all the time. Keys are used for ``stale_s`` while the
    issuer does not answer; calls wait ``patience_s`` for newer ones. Without any, it is asked again after ``retry_s``.
    """

    timeout_s: float = _FETCH_S
    max_bytes: int = _MAX_BYTES
    fresh_s: float = _FRESH_S
    stale_s: float = _STALE_S
    cooldown_s: float = _COOLDOWN_S
    retry_s: float = _RETRY_S
    patience_s: float = _PATIENCE_S


class UrlKeys:
    """The JWKS behind a URL. Used by one event loop."""

    def __init__(
        self, url: str, *, limits: FetchLimits | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._limits = limits or FetchLimits()
        self._monotonic = monotonic
        self._keys: tuple[SigningKey, ...] = ()
        self._fetched_s = 0.0
        self._next_s = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._problem = RepeatedProblem("fetching an issuer's keys", monotonic_s=monotonic)

    async def keys(self, *, unknown_kid: bool = False) -> tuple[SigningKey, ...]:
        """See `KeySource`."""
        now_s = self._monotonic()
        is_old = not self._keys or now_s - self._fetched_s >= self._limits.fresh_s
        if self._fetching is None and (is_old or unknown_kid) and now_s >= self._next_s:
            self._fetching = asyncio.create_task(self._fetch())  # goes on where the call that started it is cancelled
        if self._fetching is not None and (is_old or unknown_kid):
            usable = self._keys and not unknown_kid and now_s - self._fetched_s < self._limits.stale_s
            await asyncio.wait({self._fetching}, timeout=self._limits.patience_s if usable else None)
        if not self._keys or self._monotonic() - self._fetched_s >= self._limits.stale_s:
            raise Unavailable(
                "the issuer of this token does not answer, so that its tokens cannot be verified; try again later",
                reason="ISSUER_UNAVAILABLE",
                retry_after_s=self._limits.retry_s,
            )
        return self._keys

    async def _fetch(self) -> None:
        try:
            self._keys = parse_jwks(await _download(self._url, self._limits))
        except (aiohttp.ClientError, OSError, ValueError) as error:  # OSError: TimeoutError too
            problem = Unavailable(f"{self._url}: {error or type(error).__name__}", reason="ISSUER_UNAVAILABLE")
            self._problem.occurred(problem)
            self._next_s = self._monotonic() + (self._limits.cooldown_s if self._keys else self._limits.retry_s)
        else:
            self._problem.over()
            self._fetched_s = self._monotonic()
            self._next_s = self._fetched_s + self._limits.cooldown_s
        finally:
            self._fetching = None


async def _download(url: str, limits: FetchLimits) -> bytes:
    """The body behind a URL. Follows no redirects: the rules name where keys come from. Raises ValueError, aiohttp's errors."""
    async with (
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=limits.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        ) as session,
        session.get(
            url, allow_redirects=False, headers={"Accept": "application/json", "Accept-Encoding": "identity"}
        ) as response,
    ):
        if response.status != HTTPStatus.OK:
            raise ValueError(f"must answer 200, got {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limits.max_bytes:
                raise ValueError(f"must have at most {limits.max_bytes} bytes")
        return bytes(body)
