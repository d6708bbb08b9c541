"""For receivers of webhooks: whether a request is from the service."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta

from sonichaos_client.errors import InvalidSignatureError

SIGNATURE_HEADER = "Sonichaos-Signature"
_TOLERANCE = timedelta(minutes=5)
_TIME = re.compile(r"t=([0-9]{1,12})", re.ASCII)
_SIGNATURE = re.compile(r"v1=([0-9a-f]{64})", re.ASCII)
_MAX_CHARACTERS = 1024


def verify_signature(
    body: bytes, header: str, secret: str, tolerance: timedelta = _TOLERANCE, *, now: datetime | None = None
) -> None:
    """Raise InvalidSignatureError unless ``header`` signs ``body`` with ``secret``, at most ``tolerance`` ago or ahead.

    ``body`` is the request's body as it arrived, byte for byte; ``header`` the value of `SIGNATURE_HEADER`, empty if it is missing.
    ``now`` is the present by default. Raises ValueError for an empty secret, with which anyone could sign.
    """
    if not secret:
        raise ValueError("secret must be the secret of the webhook, got an empty text.")
    parts = header.split(",") if len(header) <= _MAX_CHARACTERS else []
    times = [found[1] for part in parts if (found := _TIME.fullmatch(part.strip()))]
    signatures = [found[1] for part in parts if (found := _SIGNATURE.fullmatch(part.strip()))]
    if len(times) != 1 or not signatures:
        raise InvalidSignatureError(f"{SIGNATURE_HEADER} must be like t=1764374400,v1=0123…, got {header[:80]!r}.")
    expected = hmac.new(secret.encode(), f"{times[0]}.".encode() + body, hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(expected, signature) for signature in signatures):
        raise InvalidSignatureError(
            "The signature is not that of this body and secret; answer 401 and ignore the request."
        )
    age_s = (now or datetime.now(UTC)).timestamp() - int(times[0])
    if abs(age_s) > tolerance.total_seconds():
        raise InvalidSignatureError(
            f"The request was signed {age_s:.0f} s ago, and at most {tolerance.total_seconds():.0f} s are allowed: it was repeated "
            "by someone else, or a clock is wrong."
        )
