"""Requests to signed URLs. Nothing is retried, and no redirect is followed: the suite judges the first answer."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sonichaos_client.testing.conformance.values import ValueFault

_MAX_BYTES = 1 << 30


def fetch(
    url: str, method: str, headers: Mapping[str, str], limit_s: float, tls: ssl.SSLContext
) -> tuple[dict[str, Any], bytes]:
    """What a server answers: status, headers by their lower-case names, size and SHA-256 of the body; and the body.

    No answer is one with status 0 and the ``error``. Raises ValueFault for a URL that is not http or https.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueFault(f"fetch needs an http or https URL, got {url[:200]!r}.")
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(parts.netloc, timeout=limit_s, context=tls)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=limit_s)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, headers=dict(headers))
        response = connection.getresponse()
        body = response.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "error": str(error)}, b""
    finally:
        connection.close()
    answer = {
        "status": response.status,
        "headers": {name.lower(): value for name, value in response.getheaders()},
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return answer, body
