"""Listen addresses: chooses free ports, and rejects ports in use before any service starts."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from dataclasses import dataclass

import click

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - compared, not bound


@dataclass(frozen=True)
class ListenAddress:
    """``host:port`` or ``unix:/path``, and the setting that it comes from."""

    address: str
    setting: str

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return self.address.startswith(("unix:", "unix-abstract:"))

    @property
    def option(self) -> str:
        """The command line option of the setting."""
        return "--" + self.setting.removeprefix("SONICHAOS_").lower().replace("_", "-")

    @property
    def for_callers(self) -> str:
        """The address for callers on this machine."""
        if self.is_unix:
            return self.address
        host, _, port = self.address.rpartition(":")
        return f"{_WILDCARDS.get(host, host)}:{port}"


def resolve_ports(addresses: list[ListenAddress]) -> list[ListenAddress]:
    """The same addresses with port 0 replaced by a free port.

    Raises click.UsageError for a malformed address and click.ClickException for a port in use, naming the setting. The sockets
    stay open until all ports are chosen, so that no two are the same.
    """
    with ExitStack() as sockets:
        return [address if address.is_unix else _resolve_port(address, sockets) for address in addresses]


def _resolve_port(listen: ListenAddress, sockets: ExitStack) -> ListenAddress:
    host, colon, port_text = listen.address.rpartition(":")
    if not colon or not host or not port_text.isdecimal() or int(port_text) > 65535:
        raise click.UsageError(f"{listen.setting} must be HOST:PORT or unix:/path, got {listen.address!r}.")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    sock = sockets.enter_context(socket.socket(family, socket.SOCK_STREAM))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host.strip("[]"), int(port_text)))
        sock.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(
                f"{listen.address} is in use. Are the services running already? If not, choose another port with "
                f"{listen.option} or {listen.setting}."
            ) from error
        raise click.ClickException(
            f"Cannot listen on {listen.address} ({listen.setting}): {error.strerror}."
        ) from error
    return ListenAddress(f"{host}:{sock.getsockname()[1]}", listen.setting)
