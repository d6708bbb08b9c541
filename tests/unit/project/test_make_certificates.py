"""docker/make_certificates.sh, with the real openssl."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from servicekit.tls import CertificateFiles
from tests.conftest import require_debian
from tests.support import documented_shell

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the script has run with its default hosts."""
    made = tmp_path / "certificates"
    run(made)
    return made


def run(folder: Path, *hosts: str) -> str:
    """What the script prints."""
    require_debian("openssl", "openssl")
    command = [ROOT / "docker" / "make_certificates.sh", folder, *hosts]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def verify(certificate: Path, authority: Path, *options: str) -> str:
    """What openssl says about a certificate."""
    command = ["openssl", "verify", "-x509_strict", "-CAfile", authority, *options, certificate]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("host", ["localhost", "render-service", "separation-service"])
def test_the_server_certificate_is_for_its_hosts(folder: Path, host: str) -> None:
    """Callers who trust client/ca.pem accept the server at each of its names and at loopback, and at no other name."""
    server, trusted = folder / "server" / "certificate.pem", folder / "client" / "ca.pem"
    said = verify(server, trusted, "-purpose", "sslserver", "-verify_hostname", host)
    assert said.endswith(": OK\n"), said
    assert verify(server, trusted, "-verify_ip", "127.0.0.1").endswith(": OK\n")
    assert "hostname mismatch" in verify(server, trusted, "-verify_hostname", "elsewhere.example").lower()


def test_purposes_and_authorities_are_apart(folder: Path) -> None:
    """The client's certificate is for clients and of another authority, so that no server can call as a client, nor the reverse."""
    server, client = (folder / kind / "certificate.pem" for kind in ("server", "client"))
    assert verify(client, folder / "server" / "client-ca.pem", "-purpose", "sslclient").endswith(": OK\n")
    assert "error" in verify(client, folder / "server" / "client-ca.pem", "-purpose", "sslserver")
    assert "error" in verify(client, folder / "client" / "ca.pem")
    assert "error" in verify(server, folder / "server" / "client-ca.pem")
    subject = x509.load_pem_x509_certificate(client.read_bytes()).subject.rfc4514_string()
    assert subject == "CN=developer,O=SONICHAOS development"


def test_a_service_and_a_caller_can_use_the_files(folder: Path) -> None:
    """The service accepts the files of server/, and both sides shake hands with mutual TLS."""
    server_files, client_files = folder / "server", folder / "client"
    files = CertificateFiles(server_files / "certificate.pem", server_files / "key.pem", server_files / "client-ca.pem")
    assert files.has_authorities
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server_files / "client-ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(server_files / "certificate.pem", server_files / "key.pem")
    client = ssl.create_default_context(cafile=client_files / "ca.pem")
    client.load_cert_chain(client_files / "certificate.pem", client_files / "key.pem")
    assert _shake_hands(client, server)["subject"] == (
        (("organizationName", "SONICHAOS development"),),
        (("commonName", "developer"),),
    )


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, object]:
    """The client's certificate as the server sees it, after a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    for _ in range(10):
        for end in tuple(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    assert not waiting
    return theirs.getpeercert() or {}


def test_keys_are_private(folder: Path) -> None:
    """Only their owner reads the keys, and the services' group the server's where root owns it. The authorities' stay elsewhere."""
    for key in folder.rglob("*key.pem"):
        mode = stat.S_IMODE(key.stat().st_mode)
        may_share = key.parent.name == "server" and os.geteuid() == 0
        assert mode == (0o640 if may_share else 0o600), key
    assert {path.name for path in (folder / "server").iterdir()} == {"certificate.pem", "client-ca.pem", "key.pem"}


def test_another_run_renews_under_the_same_authorities(folder: Path) -> None:
    """The second run makes new keys and certificates for the hosts it is given; callers go on trusting what they trust."""
    trusted, certificate = folder / "client" / "ca.pem", folder / "server" / "certificate.pem"
    before = trusted.read_bytes(), certificate.read_bytes()
    assert "music.example.com 192.0.2.7" in run(folder, "music.example.com", "192.0.2.7")
    assert trusted.read_bytes() == before[0]
    assert certificate.read_bytes() != before[1]
    for check in (("-verify_hostname", "music.example.com"), ("-verify_ip", "192.0.2.7")):
        assert verify(certificate, trusted, *check).endswith(": OK\n")
    assert [path.name for path in sorted(folder.iterdir())] == ["authorities", "client", "server"]


def test_the_commands_of_the_documentation_prepare_the_containers(tmp_path: Path) -> None:
    """The settings to change are where `docker compose` reads them, and the certificates in the folder that they name."""
    require_debian("openssl", "openssl")
    (prepare,) = documented_shell.documented("docs/deployment.md", "tests/unit/project/test_make_certificates.py")
    folder = documented_shell.checkout(tmp_path, "docker")
    documented_shell.run(prepare, folder, documented_shell.environment(tmp_path))
    settings = dict(
        line.split("=", 1)
        for line in (folder / "docker" / ".env").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    named = folder / "docker" / settings["CERTIFICATES"]  # compose resolves it against the folder of compose.yaml
    server = verify(named / "certificate.pem", folder / "docker" / "certificates" / "client" / "ca.pem")
    assert server.endswith(": OK\n"), server
    assert {path.name for path in named.iterdir()} == {"certificate.pem", "client-ca.pem", "key.pem"}
