"""The gatekeeper of every call: finds the caller and checks its scope before anything else looks at the call."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog
from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from grpc import aio

from servicekit.access.caller import (
    LOCAL_TENANT,
    Caller,
    CallFacts,
    ClientCertificate,
    Identifier,
    IdentityMethod,
    Scope,
    local_caller,
)
from servicekit.access.failed_logins import FailedLogins
from servicekit.errors import PermissionDenied, ServiceError, Unauthenticated

_OPEN = "/grpc.health.v1.Health/"
"""Health checks need no identity: a load balancer has none, and they reveal only whether the service serves."""
_REFLECTION = "/grpc.reflection."
_AUTHORIZATION = "authorization"
_PEM = "x509_pem_cert"
_UNIX = ("unix:", "unix-abstract:")
_LOOPBACK = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D")
_ANYONE = Caller(tenant="", subject="anyone", method=IdentityMethod.LOCAL, scopes=frozenset())


@dataclass(frozen=True, kw_only=True)
class LocalTrust:
    """Which callers without a credential act for the tenant ``local``.

    Callers over a Unix socket always do: the file system admits only this user. ``loopback``: callers over TCP from this host do.
    ``everyone``: all do, whatever their address (``--insecure``).
    """

    loopback: bool = False
    everyone: bool = False

    def trusts(self, peer: str) -> bool:
        """Whether a caller at ``peer`` (gRPC's name of the address) needs no credential."""
        return self.everyone or peer.startswith(_UNIX) or (self.loopback and peer.startswith(_LOOPBACK))


class Gatekeeper:
    """Admits calls. ``identifiers`` are asked in order, and the first that finds its kind of credential decides.

    ``scopes`` has the scope that each method of the server needs, by full name (``/package.Service/Method``). A method without one
    is refused to everyone.
    """

    def __init__(
        self,
        identifiers: Sequence[Identifier],
        *,
        scopes: Mapping[str, Scope],
        local: LocalTrust,
        failed_logins: FailedLogins | None = None,
    ) -> None:
        self._identifiers = tuple(identifiers)
        self._scopes = dict(scopes)
        self._local = local
        self._failed_logins = failed_logins or FailedLogins()

    async def admit(self, method: str, context: aio.ServicerContext[Any, Any]) -> Caller:
        """The caller of a call. Raises Unauthenticated, PermissionDenied SCOPE_MISSING and ResourceExhausted FAILED_LOGINS.

        What this task logs from then on names the caller, also where its scope is missing.
        """
        if method.startswith(_OPEN):
            return _ANYONE
        caller = await self.identify(call_facts(method, context))
        structlog.contextvars.bind_contextvars(
            tenant=caller.tenant, subject=caller.subject, identity=caller.method.value
        )
        if not method.startswith(_REFLECTION):
            self._check_scope(method, caller)
        return caller

    async def identify(self, call: CallFacts) -> Caller:
        """The caller, by the first identifier that finds a credential, or as local. Raises as :meth:`admit`."""
        if len(call.authorization) > 1:
            raise Unauthenticated(
                f"a call must have one authorization entry in its metadata at most, got {len(call.authorization)}",
                reason="CREDENTIALS_INVALID",
            )
        host, credential = host_of(call.peer), next(iter(call.authorization), "")
        # A call without an authorization, or with a certificate, guesses nothing.
        with self._failed_logins.attempt(host, credential) if credential else nullcontext():
            caller = await self._by_credential(call)
        if caller is not None:
            if credential and caller.method is not IdentityMethod.CERTIFICATE:  # beside a certificate nobody read it
                self._failed_logins.record_success(credential)
            return caller
        if self._local.trusts(call.peer):
            return local_caller()
        raise Unauthenticated(
            "callers must identify themselves here: send an API key or a JWT as 'authorization: Bearer ...', or present a client "
            "certificate at an address that asks for one",
            reason="CREDENTIALS_MISSING",
        )

    async def is_valid(self, caller: Caller) -> bool:
        """Whether a caller that was admitted would be admitted again."""
        if caller.method is IdentityMethod.LOCAL:
            return True
        for identifier in self._identifiers:
            try:
                if not await identifier.is_valid(caller):
                    return False
            except ServiceError:  # what could tell is not there now; asked again soon
                continue
        return True

    async def _by_credential(self, call: CallFacts) -> Caller | None:
        """The caller by its credential; None where the call has none. Raises Unauthenticated."""
        for identifier in self._identifiers:
            caller = await identifier.identify(call)
            if caller is not None:
                return caller
        if call.authorization:
            raise Unauthenticated(
                "the authorization must be 'Bearer' and an API key or a JWT of an issuer that this service accepts, got neither",
                reason="CREDENTIALS_INVALID",
            )
        return None

    def _check_scope(self, method: str, caller: Caller) -> None:
        needed = self._scopes.get(method)
        if needed is not None and needed in caller.scopes:
            return
        held = ", ".join(sorted(caller.scopes)) or "none"
        name = "operator's own" if needed is None else str(needed)
        raise PermissionDenied(
            f"{method.rpartition('/')[2]} needs the scope {name}, and the caller's credential has {held}",
            reason="SCOPE_MISSING",
            metadata={"scope": "" if needed is None else str(needed)},
        )


def check_operator(caller: Caller, what: str) -> None:
    """Refuse what reaches beyond one tenant to everyone but the operator's own tenant. Raises PermissionDenied SCOPE_MISSING."""
    if caller.tenant != LOCAL_TENANT:
        raise PermissionDenied(
            f"{what} reaches beyond the caller's tenant and needs a credential of the tenant {LOCAL_TENANT} with the scope "
            f"{Scope.OPERATE}: sonichaos keys create --tenant {LOCAL_TENANT} --scopes {Scope.OPERATE}",
            reason="SCOPE_MISSING",
            metadata={"scope": str(Scope.OPERATE)},
        )


def call_facts(method: str, context: aio.ServicerContext[Any, Any]) -> CallFacts:
    """What of a call can identify its caller."""
    values = [value for key, value in context.invocation_metadata() or () if key == _AUTHORIZATION]
    return CallFacts(
        method=method,
        peer=context.peer() or "",
        authorization=tuple(v if isinstance(v, str) else v.decode("latin-1") for v in values),
        certificate=_client_certificate(context.auth_context() or {}),
    )


def host_of(peer: str) -> str:
    """The host in gRPC's name of a peer, such as "ipv4:10.0.0.7" of "ipv4:10.0.0.7:43122"."""
    return peer.rpartition(":")[0] if peer.startswith(("ipv4:", "ipv6:")) else peer


def _client_certificate(facts: Mapping[str, Iterable[bytes]]) -> ClientCertificate | None:
    """The client certificate, which gRPC verified against the CA of the address it came to."""
    pem = next(iter(facts.get(_PEM, ())), None)
    return None if pem is None else _read_certificate(pem)


@lru_cache(maxsize=1024)
def _read_certificate(pem: bytes) -> ClientCertificate:
    """Read once for all calls of a connection. Raises Unauthenticated for one that TLS accepts and this library does not."""
    uris: list[str] = []
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        if isinstance(names, x509.SubjectAlternativeName):
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        pass
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Unauthenticated(f"the client certificate cannot be read: {error}") from None
    return ClientCertificate(
        subject=certificate.subject.rfc4514_string(),
        uris=tuple(uris),
        sha256=hashlib.sha256(pem).hexdigest(),
        expires_at=certificate.not_valid_after_utc,
    )
