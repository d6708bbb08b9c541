"""Which URLs webhooks may call. Callers choose them, so they must not lead to the operator's own machines.

A name is resolved once, right before the connection, and every address that it has must be allowed. The connection then goes to an
address that was checked, so that a name that resolves to another address a moment later changes nothing.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

MAX_URL_CHARACTERS = 2048
_ALLOWED = re.compile(r"[\x21-\x7e]+")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\.?$){_LABEL}(?:\.{_LABEL})*\.?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PORTS = {"https": 443, "http": 80}
# RFC 6052: addresses that carry one of IPv4 in their last 32 bits.
_NAT64 = ip_network("64:ff9b::/96")
# Of a site, though `is_global` is true: RFC 3879; RFC 8215, in which an address of IPv4 can be in any of several places.
_OF_A_SITE = (ip_network("fec0::/10"), ip_network("64:ff9b:1::/48"))
# urlsplit takes "[::1]x" and "x[::1]" too, and drops the x.
_AUTHORITY = re.compile(r"(?:[^\[\]:]*|\[[^\[\]]*\])(?::[0-9]*)?")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[Address]]
"""The addresses of a host name. Raises OSError."""


class TargetError(ValueError):
    """A URL that may not be called; the message says what is wrong, after the words "the URL"."""


class AddressNotAllowed(Exception):
    """A host has an address that may not be called."""


class NameNotResolved(Exception):
    """A host name has no address."""


@dataclass(frozen=True)
class Target:
    """A checked URL. ``host`` is a name or an address without brackets, ``path`` has the query."""

    is_https: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.is_https else "http"] else f"{host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class TargetPolicy:
    """What may be called: HTTPS, or HTTP too; public addresses, and those of ``networks``."""

    allow_http: bool = False
    networks: tuple[Network, ...] = ()

    def read(self, url: str) -> Target:
        """Check a URL, without resolving its name. Raises :class:`TargetError`."""
        if len(url) > MAX_URL_CHARACTERS:
            raise TargetError(f"must have at most {MAX_URL_CHARACTERS} characters, got {len(url)}")
        if not _ALLOWED.fullmatch(url):
            raise TargetError(
                "must have printable ASCII characters only, without spaces; encode others with %, a host in Punycode"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise TargetError("must be like https://example.com:8443/path, with a port from 1 to 65535") from None
        schemes = ("https", "http") if self.allow_http else ("https",)
        if parts.scheme not in schemes:
            raise TargetError(f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        if "@" in parts.netloc:
            raise TargetError("must not have a user or password")
        if "#" in url or "\\" in url:
            raise TargetError("must not have a fragment or a backslash")
        if port == 0:
            raise TargetError("must have a port from 1 to 65535, got 0")
        host = _host(parts)
        address = _address(host)
        if address is not None and not self.is_allowed(address):
            raise TargetError("must not have a private, loopback, link-local, multicast or reserved address")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme == "https", host, port or _PORTS[parts.scheme], path)

    def resolve(self, target: Target, resolve: Resolve | None = None) -> Sequence[Address]:
        """The addresses of the host, each of them allowed. Raises :class:`NameNotResolved`, :class:`AddressNotAllowed`."""
        try:
            found = (resolve or resolve_name)(target.host, target.port)
        except (OSError, UnicodeError) as error:
            raise NameNotResolved(target.host) from error
        if not found:
            raise NameNotResolved(target.host)
        if not all(map(self.is_allowed, found)):
            raise AddressNotAllowed(target.host)
        return found

    def is_allowed(self, address: Address) -> bool:
        """Whether an address may be called. One of IPv6 that carries one of IPv4 counts as the latter too."""
        if any(address in network for network in self.networks):
            return True
        inner = _embedded(address)
        if inner is not None:
            return self.is_allowed(inner)
        if any(address in network for network in _OF_A_SITE):
            return False
        refused = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
        return address.is_global and not (refused or address.is_link_local or address.is_private)


def resolve_name(host: str, port: int) -> list[Address]:
    """The addresses that the system's resolver has. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # An address of one link has a zone, as in fe80::1%eth0, which does not belong to the number.
    texts = dict.fromkeys(str(info[4][0]).partition("%")[0] for info in found)
    return [ip_address(text) for text in texts]


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "") if _AUTHORITY.fullmatch(parts.netloc) else parts.netloc
    if "%" not in host and _address(host) is not None:  # an address with a zone is one of a link
        return host
    # What ends in a number is an address to a resolver, in one of its older spellings: 2130706433, 0x7f.1, 127.1.
    if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise TargetError(f"must have a host name, or an address like 203.0.113.7 or [2001:db8::7], got {host[:80]!r}")
    return host


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _embedded(address: Address) -> IPv4Address | None:
    """The address of IPv4 that one of IPv6 leads to: mapped, 6to4 (RFC 3056), Teredo (RFC 4380), NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
