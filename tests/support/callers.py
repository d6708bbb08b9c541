"""Gatekeepers of servers in tests: they believe the tenant that a caller names, and trust every other caller or none over TCP."""

from __future__ import annotations

from jobs_service.rpc_scopes import rpc_scopes
from servicekit.access.caller import Caller, CallFacts, Identifier, IdentityMethod, Scope
from servicekit.access.gatekeeper import Gatekeeper, LocalTrust
from servicekit.journal import OwningService

ALL_SCOPES = frozenset(Scope)


def trusting(owner: OwningService = OwningService.RENDER) -> Gatekeeper:
    """Callers without a credential act for ``local``; those that send :func:`as_tenant` act for that tenant."""
    return Gatekeeper((NamedTenants(),), scopes=rpc_scopes(owner), local=LocalTrust(everyone=True))


def identifying(owner: OwningService, *identifiers: Identifier) -> Gatekeeper:
    """Callers over TCP must be known to an identifier, or name their tenant by :func:`as_tenant`.

    Those over a Unix socket act for ``local``.
    """
    return Gatekeeper((*identifiers, NamedTenants()), scopes=rpc_scopes(owner), local=LocalTrust())


def as_tenant(tenant: str, scopes: frozenset[Scope] = ALL_SCOPES) -> tuple[tuple[str, str], ...]:
    """Metadata of a call that acts for ``tenant`` with ``scopes``."""
    return (("authorization", f"Bearer test:{tenant}:{','.join(sorted(scopes))}"),)


class NamedTenants:
    """Believes what :func:`as_tenant` says. ``revoked`` are tenants whose callers are no longer valid."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    async def identify(self, call: CallFacts) -> Caller | None:
        """The tenant named, with the scopes named."""
        value = next(iter(call.authorization), "")
        if not value.startswith("Bearer test:"):
            return None
        _, tenant, scopes = value.split(":")
        held = frozenset(Scope(name) for name in scopes.split(",") if name)
        return Caller(tenant=tenant, subject=f"test {tenant}", method=IdentityMethod.API_KEY, scopes=held)

    async def is_valid(self, caller: Caller) -> bool:
        """False once the tenant is revoked."""
        return caller.tenant not in self.revoked
