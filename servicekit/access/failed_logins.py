"""Limits what one host can cost that presents credentials which are not valid, and says so to it."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from servicekit.errors import ResourceExhausted, Unauthenticated

_MAX_REMEMBERED = 10_000
_SITE_BITS = 64
"""One network of IPv6 is one host here: whoever has one address of it has all of them."""


class FailedLogins:
    """Counts failures by host: after ``allowed`` within ``window_s`` seconds the host is limited.

    Of all limited hosts together, ``at_once`` credentials that were not valid before are verified at the same time; further ones
    are refused unread. A valid one is admitted: a host may be a proxy, and one caller must not lock out the others behind it.
    What is remembered is bounded: `_MAX_REMEMBERED` hosts, and as many credentials, by their SHA-256.
    """

    def __init__(
        self,
        *,
        allowed: int = 20,
        window_s: float = 60.0,
        at_once: int = 4,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = allowed
        self._window_s = window_s
        self._at_once = at_once
        self._verifying = 0
        self._now = monotonic
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._valid: OrderedDict[bytes, None] = OrderedDict()

    @contextmanager
    def attempt(self, host: str, credential: str) -> Iterator[None]:
        """The block verifies a credential, and raises Unauthenticated where it is not valid.

        Raises ResourceExhausted FAILED_LOGINS instead where the host is limited.
        """
        limited = self._is_limited(host, credential)
        if limited and self._verifying >= self._at_once:
            raise self._refusal(host)
        self._verifying += limited
        try:
            yield
        except Unauthenticated as error:
            if error.reason == "CREDENTIALS_EXPIRED":  # it was valid, so its holder guesses nothing
                raise
            self.record_failure(host, credential)
            if limited:
                raise self._refusal(host) from None
            raise
        finally:
            self._verifying -= limited

    def _is_limited(self, host: str, credential: str) -> bool:
        return len(self._recent(host)) >= self._allowed and _digest(credential) not in self._valid

    def _refusal(self, host: str) -> ResourceExhausted:
        recent = self._recent(host)
        return ResourceExhausted(
            f"this host presented credentials that are not valid {len(recent)} times within {self._window_s:g} s; "
            "check the key or token, then try again later",
            reason="FAILED_LOGINS",
            metadata={"allowed": str(self._allowed), "window_seconds": f"{self._window_s:g}"},
            retry_after_s=max(recent[0] + self._window_s - self._now(), 1.0),
        )

    def record_success(self, credential: str) -> None:
        """The credential is valid."""
        digest = _digest(credential)
        self._valid[digest] = None
        self._valid.move_to_end(digest)
        while len(self._valid) > _MAX_REMEMBERED:
            self._valid.popitem(last=False)

    def record_failure(self, host: str, credential: str) -> None:
        """The host presented a credential that is not valid."""
        self._valid.pop(_digest(credential), None)
        recent = self._recent(host)
        recent.append(self._now())
        network = _network(host)
        self._failures[network] = recent[-self._allowed :]
        self._failures.move_to_end(network)
        while len(self._failures) > _MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def _recent(self, host: str) -> list[float]:
        since = self._now() - self._window_s
        return [at for at in self._failures.get(_network(host), ()) if at > since]


def _network(host: str) -> str:
    """What counts as one host: an IPv4 address, a network of IPv6, or all callers over Unix sockets."""
    if not host.startswith("ipv6:"):
        return host
    text = unquote(host.removeprefix("ipv6:")).strip("[]").partition("%")[0]
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return f"ipv4:{address.ipv4_mapped}"
    return str(ipaddress.IPv6Network((address, _SITE_BITS), strict=False))


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()
