"""Limits how often one host may present credentials that are not valid, so that guessing costs time and the log stays readable."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from servicekit.errors import ResourceExhausted

_MAX_REMEMBERED = 10_000


class FailedLogins:
    """Counts failures by host: after ``allowed`` within ``window_s`` seconds, calls with unknown credentials are refused unread.

    A credential that was valid before is still read, so that one caller cannot lock out another behind the same address. What is
    remembered is bounded: `_MAX_REMEMBERED` hosts, and as many credentials, by their SHA-256.
    """

    def __init__(
        self, *, allowed: int = 20, window_s: float = 60.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._allowed = allowed
        self._window_s = window_s
        self._now = monotonic
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._valid: OrderedDict[bytes, None] = OrderedDict()

    def check(self, host: str, credential: str) -> None:
        """Raise ResourceExhausted FAILED_LOGINS where the host has failed too often and the credential was not valid before."""
        recent = self._recent(host)
        if len(recent) < self._allowed or _digest(credential) in self._valid:
            return
        raise ResourceExhausted(
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
        self._failures[host] = recent[-self._allowed :]
        self._failures.move_to_end(host)
        while len(self._failures) > _MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def _recent(self, host: str) -> list[float]:
        since = self._now() - self._window_s
        return [at for at in self._failures.get(host, ()) if at > since]


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()
