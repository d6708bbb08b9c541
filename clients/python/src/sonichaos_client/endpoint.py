"""The address of a service, as a user writes it and as gRPC takes it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

from sonichaos_client.errors import ConnectionSettingsError

_UNIX = ("unix:", "unix-abstract:")
_HOST_PORT = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORTS = {"https": "443", "http": "80"}


@dataclass(frozen=True)
class Endpoint:
    """An address as a client uses it: gRPC's name of it, whether it is TLS, and whether it cannot leave this machine."""

    target: str
    is_tls: bool
    is_local: bool

    @classmethod
    def parse(cls, address: str) -> Self:
        """``https://host:port`` (TLS), ``host:port`` or ``http://host:port`` (plain text), ``unix:///path``, or a name of gRPC's.

        Raises ConnectionSettingsError.
        """
        scheme, separator, rest = address.partition("://")
        scheme = scheme.lower()
        if separator and scheme in _DEFAULT_PORTS:
            found = _HOST_PORT.fullmatch(rest.removesuffix("/"))
            if found is None:
                raise ConnectionSettingsError(f"An address must be {scheme}://host:port without a path, got {address}.")
            port = found["port"] or _DEFAULT_PORTS[scheme]
            return cls(f"{found['host']}:{port}", is_tls=scheme == "https", is_local=_is_loopback(found["host"]))
        if address.startswith(_UNIX):
            return cls(address, is_tls=False, is_local=True)
        found = _HOST_PORT.fullmatch(address)
        return cls(address, is_tls=False, is_local=found is not None and _is_loopback(found["host"]))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
