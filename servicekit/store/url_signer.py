"""Signed URLs of a folder store: a URL grants GET of one object until it expires.

    {base_url}/{key}?expires={unix second}&key_id={8 hex digits}&signature={hex}

The signature is HMAC-SHA256 under the installation's newest secret over version, method, key, expiry and the secret's id, so none
of them can be changed. An earlier secret is accepted until its end. URLs without ``key_id`` come from an earlier release.
Signing needs only the base URL and the secrets, so a process without the endpoint can sign.
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
from servicekit.store.url_secret import SecretSource, UrlSecret, UrlSecrets

_QUERY = re.compile(
    r"expires=(?P<expires>[0-9]{1,12})(?:&key_id=(?P<key_id>[0-9a-f]{8}))?&signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)


class RefusedUrl(Exception):
    """A URL that is not valid or has expired; the text is for whoever sent it."""


class UrlSigner:
    """Creates and checks signed URLs.

    ``base_url`` is where callers reach the endpoint (``https://files.example.org/audio`` behind a proxy that strips ``/audio``).
    ``secret`` has at least 32 random bytes, or returns the secrets in force. ``now`` returns the time, with its zone.
    """

    def __init__(self, *, base_url: str, secret: bytes | SecretSource, now: Callable[[], datetime]) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise ValueError(
                f"the base URL of signed URLs must be like http://host:port or https://host/path, got {base_url!r}"
            )
        self.base_url = base_url.rstrip("/")
        self._secrets = _always(secret) if isinstance(secret, bytes) else secret
        self._now = now

    def sign(self, key: str, *, ttl_s: int) -> SignedUrl:
        """A URL for GET of ``key``, which must be a valid key, accepted for ``ttl_s`` seconds, rounded up to a whole second."""
        expires = math.ceil(self._now().timestamp()) + check_ttl(ttl_s)
        newest = self._secrets().newest
        query = f"expires={expires}&key_id={newest.key_id}&signature={_signature(newest, key, expires)}"
        return SignedUrl(f"{self.base_url}/{key}?{query}", datetime.fromtimestamp(expires, UTC))

    def check(self, key: str, query: str) -> None:
        """Raise RefusedUrl unless ``query``, as received, was signed for ``key`` with an accepted secret and has not expired."""
        match = _QUERY.fullmatch(query)
        if match is None:
            raise RefusedUrl("This URL has no valid signature. Request a signed URL from the service.")
        expires, key_id, now = int(match["expires"]), match["key_id"], self._now()
        accepted = [one for one in self._secrets().accepted(now) if key_id in (None, one.key_id)]
        if not accepted:
            raise RefusedUrl(
                "This URL was signed with a secret that is not accepted any more. Request a new one from the service."
            )
        sign = _signature if key_id else _signature_without_id
        if not any(hmac.compare_digest(match["signature"], sign(one, key, expires)) for one in accepted):
            raise RefusedUrl(
                "The signature does not match this URL: it was changed. Request a signed URL from the service."
            )
        if now.timestamp() >= expires:
            when = datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
            raise RefusedUrl(f"This URL expired at {when}. Request a new one from the service.")


def _always(secret: bytes) -> SecretSource:
    secrets = UrlSecrets(UrlSecret(secret))
    return lambda: secrets


def _signature(secret: UrlSecret, key: str, expires: int) -> str:
    return _hmac(secret, f"sonichaos-url-v2\nGET\n{key}\n{expires}\n{secret.key_id}")


def _signature_without_id(secret: UrlSecret, key: str, expires: int) -> str:
    """As an earlier release signed."""
    return _hmac(secret, f"sonichaos-url-v1\nGET\n{key}\n{expires}")


def _hmac(secret: UrlSecret, text: str) -> str:
    return hmac.new(secret.value, text.encode(), hashlib.sha256).hexdigest()
