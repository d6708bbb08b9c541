"""Where a client looks for the two services."""

from __future__ import annotations

import pytest

from sonichaos_client import Addresses, AsyncClient, Client
from sonichaos_client.errors import ConnectionSettingsError


@pytest.mark.parametrize(
    ("address", "separation"),
    [
        ("127.0.0.1:50071", "127.0.0.1:50072"),
        ("https://studio:50071", "https://studio:50072"),
        ("https://studio:50071/", "https://studio:50072/"),
        ("[::1]:50071", "[::1]:50072"),
        ("unix:///run/sonichaos/render.sock", "unix:///run/sonichaos/separation.sock"),
        ("unix:/run/render.sock", "unix:/run/separation.sock"),
        ("https://studio", "https://studio"),
        ("studio:150071", "studio:150071"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("unix:///run/proxy.sock", "unix:///run/proxy.sock"),
        ("unix:///run/a:50071", "unix:///run/a:50071"),
    ],
)
def test_one_address_names_both_services(address: str, separation: str) -> None:
    """The socket or port beside render_service's; any other address is a proxy in front of both."""
    assert Addresses.of_one(address) == Addresses(address, separation)


@pytest.mark.parametrize(
    ("passed", "environment", "expected"),
    [
        ((None, None), (), Addresses()),
        ((None, None), ("a:1", "b:2"), Addresses("a:1", "b:2")),
        ((None, None), ("https://studio:50071", ""), Addresses("https://studio:50071", "https://studio:50072")),
        ((None, None), ("", "b:2"), Addresses("127.0.0.1:50071", "b:2")),
        (("c:50071", None), ("a:1", "b:2"), Addresses("c:50071", "c:50072")),
        ((None, "d:4"), ("a:1", "b:2"), Addresses("127.0.0.1:50071", "d:4")),
        (("c:3", "d:4"), ("a:1", "b:2"), Addresses("c:3", "d:4")),
    ],
)
def test_the_environment_counts_only_without_a_passed_address(
    passed: tuple[str | None, str | None], environment: tuple[str, ...], expected: Addresses
) -> None:
    """A passed address is never combined with one of the environment, which may be of another installation."""
    environ = dict(zip(("SONICHAOS_RENDER_ADDRESS", "SONICHAOS_SEPARATION_ADDRESS"), environment, strict=False))
    assert Addresses.resolve(*passed, environ) == expected


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (("X-Trace", "1"), "got 'X-Trace'"),
        (("trace-bin", "1"), "got 'trace-bin'"),
        (("grpc-timeout", "1"), "got 'grpc-timeout'"),
        (("authorization", "Bearer x"), "as Credentials"),
        (("x-trace", "a\nb"), "printable ASCII"),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_metadata_that_cannot_be_sent_is_rejected_at_once(
    kind: type[Client | AsyncClient], metadata: tuple[str, str], message: str
) -> None:
    """Before a call is made, and with the rule."""
    with pytest.raises(ConnectionSettingsError, match=message):
        kind(metadata=[metadata])
