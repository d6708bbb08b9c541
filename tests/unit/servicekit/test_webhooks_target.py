"""Which URLs webhooks may call: what is refused when one is registered, and what when its name is resolved."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest

from servicekit.webhooks.target import (
    AddressNotAllowed,
    NameNotResolved,
    Target,
    TargetError,
    TargetPolicy,
    resolve_name,
)

PUBLIC = TargetPolicy()
_REFUSED = """
    http://example.com/ ftp://example.com/ file:///etc/passwd gopher://example.com:70/ https: https:///path example.com
    //example.com/ https://user@example.com/ https://user:password@example.com/ https://example.com@127.0.0.1/
    https://@example.com/ https://example.com:0/ https://example.com:65536/ https://example.com:x/ https://example.com/#part
    https://example.com\\@b.com/ https://127.0.0.1/ https://127.1/ https://2130706433/ https://0x7f000001/ https://0x7f.1/
    https://017700000001/ https://0/ https://0.0.0.0/ https://10.0.0.1/ https://172.16.0.1/ https://192.168.1.1/
    https://169.254.169.254/latest/meta-data https://100.64.0.1/ https://224.0.0.1/ https://240.0.0.1/ https://255.255.255.255/
    https://192.0.2.1/ https://198.18.0.1/ https://[::1]/ https://[::]/ https://[fe80::1]/ https://[fe80::]/
    https://[fe80::1%25eth0]/ https://[fc00::1]/ https://[fec0::1]/ https://[ff02::1]/ https://[::ffff:127.0.0.1]/
    https://[::ffff:7f00:1]/ https://[::127.0.0.1]/ https://[64:ff9b::7f00:1]/ https://[64:ff9b:1::a00:1]/
    https://[2002:7f00:1::]/ https://[2001:0:0:0:0:0:80ff:fffe]/ https://[2001:db8::1]/ https://[::1 https://1.2.3.4.5/
    https://example.0x10/ https://a..b/ https://-a.com/ https://a-.com/ https://%31%32%37.0.0.1/ https://a_b.%2e/
    https://[64:ff9b:1:a00:0:100:808:808]/ https://[2606:4700::1111]example.com/ https://example.com[2606:4700::1111]/
    https://exämple.com/ https://example.com/ä https://example.com:80:90/
"""
REFUSED = _REFUSED.split()
ALLOWED = {
    "https://example.com": Target(is_https=True, host="example.com", port=443, path="/"),
    "https://example.com:8443/a/b?c=d&e": Target(is_https=True, host="example.com", port=8443, path="/a/b?c=d&e"),
    "https://EXAMPLE.com./": Target(is_https=True, host="example.com.", port=443, path="/"),
    "https://xn--exmple-cua.com/%C3%A4": Target(is_https=True, host="xn--exmple-cua.com", port=443, path="/%C3%A4"),
    "https://8.8.8.8/": Target(is_https=True, host="8.8.8.8", port=443, path="/"),
    "https://[2606:4700::1111]/": Target(is_https=True, host="2606:4700::1111", port=443, path="/"),
    "https://localhost:9/": Target(is_https=True, host="localhost", port=9, path="/"),
}


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_may_not_be_called_is_refused_when_it_is_registered(url: str) -> None:
    """Other schemes, credentials, bad ports, addresses that are not public in every spelling, and what is no URL."""
    with pytest.raises(TargetError, match=r"^must "):
        PUBLIC.read(url)


@pytest.mark.parametrize("url", ALLOWED)
def test_a_url_is_taken_apart(url: str) -> None:
    """Host, port with the scheme's default, path with its query. A name is resolved before each connection, not here."""
    assert PUBLIC.read(url) == ALLOWED[url]


def test_spaces_control_characters_and_long_urls_are_refused() -> None:
    """No request line can be made of them."""
    for url in (
        "https://example.com/a b",
        "https://example.com/\r\nHost: b",
        "https://example.com/\0",
        "",
        " https://a.com",
    ):
        with pytest.raises(TargetError):
            PUBLIC.read(url)
    assert PUBLIC.read("https://example.com/" + "a" * 2028)
    with pytest.raises(TargetError, match="at most 2048 characters, got 2049"):
        PUBLIC.read("https://example.com/" + "a" * 2029)


def test_the_host_header_has_the_port_unless_it_is_the_schemes_own() -> None:
    """An address of IPv6 is in brackets."""
    with_http = TargetPolicy(allow_http=True)
    urls = ("https://a.com:443", "https://a.com:80", "http://a.com", "https://[2606:4700::1111]:8443/")
    assert [with_http.read(url).authority for url in urls] == ["a.com", "a.com:80", "a.com", "[2606:4700::1111]:8443"]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["8.8.8.8", "192.168.0.1"],
        ["192.168.0.1", "8.8.8.8"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["0.0.0.0"],  # noqa: S104
        ["fe80::"],
        ["64:ff9b::a9fe:a9fe"],
        ["64:ff9b:1:a00:0:100:808:808"],  # 10.0.0.1 in the place of a prefix of 48 bits; 8.8.8.8 in that of one of 96
    ],
)
def test_a_name_with_any_address_that_is_not_public_is_refused(addresses: list[str]) -> None:
    """One is enough: the resolver of the next connection could give that one only."""
    target = PUBLIC.read("https://example.com/")
    with pytest.raises(AddressNotAllowed):
        PUBLIC.resolve(target, lambda _host, _port: [ip_address(text) for text in addresses])


def test_a_public_name_gives_its_addresses_and_one_without_any_is_not_resolved() -> None:
    """As the resolver orders them."""
    target = PUBLIC.read("https://example.com/")
    found = [ip_address("8.8.8.8"), ip_address("2606:4700::1111")]
    assert PUBLIC.resolve(target, lambda _host, _port: found) == found

    def unknown(_host: str, _port: int) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for resolve in (unknown, lambda _host, _port: []):
        with pytest.raises(NameNotResolved):
            PUBLIC.resolve(target, resolve)  # type: ignore[arg-type]


def test_the_systems_resolver_knows_older_spellings_so_its_answer_is_what_is_checked() -> None:
    """Were they not refused before, they would be now."""
    for text in ("2130706433", "0x7f.1", "127.1", "localhost"):
        found = resolve_name(text, 443)
        assert ip_address("127.0.0.1") in found or ip_address("::1") in found
        assert not any(map(PUBLIC.is_allowed, found))


def test_networks_of_the_settings_are_allowed_and_no_others() -> None:
    """Also where an address of IPv6 carries one of them."""
    policy = TargetPolicy(networks=(ip_network("10.20.0.0/16"), ip_network("fd00:20::/64")))
    for text, allowed in {
        "10.20.0.1": True,
        "10.21.0.1": False,
        "fd00:20::1": True,
        "fd00:21::1": False,
        "::ffff:10.20.0.1": True,
        "::ffff:10.21.0.1": False,
        "8.8.8.8": True,
        "127.0.0.1": False,
    }.items():
        assert policy.is_allowed(ip_address(text)) is allowed, text
