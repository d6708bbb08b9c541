"""Addresses to listen on: free ports found, taken ports named before anything is started."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from dataclasses import dataclass

import click

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - recognised, not listened on


@dataclass(frozen=True)
class ListenAddress:
    """``host:port`` or ``unix:/path``, and the setting that chose it."""

    address: str
    setting: str

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return self.address.startswith(("unix:", "unix-abstract:"))

    @property
    def for_callers(self) -> str:
        """The address that a caller on this machine uses."""
        if self.is_unix:
            return self.address
        host, _, port = self.address.rpartition(":")
        return f"{_WILDCARDS.get(host, host)}:{port}"


def settle(wanted: list[ListenAddress]) -> list[ListenAddress]:
    """The same addresses with port 0 replaced by a free port.

    Raises click.UsageError for a malformed address and click.ClickException for a port that is taken, naming the setting. All
    ports are held until all are found, so that no two are the same.
    """
    with ExitStack() as held:
        return [one if one.is_unix else _settle_one(one, held) for one in wanted]


def _settle_one(wanted: ListenAddress, held: ExitStack) -> ListenAddress:
    host, colon, port_text = wanted.address.rpartition(":")
    if not colon or not host or not port_text.isdecimal() or int(port_text) > 65535:
        raise click.UsageError(f"{wanted.setting}: wanted HOST:PORT or unix:/path, got {wanted.address!r}")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    sock = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host.strip("[]"), int(port_text)))
        sock.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(
                f"{wanted.address} is taken; are the services running already? Choose another with {wanted.setting}"
            ) from error
        raise click.ClickException(f"{wanted.setting}: cannot listen on {wanted.address}: {error.strerror}") from error
    return ListenAddress(f"{host}:{sock.getsockname()[1]}", wanted.setting)
