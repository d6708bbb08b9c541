"""Job ids, and the opaque page tokens and cursors of the fake."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets

from sonichaos_client.testing.fake.refusals import invalid_token

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_JOB_ID = re.compile(rf"j-[{_ALPHABET}]{{26}}")
_TAG_BYTES = 16
_MAX_CHARACTERS = 512


class Ids:
    """Makes ids: a prefix and a lower-case ULID. Each is above the one before, so that ids sort by time."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._last = 0

    def new(self, now_us: int) -> str:
        """The id of what is made now."""
        value = now_us // 1000 << 80 | secrets.randbits(80)
        self._last = max(value, self._last + 1)
        return self._prefix + "".join(_ALPHABET[self._last >> 5 * place & 31] for place in reversed(range(26)))


def is_job_id(text: str) -> bool:
    """True for text in the form of the id of a job."""
    return _JOB_ID.fullmatch(text) is not None


class Sealer:
    """Makes and opens tokens of a number or text. ``bound`` is what a token is valid for: purpose and filter."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def seal(self, payload: int | str, *bound: str) -> str:
        """The payload as URL-safe text, valid only with the same ``bound``."""
        data = json.dumps(payload).encode()
        return base64.urlsafe_b64encode(self._tag(data, bound) + data).rstrip(b"=").decode()

    def open(self, token: str, *bound: str) -> int | str:
        """The payload. Raises INVALID_TOKEN unless :meth:`seal` made the token with the same ``bound``."""
        try:
            encoded = token[: _MAX_CHARACTERS + 1].encode("ascii")
            raw = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise invalid_token() from None
        data = raw[_TAG_BYTES:]
        canonical = base64.urlsafe_b64encode(raw).rstrip(b"=") == encoded
        if not canonical or not hmac.compare_digest(raw[:_TAG_BYTES], self._tag(data, bound)):
            raise invalid_token()
        payload: int | str = json.loads(data)
        return payload

    def _tag(self, data: bytes, bound: tuple[str, ...]) -> bytes:
        return hmac.digest(self._key, json.dumps(bound).encode() + b"\0" + data, hashlib.sha256)[:_TAG_BYTES]
