"""The caller of an RPC: a tenant, the scopes it holds, and how it was identified."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

LOCAL_TENANT = "local"
"""The operator's own tenant: callers on this host, who need no identity."""
_TENANT = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Scope(StrEnum):
    """What a caller may do. ``PEER`` is for the calls between the two services; no key and no JWT can hold it."""

    RENDER = "render"
    SEPARATE = "separate"
    READ = "read"
    OPERATE = "operate"
    PEER = "peer"


GRANTABLE_SCOPES = frozenset({Scope.RENDER, Scope.SEPARATE, Scope.READ, Scope.OPERATE})
"""The scopes that a tenant's credential can hold."""


class IdentityMethod(StrEnum):
    """How a caller was identified."""

    LOCAL = "local"
    CERTIFICATE = "certificate"
    JWT = "jwt"
    API_KEY = "api_key"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """An identified caller.

    ``subject`` names the credential in logs and is never a secret. ``limit_overrides`` replace limits of the tenant, by the name of
    the limit, for calls with this credential. ``expires_at`` is when the credential ends by itself; None where it does not.
    """

    tenant: str
    subject: str
    method: IdentityMethod
    scopes: frozenset[Scope]
    limit_overrides: Mapping[str, float] = field(default_factory=dict)
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ClientCertificate:
    """A client certificate, verified when its connection was made, which may outlive it: it is valid until ``expires_at``.

    ``subject`` is in the form of RFC 4514, ``uris`` are its URI names, such as SPIFFE ids.
    """

    subject: str
    uris: tuple[str, ...]
    sha256: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class CallFacts:
    """What of a call can identify its caller. ``peer`` is the connection's address as gRPC names it.

    ``authorization`` has the value of each ``authorization`` entry in the metadata. No other entry identifies anyone.
    """

    method: str
    peer: str
    authorization: tuple[str, ...] = ()
    certificate: ClientCertificate | None = None

    @property
    def bearer_token(self) -> str | None:
        """What follows ``Bearer`` in the only authorization entry; None for none, several, or another scheme."""
        if len(self.authorization) != 1:
            return None
        scheme, _, token = self.authorization[0].partition(" ")
        return token if scheme.lower() == "bearer" and token else None


class Identifier(Protocol):
    """Identifies callers by one kind of credential."""

    async def identify(self, call: CallFacts) -> Caller | None:
        """The caller; None where the call has no credential of this kind. Raises Unauthenticated for one that is not valid."""

    async def is_valid(self, caller: Caller) -> bool:
        """False where this identifier returned the caller and would not do so again. Asked while a call runs."""


_current: ContextVar[Caller] = ContextVar("caller")


def current_caller() -> Caller:
    """The caller of the RPC that runs in this task or thread. Raises RuntimeError outside of an RPC."""
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError("no RPC runs here, so there is no caller") from None


def calling_tenant() -> str | None:
    """The tenant of the RPC that runs in this task or thread; None outside of an RPC."""
    caller = _current.get(None)
    return None if caller is None else caller.tenant


def current_tenant() -> str:
    """The tenant of :func:`current_caller`."""
    return current_caller().tenant


def set_caller(caller: Caller) -> None:
    """``caller`` is the current caller for the rest of this task."""
    _current.set(caller)


@contextmanager
def acting_as(caller: Caller) -> Iterator[None]:
    """``caller`` is the current caller during the block."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)


def is_tenant_id(text: str) -> bool:
    """Whether a text has the form of a tenant id: 1 to 63 characters of a-z, 0-9 and -, starting with a letter."""
    return _TENANT.fullmatch(text) is not None


def local_caller() -> Caller:
    """The caller on this host that needs no identity. It holds every scope."""
    return Caller(tenant=LOCAL_TENANT, subject="local", method=IdentityMethod.LOCAL, scopes=frozenset(Scope))
