"""Signed URLs of a folder store: a URL grants GET of one object until it expires.

    {base_url}/{key}?expires={unix second}&signature={hex}

The signature is HMAC-SHA256 under the installation's secret over version, method, key and expiry, so none of them can be changed.
Signing needs only the base URL and the secret, so a process without the endpoint can sign.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from servicekit.store.object_store import SignedUrl, check_ttl

_QUERY = re.compile(r"expires=(?P<expires>[0-9]{1,12})&signature=(?P<signature>[0-9a-f]{64})", re.ASCII)
_MIN_SECRET_BYTES = 32


class RefusedUrl(Exception):
    """A URL that is not valid or has expired; the text is for whoever sent it."""


class UrlSigner:
    """Creates and checks signed URLs.

    ``base_url`` is where callers reach the endpoint (``https://files.example.org/audio`` behind a proxy that strips ``/audio``).
    ``secret`` has at least 32 random bytes. ``now`` returns the time, with its zone.
    """

    def __init__(self, *, base_url: str, secret: bytes, now: Callable[[], datetime]) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(
                f"the base URL of signed URLs must be like http://host:port or https://host/path, got {base_url!r}"
            )
        if len(secret) < _MIN_SECRET_BYTES:
            raise ValueError(
                f"the secret of signed URLs must have at least {_MIN_SECRET_BYTES} bytes, got {len(secret)}"
            )
        self.base_url = base_url.rstrip("/")
        self._secret = secret
        self._now = now

    def sign(self, key: str, *, ttl_s: int) -> SignedUrl:
        """A URL for GET of ``key``, which must be a valid key, accepted for ``ttl_s`` seconds, rounded up to a whole second."""
        expires = math.ceil(self._now().timestamp()) + check_ttl(ttl_s)
        query = f"expires={expires}&signature={self._signature(key, expires)}"
        return SignedUrl(f"{self.base_url}/{key}?{query}", datetime.fromtimestamp(expires, UTC))

    def check(self, key: str, query: str) -> None:
        """Raise RefusedUrl unless ``query``, as received, was signed for ``key`` and has not expired."""
        match = _QUERY.fullmatch(query)
        if match is None:
            raise RefusedUrl("This URL has no valid signature. Request a signed URL from the service.")
        expires = int(match["expires"])
        if not hmac.compare_digest(match["signature"], self._signature(key, expires)):
            raise RefusedUrl(
                "The signature does not match this URL: it was changed. Request a signed URL from the service."
            )
        if self._now().timestamp() >= expires:
            when = datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
            raise RefusedUrl(f"This URL expired at {when}. Request a new one from the service.")

    def _signature(self, key: str, expires: int) -> str:
        return hmac.new(self._secret, f"sonichaos-url-v1\nGET\n{key}\n{expires}".encode(), hashlib.sha256).hexdigest()
