"""Signs the requests of webhooks, so that a receiver knows who sent them and when.

The header is ``Sonichaos-Signature: t=UNIX,v1=HEX``: the Unix second of the attempt, and HMAC-SHA256 of ``UNIX.BODY``. The key is
the whole text of the webhook's secret in UTF-8.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

HEADER = "Sonichaos-Signature"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A secret of 256 random bits: "whsec_" and 43 characters."""
    return f"whsec_{secrets.token_urlsafe(_SECRET_BYTES)}"


def sign(body: bytes, secret: str, unix_s: int) -> str:
    """The value of the header for a body that is sent at ``unix_s``."""
    digest = hmac.digest(secret.encode(), f"{unix_s}.".encode() + body, hashlib.sha256)
    return f"t={unix_s},v1={digest.hex()}"
