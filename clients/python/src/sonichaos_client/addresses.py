"""Where the two services listen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sonichaos_client.enums import OwningService

RENDER_ADDRESS = "127.0.0.1:50071"
SEPARATION_ADDRESS = "127.0.0.1:50072"
RENDER_ADDRESS_VARIABLE = "SONICHAOS_RENDER_ADDRESS"
SEPARATION_ADDRESS_VARIABLE = "SONICHAOS_SEPARATION_ADDRESS"

_RENDER_SOCKET = re.compile(r"(unix:.*/)render\.sock")
_RENDER_PORT = re.compile(r"(.*:)50071(/?)")


@dataclass(frozen=True)
class Addresses:
    """Where each service listens: ``https://host:port`` (TLS), ``host:port`` (plain text) or ``unix:///path``."""

    render: str = RENDER_ADDRESS
    separation: str = SEPARATION_ADDRESS

    @classmethod
    def of_one(cls, address: str) -> Self:
        """Both addresses, from that of render_service or of a proxy in front of both services.

        ========================= =============================================
        address                   separation_service
        ========================= =============================================
        ``unix:…/render.sock``    ``separation.sock`` in the same folder
        any host, port 50071      port 50072 of that host
        anything else             the same address, which serves both: a proxy
        ========================= =============================================
        """
        socket = _RENDER_SOCKET.fullmatch(address)
        if socket is not None:
            return cls(address, f"{socket[1]}separation.sock")
        port = None if address.startswith("unix") else _RENDER_PORT.fullmatch(address)
        if port is not None:
            return cls(address, f"{port[1]}50072{port[2]}")
        return cls(address, address)

    @classmethod
    def resolve(
        cls, address: str | None, separation_address: str | None, environ: Mapping[str, str] = os.environ
    ) -> Self:
        """The addresses that a caller passed; those of the environment if it passed none; then those of loopback.

        The environment names ``SONICHAOS_RENDER_ADDRESS`` and ``SONICHAOS_SEPARATION_ADDRESS``. Where only one address is known,
        the other one follows from it (`of_one`), or is that of loopback if only separation_service's is known.
        """
        if address is None and separation_address is None:
            address = environ.get(RENDER_ADDRESS_VARIABLE) or None
            separation_address = environ.get(SEPARATION_ADDRESS_VARIABLE) or None
        if separation_address is None:
            return cls() if address is None else cls.of_one(address)
        return cls(address or RENDER_ADDRESS, separation_address)

    def of(self, service: OwningService) -> str:
        """The address of one service."""
        return self.separation if service is OwningService.SEPARATION else self.render
