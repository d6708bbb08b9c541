"""Requests of webhooks to real receivers on loopback: HTTPS, and receivers that answer badly or not at all."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from servicekit.webhooks.post import Poster, PostFailed, tls_context
from servicekit.webhooks.resolver import BoundedResolver
from servicekit.webhooks.signature import new_secret, sign
from servicekit.webhooks.target import Address, Resolve, TargetPolicy
from tests.support.certificates import Authority
from tests.support.webhooks import LOOPBACK_TOO, Behaviour, Received, answer, receiver

BODY = b'{"id": "wd-1"}'


def poster(
    tls: ssl.SSLContext | None = None, *, timeout_s: float = 20.0, policy: TargetPolicy = LOOPBACK_TOO
) -> Poster:
    """One that may call loopback. Every name is loopback."""

    def resolve(_host: str, _port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    return Poster(policy=policy, tls=tls or tls_context(None), timeout_s=timeout_s, resolve=resolve)


def post(sender: Poster, url: str) -> int:
    """Send the body."""
    return sender.post(sender.policy.read(url), {"X-Test": "1"}, BODY)


def problem(sender: Poster, url: str) -> str:
    """Why it fails."""
    with pytest.raises(PostFailed) as failed:
        post(sender, url)
    return failed.value.problem


def test_an_https_receiver_gets_the_request_under_its_name(tmp_path: Path) -> None:
    """The connection goes to the checked address; certificate and Host are those of the name."""
    authority = Authority.create(tmp_path)
    with receiver(authority.server(hosts=["receiver.example"]), host="receiver.example") as running:
        assert post(poster(tls_context(authority.ca)), f"{running.url}?a=b") == 204
        (request,) = running.requests
        assert request.path == "/hook?a=b"
        assert request.headers == {
            "host": f"receiver.example:{running.port}",
            "x-test": "1",
            "content-length": str(len(BODY)),
            "connection": "close",
        }
        assert request.body == BODY


def test_a_receiver_with_a_certificate_of_another_name_or_authority_is_not_sent_to(tmp_path: Path) -> None:
    """Not a byte of the request."""
    authority = Authority.create(tmp_path)
    with receiver(authority.server(hosts=["other.example"]), host="receiver.example") as running:
        for tls in (tls_context(authority.ca), tls_context(None)):
            assert problem(poster(tls), running.url) == "TLS_FAILED"
        assert running.requests == []


def send(data: bytes, *, times: int = 1) -> Behaviour:
    """Send bytes as a response."""

    def behave(connection: socket.socket, _request: Received) -> None:
        for _ in range(times):
            connection.sendall(data)

    return behave


def reset(connection: socket.socket, _request: Received) -> None:
    """Break the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(connection: socket.socket, _request: Received) -> None:
    """Say nothing until the client leaves."""
    connection.recv(1)


def drip(connection: socket.socket, _request: Received) -> None:
    """Send a header without end, byte by byte, so that no single read takes long."""
    while True:
        connection.sendall(b"x")
        threading.Event().wait(0.01)


STATUSES: dict[str, tuple[Behaviour, int]] = {
    "success": (answer(200), 200),
    "server error": (answer(500), 500),
    "redirect to loopback": (answer(302, "Location: http://127.0.0.1/"), 302),
    "interim responses first": (send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), 200),
    "two gigabytes": (send(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n" + bytes(1 << 20), times=2048), 200),
    "status without a reason": (send(b"HTTP/1.0 202\r\n\r\n"), 202),
}
PROBLEMS: dict[str, tuple[Behaviour, str]] = {
    "no HTTP": (send(b"SSH-2.0-OpenSSH_9.2\r\n"), "INVALID_RESPONSE"),
    "half a status": (send(b"HTTP/1.1 2"), "INVALID_RESPONSE"),
    "nothing": (send(b""), "CONNECTION_FAILED"),
    "a line without end": (send(b"x" * 4096, times=1000), "INVALID_RESPONSE"),
    "reset": (reset, "CONNECTION_FAILED"),
    "interim responses without end": (
        send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, times=10_000),
        "INVALID_RESPONSE",
    ),
}


@pytest.mark.parametrize("name", STATUSES)
def test_the_status_of_an_answer_counts_and_nothing_else_is_read(name: str) -> None:
    """A redirect is not followed, a body without end not read."""
    behaviour, status = STATUSES[name]
    with receiver() as running:
        running.behaviour = behaviour
        assert post(poster(), running.url) == status
        assert len(running.requests) == 1


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_answer_without_a_status_is_a_problem(name: str) -> None:
    """Named for the caller."""
    behaviour, expected = PROBLEMS[name]
    with receiver() as running:
        running.behaviour = behaviour
        assert problem(poster(), running.url) == expected


