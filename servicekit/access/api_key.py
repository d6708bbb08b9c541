"""API keys: their text, which only the caller has, and their record, which the journal has."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from servicekit.access.caller import Scope

PREFIX = "sonichaos_"
_ID_CHARACTERS = 12
_SECRET_BYTES = 32
_TEXT = re.compile(PREFIX + rf"(?P<key_id>[a-z2-7]{{{_ID_CHARACTERS}}})_(?P<secret>[A-Za-z0-9_-]{{43}})")
_KEY_ID = re.compile(rf"[a-z2-7]{{{_ID_CHARACTERS}}}")


class ApiKeyState(StrEnum):
    """Whether a key is accepted: ACTIVE and, until it expires, REPLACED."""

    ACTIVE = "active"
    REPLACED = "replaced"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True)
class NewApiKey:
    """A key to record. ``limits`` replace limits of the tenant for calls with this key, by the limit's name."""

    key_id: str
    secret_sha256: str
    tenant: str
    name: str
    scopes: frozenset[Scope]
    limits: Mapping[str, float] = field(default_factory=dict)
    expire_time: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ApiKey(NewApiKey):
    """A recorded key. ``replaced_by`` is the id of the key that a rotation made, or empty."""

    create_time: datetime
    revoke_time: datetime | None = None
    last_used_time: datetime | None = None
    replaced_by: str = ""

    def state(self, now: datetime) -> ApiKeyState:
        """The state at ``now``."""
        if self.revoke_time is not None:
            return ApiKeyState.REVOKED
        if self.expire_time is not None and self.expire_time <= now:
            return ApiKeyState.EXPIRED
        return ApiKeyState.REPLACED if self.replaced_by else ApiKeyState.ACTIVE


class ApiKeys(Protocol):
    """Where keys are recorded. Methods raise Unavailable where that does not answer."""

    async def find(self, key_id: str) -> ApiKey | None:
        """The key of that id; None where there is none."""

    async def touch(self, last_used: Mapping[str, datetime]) -> None:
        """Record when keys, by their ids, were last used."""


@dataclass(frozen=True)
class KeyText:
    """The parts of a key's text. ``secret`` is 32 bytes."""

    key_id: str
    secret: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """``sonichaos_``, the id, ``_``, and the secret in base64url without padding."""
        return f"{PREFIX}{self.key_id}_{base64.urlsafe_b64encode(self.secret).rstrip(b'=').decode()}"

    @property
    def secret_sha256(self) -> str:
        """The SHA-256 of the secret, 64 hex digits: all that is ever stored of it."""
        return hashlib.sha256(self.secret).hexdigest()


def new_key_text(entropy: Callable[[int], bytes] = secrets.token_bytes) -> KeyText:
    """A key that nobody has: an id of 60 random bits, a secret of 256."""
    key_id = base64.b32encode(entropy(10)).decode().lower()[:_ID_CHARACTERS]
    return KeyText(key_id, entropy(_SECRET_BYTES))


def parse_key_text(text: str) -> KeyText | None:
    """The parts of a key's text; None for anything else, also for another spelling of the same bytes."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    parsed = KeyText(match["key_id"], base64.urlsafe_b64decode(match["secret"] + "="))
    return parsed if parsed.text == text else None


def is_key_id(text: str) -> bool:
    """Whether a text has the form of a key's id."""
    return _KEY_ID.fullmatch(text) is not None
