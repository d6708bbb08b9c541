"""Opaque tokens for callers: a payload with a keyed digest (HMAC) over the payload and its context."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from servicekit.errors import InvalidToken

_TAG_BYTES = 16  # 128 bits
_MAX_CHARACTERS = 512


class Sealer:
    """Makes and opens tokens. ``bound`` is the context that a token is valid for: purpose, tenant, filter."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, payload: Any, *bound: str) -> str:  # noqa: ANN401  any small JSON value
        """``payload`` as URL-safe text, valid only with the same ``bound``."""
        data = json.dumps(payload, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(data, bound) + data).rstrip(b"=").decode()

    def open(self, token: str, *bound: str) -> Any:  # noqa: ANN401  what was sealed
        """The payload. Raises :class:`InvalidToken` unless :meth:`seal` made ``token`` with the same ``bound``."""
        try:
            short = token[: _MAX_CHARACTERS + 1].encode("ascii")
            raw = base64.b64decode(short + b"=" * (-len(short) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise _invalid() from None
        if len(short) > _MAX_CHARACTERS or base64.urlsafe_b64encode(raw).rstrip(b"=") != short:
            raise _invalid()  # another spelling of the same bytes
        tag, data = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(data, bound)):
            raise _invalid()
        return json.loads(data)

    def _tag(self, data: bytes, bound: tuple[str, ...]) -> bytes:
        framed = json.dumps([*bound], separators=(",", ":")).encode() + b"\0" + data
        return hmac.digest(self._key, framed, hashlib.sha256)[:_TAG_BYTES]


def _invalid() -> InvalidToken:
    return InvalidToken(
        "the page token or cursor was not issued by this service for this caller and filter; "
        "pass it back unchanged, or leave it empty to start from the beginning"
    )