@pytest.mark.parametrize("behaviour", [hang, drip], ids=["hang", "drip"])
def test_the_time_limit_is_for_the_whole_request(behaviour: Behaviour) -> None:
    """A receiver that sends a byte now and then does not lengthen it."""
    with receiver() as running:
        running.behaviour = behaviour
        assert problem(poster(timeout_s=0.3), running.url) == "TIMEOUT"


def test_a_receiver_that_does_not_listen_and_a_handshake_that_hangs_are_problems() -> None:
    """The second accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://receiver.example:{silent.getsockname()[1]}/"
        assert problem(poster(timeout_s=0.3), url) == "TIMEOUT"
    assert problem(poster(), url) == "CONNECTION_FAILED"


def test_the_address_that_was_checked_is_called_whatever_the_name_resolves_to_later() -> None:
    """The name is resolved once for an attempt, and one that leads to loopback is not called unless that is allowed."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[Address]:
        asked.append(host)
        return [ip_address("127.0.0.1" if len(asked) == 1 else "127.0.0.2")]

    with receiver(host="rebinding.example") as running:
        sender = Poster(policy=LOOPBACK_TOO, tls=tls_context(None), timeout_s=20.0, resolve=rebinding)
        assert post(sender, running.url) == 204
        assert asked == ["rebinding.example"]
        public_only = Poster(
            policy=TargetPolicy(allow_http=True), tls=tls_context(None), timeout_s=20.0, resolve=rebinding
        )
        assert problem(public_only, running.url) == "ADDRESS_NOT_ALLOWED"
        assert len(running.requests) == 1


def test_a_name_that_does_not_resolve_is_a_problem() -> None:
    """The resolver's error is not the caller's business."""

    def unknown(_host: str, _port: int) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    sender = Poster(policy=LOOPBACK_TOO, tls=tls_context(None), timeout_s=20.0, resolve=unknown)
    assert problem(sender, "https://receiver.example/") == "NAME_NOT_RESOLVED"


@pytest.fixture
def hanging() -> Iterator[tuple[Resolve, threading.Event]]:
    """A resolver that never answers for some names, and its end."""
    released = threading.Event()

    def resolve(host: str, _port: int) -> Sequence[Address]:
        if host.startswith("hanging"):
            released.wait()
        return [ip_address("127.0.0.1")]

    yield resolve, released
    released.set()


def test_a_name_whose_resolution_hangs_is_a_problem_and_delays_no_other(
    hanging: tuple[Resolve, threading.Event],
) -> None:
    """After the resolver's own limit. At most so many lookups run, one for a name, however often that is asked for."""
    resolve, released = hanging
    asked: list[str] = []

    def counting(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return resolve(host, port)

    bounded = BoundedResolver(counting, timeout_s=0.05, max_lookups=2)
    sender = Poster(policy=LOOPBACK_TOO, tls=tls_context(None), timeout_s=20.0, resolve=bounded)
    with receiver(host="receiver.example") as running:
        for _ in range(3):
            assert problem(sender, "https://hanging.example/") == "NAME_NOT_RESOLVED"
        assert asked == ["hanging.example"]
        assert post(sender, running.url) == 204
        for _ in range(2):
            assert problem(sender, "https://hanging2.example/") == "NAME_NOT_RESOLVED"
        assert problem(sender, running.url) == "NAME_NOT_RESOLVED", "no lookup is left"
        assert asked == ["hanging.example", "receiver.example", "hanging2.example"]
        released.set()
        until_sent(sender, running.url)


def until_sent(sender: Poster, url: str) -> None:
    """Post until the lookups that hung have ended."""
    for _ in range(1000):
        try:
            assert post(sender, url) == 204
        except PostFailed:
            threading.Event().wait(0.01)
        else:
            return
    raise AssertionError("still not resolved")


def test_a_signature_is_an_hmac_of_time_and_body() -> None:
    """As docs/webhooks.md states it. Two secrets are never equal."""
    secret = new_secret()
    expected = hmac.new(secret.encode(), b"1764374400." + BODY, hashlib.sha256).hexdigest()
    assert sign(BODY, secret, 1764374400) == f"t=1764374400,v1={expected}"
    assert len(secret) == len("whsec_") + 43
    assert secret != new_secret()
