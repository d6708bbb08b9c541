"""Which requests come from the page itself, and what browsers may do with it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from aiohttp import web

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_WILDCARDS = ("0.0.0.0", "[::]")  # noqa: S104  compared, not bound

_WAVEFORM_STYLE = "'sha256-XGW/cX2BkTPWNNT3NdyASrPEWZfPnKdPJaJ2aN7R+v8='"
"""The one style element of the page: wavesurfer.js writes it into each waveform. A test of the page compares the digest."""


class HostGuard:
    """Admits requests whose Host is a name of this server: loopback, the host that it listens on, and ``names``.

    By any other name a page of somebody else's could reach services that ask callers of this machine for no credential (DNS
    rebinding). Where the server listens on all addresses, an IP address is admitted as well: no name leads to it.
    """

    def __init__(self, listen_host: str, names: Collection[str] = ()) -> None:
        self._names = {*_LOOPBACK, listen_host.lower(), *(name.lower() for name in names)}
        self._any_ip = listen_host in _WILDCARDS

    def admits(self, request: web.BaseRequest) -> bool:
        """Whether the request names this server."""
        hosts = request.headers.getall("Host", [])
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        return name is not None and (name in self._names or (self._any_ip and _is_ip(name)))


def is_same_origin(request: web.BaseRequest) -> bool:
    """Whether no other origin's page sent the request, by what browsers say of it."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2].lower() == request.headers.get("Host", "").lower()


def host_name(host: str) -> str | None:
    """The name in a Host header, in lower case and without its port; None if it is malformed."""
    name, bracket, port = host.partition("]") if host.startswith("[") else host.partition(":")
    if bracket == "]":
        name += bracket
        if port and not port.startswith(":"):
            return None
        port = port[1:]
    return name.lower() if name and (port == "" or (port.isascii() and port.isdecimal())) else None


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def security_headers(file_origins: Collection[str]) -> dict[str, str]:
    """The headers of every answer. Pages may read signed URLs of ``file_origins``, and nothing else of other origins."""
    files = " ".join(["", *file_origins])
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'self' {_WAVEFORM_STYLE}",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": f"'self'{files}",
        "media-src": f"'self' blob:{files}",
        "worker-src": "'self'",
        "manifest-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
