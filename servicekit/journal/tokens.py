"""Opaque tokens for callers: a payload, encrypted and bound to its context by AES-SIV (RFC 5297).

They are encrypted because the feed position in a cursor counts the events of all tenants: two cursors in the clear would show how
much the others do. AES-SIV needs no nonce; equal tokens show that their content is equal, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from servicekit.errors import InvalidToken

_TAG_BYTES = 16  # 128 bits
_MAX_CHARACTERS = 512


class Sealer:
    """Makes and opens tokens. ``bound`` is the context that a token is valid for: purpose, tenant, filter."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESSIV(hashlib.sha512(b"tokens" + key).digest())

    def seal(self, payload: Any, *bound: str) -> str:  # noqa: ANN401  any small JSON value
        """``payload`` as URL-safe text, valid only with the same ``bound``."""
        data = json.dumps(payload, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._cipher.encrypt(data, [_framed(bound)])).rstrip(b"=").decode()

    def open(self, token: str, *bound: str) -> Any:  # noqa: ANN401  what was sealed
        """The payload. Raises :class:`InvalidToken` unless :meth:`seal` made ``token`` with the same ``bound``."""
        try:
            short = token[: _MAX_CHARACTERS + 1].encode("ascii")
            raw = base64.b64decode(short + b"=" * (-len(short) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise _invalid() from None
        if len(short) > _MAX_CHARACTERS or base64.urlsafe_b64encode(raw).rstrip(b"=") != short:
            raise _invalid()  # another spelling of the same bytes
        try:
            return json.loads(self._cipher.decrypt(raw, [_framed(bound)]))
        except InvalidTag:
            return json.loads(self._authentic(raw, bound))

    def _authentic(self, raw: bytes, bound: tuple[str, ...]) -> bytes:
        """The payload of a token of release 0.1, which did not encrypt: callers store cursors. Raises InvalidToken."""
        tag, data = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(
            tag, hmac.digest(self._key, _framed(bound) + b"\0" + data, hashlib.sha256)[:_TAG_BYTES]
        ):
            raise _invalid()
        return data


def _framed(bound: tuple[str, ...]) -> bytes:
    return json.dumps([*bound], separators=(",", ":")).encode()


def _invalid() -> InvalidToken:
    return InvalidToken(
        "the page token or cursor was not issued by this service for this caller and filter; "
        "pass it back unchanged, or leave it empty to start from the beginning"
    )
