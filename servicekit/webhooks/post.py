"""Sends one POST request to a URL that a caller chose, within limits of time and bytes.

Nothing of the answer is kept but its status: a receiver cannot fill memory, and a redirect is an answer like any other.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from servicekit.webhooks.resolver import BoundedResolver
from servicekit.webhooks.target import (
    Address,
    AddressNotAllowed,
    NameNotResolved,
    Resolve,
    Target,
    TargetPolicy,
)

MAX_HEADER_BYTES = 16 * 1024
MAX_RESPONSE_BYTES = 64 * 1024
"""How much of an answer is read at most: interim responses and the status line. Its body is not read."""
_CHUNK_BYTES = 4096
_MAX_ADDRESSES = 4
_STATUS = re.compile(rb"HTTP/1\.[01] (?P<code>[1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")


class PostFailed(Exception):
    """No answer with a status. ``problem`` is a name of ``sonichaos.webhooks.v1.WebhookProblem`` without its prefix."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class Poster:
    """Sends requests. ``tls`` checks receivers; ``timeout_s`` is for everything from the connection to the status.

    ``resolve`` has a limit of its own, because nothing can end a call of the system's resolver.
    """

    policy: TargetPolicy
    tls: ssl.SSLContext
    timeout_s: float
    resolve: Resolve = field(default_factory=BoundedResolver)
    monotonic_s: Callable[[], float] = time.monotonic

    def post(self, target: Target, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the answer, 200 to 599. Raises :class:`PostFailed`."""
        try:
            addresses = self.policy.resolve(target, self.resolve)
        except NameNotResolved:
            raise PostFailed("NAME_NOT_RESOLVED") from None
        except AddressNotAllowed:
            raise PostFailed("ADDRESS_NOT_ALLOWED") from None
        try:
            return self._send(target, addresses, _request(target, headers, body))
        except TimeoutError:
            raise PostFailed("TIMEOUT") from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise PostFailed("CONNECTION_FAILED") from None
        except ssl.SSLError:
            raise PostFailed("TLS_FAILED") from None
        except OSError:
            raise PostFailed("CONNECTION_FAILED") from None

    def _send(self, target: Target, addresses: Sequence[Address], request: bytes) -> int:
        deadline_s = self.monotonic_s() + self.timeout_s

        def limit(connection: socket.socket) -> None:
            left_s = deadline_s - self.monotonic_s()
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)

        with closing(_connect(addresses[:_MAX_ADDRESSES], target.port, limit)) as plain:
            limit(plain)
            connection = self.tls.wrap_socket(plain, server_hostname=target.host) if target.is_https else plain
            with closing(connection):
                limit(connection)
                connection.sendall(request)
                return _read_status(connection, limit)


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer to receivers whose certificates public authorities have signed, or those of a PEM file. Raises OSError."""
    context = ssl.create_default_context(cafile=None if authorities is None else str(authorities))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _connect(addresses: Sequence[Address], port: int, limit: Callable[[socket.socket], None]) -> socket.socket:
    """A connection to the first address that accepts one. Raises OSError."""
    refused: OSError = ConnectionRefusedError()
    for address in addresses:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            limit(connection)
            connection.connect((str(address), port))
        except OSError as error:
            connection.close()
            refused = error
        else:
            return connection
    raise refused


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {"Host": target.authority, **headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"POST {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _read_status(connection: socket.socket, limit: Callable[[socket.socket], None]) -> int:
    """The first final status. Raises :class:`PostFailed`, OSError."""
    received, read_bytes = b"", 0
    while True:
        found = _STATUS.match(received)
        if found and found["code"][0:1] != b"1":
            return int(found["code"])
        end = _HEADER_END.search(received) if found else None
        if end is not None:  # an interim response, such as 103 Early Hints
            received = received[end.end() :]
            continue
        too_long = len(received) >= MAX_HEADER_BYTES or read_bytes >= MAX_RESPONSE_BYTES
        if too_long or (not found and b"\n" in received):
            raise PostFailed("INVALID_RESPONSE")
        limit(connection)
        data = connection.recv(_CHUNK_BYTES)
        if not data:
            raise PostFailed("INVALID_RESPONSE" if received else "CONNECTION_FAILED")
        received += data
        read_bytes += len(data)
