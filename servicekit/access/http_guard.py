"""Identity for HTTP endpoints that other machines reach: the credentials of gRPC callers, in the header Authorization."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from servicekit.access.caller import CallFacts, Scope
from servicekit.access.gatekeeper import Gatekeeper, check_operator
from servicekit.errors import PermissionDenied, ResourceExhausted, ServiceError, Unauthenticated

HttpGuard = Callable[[web.BaseRequest], Awaitable[web.Response | None]]
"""Answers a request that is refused; None for one that is admitted."""


def operators_only(gatekeeper: Gatekeeper) -> HttpGuard:
    """Admits requests with an API key or a JWT of the operator's tenant with the scope ``operate``, as Bearer."""

    async def check(request: web.BaseRequest) -> web.Response | None:
        call = CallFacts(
            method=request.path, peer=_peer(request), authorization=tuple(request.headers.getall("Authorization", ()))
        )
        try:
            caller = await gatekeeper.identify(call)
        except Unauthenticated as error:
            return _refusal(HTTPStatus.UNAUTHORIZED, error.message, {"WWW-Authenticate": "Bearer"})
        except ResourceExhausted as error:
            return _refusal(HTTPStatus.TOO_MANY_REQUESTS, error.message)
        except ServiceError as error:  # such as an issuer of JWTs that cannot be asked
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, error.message)
        if Scope.OPERATE not in caller.scopes:
            return _refusal(HTTPStatus.FORBIDDEN, f"{request.path} needs a credential with the scope {Scope.OPERATE}.")
        try:
            check_operator(caller, request.path)
        except PermissionDenied as error:
            return _refusal(HTTPStatus.FORBIDDEN, error.message)
        return None

    return check


def _peer(request: web.BaseRequest) -> str:
    """The address of the connection, as gRPC names it."""
    name = request.transport.get_extra_info("peername") if request.transport is not None else None
    if not isinstance(name, tuple):
        return ""
    return f"ipv6:[{name[0]}]:{name[1]}" if ":" in name[0] else f"ipv4:{name[0]}:{name[1]}"


def _refusal(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers=headers)
