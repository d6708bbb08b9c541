"""Personal data of an audit row: stored beside the chain, so that it can be erased, and chained as salted digests.

The row's column ``personal`` is JSON: ``{"salt": 64 hex digits, "values": {path: value}}``. In the chained body each value is
missing, and ``personalSha256`` has its digest by the same path: SHA-256 of the salt as 32 bytes, then the value as canonical JSON
in UTF-8. Rows of earlier releases have the values in the body itself.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

DIGESTS = "personalSha256"
LABELS = "labels"
PATHS = (LABELS, "licence.licensee", "plan.personaPrefix", "upload.fileName")
"""Where a body has such values. A key of a path must not contain a dot."""
_SALT_BYTES = 32


def canonical_json(value: Any) -> str:  # noqa: ANN401  any JSON value
    """JSON without spaces, keys in RFC 8785 order (UTF-16 code units), floats as Python writes them. Raises ValueError for NaN."""
    return json.dumps(_sorted(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def personal_values(body: Mapping[str, Any]) -> dict[str, Any]:
    """The personal values in a body, by their paths; empty ones are not personal."""
    found = {path: _at(body, path.split(".")) for path in PATHS}
    return {path: value for path, value in found.items() if value}


def without(body: Mapping[str, Any], paths: Mapping[str, Any]) -> dict[str, Any]:
    """The body without the values at these paths."""
    rest: dict[str, Any] = dict(body)
    for path in paths:
        *parents, last = path.split(".")
        inner = rest
        for key in parents:
            inner[key] = dict(inner[key])
            inner = inner[key]
        del inner[last]
    return rest


def whole_body(body_json: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a row with its personal values in their places; erased ones are empty."""
    body: dict[str, Any] = json.loads(body_json)
    for path in body.get(DIGESTS, {}):
        *parents, last = path.split(".")
        inner = body
        for key in parents:
            inner = inner[key]
        inner[last] = values.get(path, {} if path == LABELS else "")
    return body


@dataclass(frozen=True)
class Personal:
    """Personal values by their paths, and the salt of their digests."""

    salt: bytes
    values: Mapping[str, Any]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self | None:
        """With a new salt; None where there are no values."""
        return cls(secrets.token_bytes(_SALT_BYTES), values) if values else None

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """The inverse of :meth:`json`; None for NULL."""
        if text is None:
            return None
        facts = json.loads(text)
        return cls(bytes.fromhex(facts["salt"]), facts["values"])

    def json(self) -> str:
        """As the column has it."""
        return json.dumps({"salt": self.salt.hex(), "values": self.values})

    def digests(self) -> dict[str, str]:
        """The digests by path, as the body has them."""
        return {
            path: hashlib.sha256(self.salt + canonical_json(value).encode()).hexdigest()
            for path, value in self.values.items()
        }


def _at(value: Any, keys: list[str]) -> Any:  # noqa: ANN401  any JSON value
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _sorted(value: Any) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be"))}
    return [_sorted(inner) for inner in value] if isinstance(value, list | tuple) else value
