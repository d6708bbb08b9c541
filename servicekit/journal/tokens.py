"""Opaque tokens for callers: an encrypted payload with a keyed digest (HMAC) over the payload and its context.

The payload is encrypted because the feed position in a cursor counts the events of all tenants: two cursors in the clear would show
how much the others do. The construction is SIV (RFC 5297, section 1.3) with HMAC-SHA256 as its two functions: the digest is the
initial value of the key stream, so equal tokens have equal content and nothing else shows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from servicekit.errors import InvalidToken

_TAG_BYTES = 16  # 128 bits
_BLOCK_BYTES = 32
_STREAM = b"stream"
"""What the key stream's input begins with. That of a tag begins with "[", so the two never meet."""
_MAX_CHARACTERS = 512


class Sealer:
    """Makes and opens tokens. ``bound`` is the context that a token is valid for: purpose, tenant, filter."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, payload: Any, *bound: str) -> str:  # noqa: ANN401  any small JSON value
        """``payload`` as URL-safe text, valid only with the same ``bound``."""
        data = json.dumps(payload, separators=(",", ":")).encode()
        tag = self._tag(data, bound)
        return base64.urlsafe_b64encode(tag + self._encrypted(data, tag)).rstrip(b"=").decode()

    def open(self, token: str, *bound: str) -> Any:  # noqa: ANN401  what was sealed
        """The payload. Raises :class:`InvalidToken` unless :meth:`seal` made ``token`` with the same ``bound``."""
        try:
            short = token[: _MAX_CHARACTERS + 1].encode("ascii")
            raw = base64.b64decode(short + b"=" * (-len(short) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise _invalid() from None
        if len(short) > _MAX_CHARACTERS or base64.urlsafe_b64encode(raw).rstrip(b"=") != short:
            raise _invalid()  # another spelling of the same bytes
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        for data in (self._encrypted(body, tag), body):  # release 0.1 did not encrypt, and callers store cursors
            if hmac.compare_digest(tag, self._tag(data, bound)):
                return json.loads(data)
        raise _invalid()

    def _encrypted(self, data: bytes, tag: bytes) -> bytes:
        """``data`` XOR the key stream of its tag; the same again decrypts."""
        blocks = range(-(-len(data) // _BLOCK_BYTES))
        stream = b"".join(hmac.digest(self._key, b"%s%s%d" % (_STREAM, tag, block), hashlib.sha256) for block in blocks)
        return bytes(a ^ b for a, b in zip(data, stream, strict=False))

    def _tag(self, data: bytes, bound: tuple[str, ...]) -> bytes:
        framed = json.dumps([*bound], separators=(",", ":")).encode() + b"\0" + data
        return hmac.digest(self._key, framed, hashlib.sha256)[:_TAG_BYTES]


def _invalid() -> InvalidToken:
    return InvalidToken(
        "the page token or cursor was not issued by this service for this caller and filter; "
        "pass it back unchanged, or leave it empty to start from the beginning"
    )
