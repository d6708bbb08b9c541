"""What ``sonichaos up`` checks before it starts anything."""

from __future__ import annotations

import socket
from pathlib import Path

import click
import pytest

from hostctl.installation import RENDER_LISTEN, SEPARATION_LISTEN, URL_LISTEN, Installation, plan_installation
from hostctl.listen import ListenAddress, resolve_ports

ANY = {RENDER_LISTEN: "127.0.0.1:0", SEPARATION_LISTEN: "127.0.0.1:0", URL_LISTEN: "127.0.0.1:0"}


def plan(environ: dict[str, str], data: Path | None = None, **chosen: str) -> Installation:
    """An installation on free ports."""
    return plan_installation(environ, data=data, chosen=chosen, listen=ANY)


def test_free_ports_are_chosen_and_differ() -> None:
    """Port 0 becomes a free port, a different one each time."""
    resolved = resolve_ports([ListenAddress("127.0.0.1:0", f"S{index}") for index in range(8)])
    ports = {int(one.address.rpartition(":")[2]) for one in resolved}
    assert len(ports) == 8
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass


@pytest.mark.parametrize("address", ["", "50071", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", ":5"])
def test_a_malformed_address_is_rejected_with_its_setting(address: str) -> None:
    """The error names the setting and the expected form."""
    with pytest.raises(click.UsageError, match="SONICHAOS_RENDER_LISTEN must be HOST:PORT"):
        resolve_ports([ListenAddress(address, RENDER_LISTEN)])


def test_callers_reach_a_wildcard_and_a_unix_socket() -> None:
    """Callers use loopback for a wildcard address, and a Unix socket as it is."""
    assert ListenAddress("0.0.0.0:5", "S").for_callers == "127.0.0.1:5"
    assert ListenAddress("[::]:5", "S").for_callers == "[::1]:5"
    assert resolve_ports([ListenAddress("unix:/run/a.sock", "S")])[0].for_callers == "unix:/run/a.sock"


def test_options_take_precedence_over_the_environment(tmp_path: Path) -> None:
    """Options, then the environment, then the defaults."""
    environ = {"SONICHAOS_DATA": str(tmp_path / "a"), "SONICHAOS_RENDERER": "x", "SONICHAOS_DEVICE": "cpu"}
    assert plan(environ).data == tmp_path / "a"
    typed = plan(environ, tmp_path / "b", SONICHAOS_RENDERER="y")
    assert typed.data == tmp_path / "b"
    assert typed.render_environment()["SONICHAOS_RENDERER"] == "y"


def test_each_service_gets_only_its_own_settings(tmp_path: Path) -> None:
    """A service rejects the settings of the other one; variables that are not SONICHAOS settings are passed on."""
    environ = {"SONICHAOS_RENDERER": "r", "SONICHAOS_SEPARATOR": "s", "SONICHAOS_SEPARATOR_REPO": "d", "PATH": "p"}
    installation = plan(environ, tmp_path)
    render, separation = installation.render_environment(), installation.separation_environment()
    assert {"SONICHAOS_SEPARATOR", "SONICHAOS_SEPARATOR_REPO", SEPARATION_LISTEN} & render.keys() == set()
    assert {"SONICHAOS_RENDERER", RENDER_LISTEN} & separation.keys() == set()
    assert render["PATH"] == separation["PATH"] == "p"


def test_a_service_may_listen_on_several_addresses(tmp_path: Path) -> None:
    """They are separated by commas; callers are shown the first. With a certificate it is an https:// address."""
    listen = {**ANY, RENDER_LISTEN: f"127.0.0.1:0, unix:{tmp_path}/r.sock"}
    plain = plan_installation({}, data=tmp_path, chosen={}, listen=listen)
    first, second = plain.render_environment()[RENDER_LISTEN].split(",")
    assert second == f"unix:{tmp_path}/r.sock"
    assert plain.for_callers(plain.render) == first
    secured = plan_installation({"SONICHAOS_TLS_CERTIFICATE": "x.pem"}, data=tmp_path, chosen={}, listen=listen)
    assert secured.for_callers(secured.render).startswith("https://127.0.0.1:")


def test_the_services_talk_over_a_unix_socket(tmp_path: Path) -> None:
    """That of the data folder, unless a setting names another."""
    assert plan({}, tmp_path).render_environment()["SONICHAOS_SEPARATION_ADDRESS"] == (
        f"unix:{tmp_path / 'run' / 'separation.sock'}"
    )
    other = plan({"SONICHAOS_SEPARATION_SOCKET": "/run/s.sock"}, tmp_path)
    assert other.render_environment()["SONICHAOS_SEPARATION_ADDRESS"] == "unix:/run/s.sock"
    assert other.separation_environment()["SONICHAOS_SEPARATION_SOCKET"] == "/run/s.sock"


def test_fetched_weights_are_found_by_name(tmp_path: Path) -> None:
    """A separator that fetch-weights saved in the data folder needs no --separator-repo; an explicit folder takes precedence."""
    fetched = tmp_path / "weights" / "htdemucs_ft"
    fetched.mkdir(parents=True)
    found = plan({}, tmp_path, SONICHAOS_SEPARATOR="htdemucs_ft").separation_environment()
    assert found["SONICHAOS_SEPARATOR_REPO"] == str(fetched)
    named = plan({}, tmp_path, SONICHAOS_SEPARATOR="htdemucs_ft", SONICHAOS_SEPARATOR_REPO="/elsewhere")
    assert named.separation_environment()["SONICHAOS_SEPARATOR_REPO"] == "/elsewhere"


def test_an_invalid_setting_is_rejected_before_anything_starts() -> None:
    """The error names the variable."""
    with pytest.raises(click.UsageError, match="SONICHAOS_DRAIN_SECONDS"):
        plan({"SONICHAOS_DRAIN_SECONDS": "soon"})


def test_with_an_s3_store_the_url_port_is_not_checked(tmp_path: Path) -> None:
    """No service serves signed URLs then, so a port in use does not matter."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listen = {**ANY, URL_LISTEN: address}
        made = plan_installation({"SONICHAOS_STORE": "s3"}, data=tmp_path, chosen={}, listen=listen)
    assert made.urls.address == address


def test_what_is_shown_when_ready_is_what_callers_write(tmp_path: Path) -> None:
    """Addresses for client certificates, and the beginning of signed URLs: the operator's, or the address with its scheme."""
    environ = {"SONICHAOS_TLS_CERTIFICATE": "x.pem", "SONICHAOS_RENDER_MTLS_LISTEN": "10.0.0.7:1, 10.0.0.7:2"}
    made = plan(environ, tmp_path)
    assert made.for_certificates("RENDER") == ("https://10.0.0.7:1", "https://10.0.0.7:2")
    assert made.for_certificates("SEPARATION") == ()
    assert made.url_base == f"https://{made.urls.address}"
    assert plan({}, tmp_path).url_base.startswith("http://")
    named = {"SONICHAOS_URL_BASE": "https://files.example.com"}
    assert plan(named, tmp_path).url_base == "https://files.example.com"
