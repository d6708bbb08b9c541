"""Webhooks in tests: rows of the journal, the calls of a server, and a receiver on loopback."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from jobs_service.webhook_servicer import WebhooksServicer
from servicekit.ids import new_webhook_id
from servicekit.journal import Journal, NewWebhook, WebhookEventKind
from servicekit.rpc.server import RpcServer
from servicekit.webhooks.target import TargetPolicy
from sonichaos.webhooks.v1 import webhooks_pb2_grpc
from tests.support.certificates import Certificate

SECRET = "whsec_" + "A" * 43
URL = "https://receiver.example/hook"
LOOPBACK_TOO = TargetPolicy(allow_http=True, networks=(ip_network("127.0.0.0/8"),))
_LIMIT_S = 60.0


def new_webhook(
    *,
    tenant: str = "local",
    job_id: str = "",
    url: str = URL,
    kinds: frozenset[WebhookEventKind] = frozenset(WebhookEventKind),
    request_id: str = "",
    secret: str = SECRET,
) -> NewWebhook:
    """A webhook to register."""
    return NewWebhook(
        webhook_id=new_webhook_id(datetime.now(UTC)),
        tenant=tenant,
        job_id=job_id,
        url=url,
        kinds=kinds,
        secret=secret,
        request_id=request_id,
    )


def add_webhooks(server: RpcServer, journal: Journal, *, policy: TargetPolicy | None = None, limit: int = 20) -> None:
    """Mount WebhooksService; by default only public HTTPS URLs may be registered."""
    servicer = WebhooksServicer(journal, policy or TargetPolicy(), limit=limit, pools=server.pools)
    webhooks_pb2_grpc.add_WebhooksServiceServicer_to_server(servicer, server.grpc_server)


@dataclass(frozen=True)
class Received:
    """A request that a receiver got. ``headers`` have names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


Behaviour = Callable[[socket.socket, Received], None]
"""What a receiver does on a connection after it has read the request."""


def answer(status: int, *headers: str) -> Behaviour:
    """Send a response without a body."""
    lines = (f"HTTP/1.1 {status} X", *headers, "Content-Length: 0", "", "")

    def send(connection: socket.socket, _request: Received) -> None:
        connection.sendall("\r\n".join(lines).encode())

    return send


NO_CONTENT = answer(204)


@dataclass
class Receiver:
    """A server on loopback that collects requests and behaves as its newest ``behaviour`` says."""

    url: str
    port: int
    behaviour: Behaviour = NO_CONTENT
    requests: list[Received] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, number: int) -> list[Received]:
        """The requests, once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= number, _LIMIT_S), self.requests
            return list(self.requests)


@contextmanager
def receiver(certificate: Certificate | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver, over HTTPS if it has a certificate."""
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate.certificate, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        running = Receiver(f"{'http' if tls is None else 'https'}://{host}:{port}/hook", port)
        stopping = threading.Event()

        def serve(connection: socket.socket) -> None:
            try:
                with connection if tls is None else tls.wrap_socket(connection, server_side=True) as plain:
                    plain.settimeout(_LIMIT_S)
                    request = _read(plain)
                    if request is None:
                        return
                    with running.changed:
                        running.requests.append(request)
                        running.changed.notify_all()
                    running.behaviour(plain, request)
            except OSError:  # the client has gone, or did not trust the certificate
                return

        def accept() -> None:
            while not stopping.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield running
        finally:
            stopping.set()
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _read(connection: socket.socket) -> Received | None:
    """One request; None where the client leaves before its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        more = connection.recv(65536)
        if not more:
            return None
        body += more
    return Received(first.split(" ")[1], headers, body)
