"""Certificate files: what is refused at start, and what a change of the files does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from servicekit.tls import CertificateFiles, TlsError
from tests.support.certificates import Authority, Certificate, self_signed


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority whose files are in the test's folder."""
    return Authority.create(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Certificate:
    """A server certificate."""
    return authority.server()


def opened(certificate: Certificate, ca: Path | None = None) -> CertificateFiles:
    """The files, as a service opens them."""
    return CertificateFiles(certificate.certificate, certificate.key, ca)


def test_unchanged_files_are_not_read_again(server: Certificate) -> None:
    """The certificate stays the same object, which gRPC takes as unchanged."""
    files = opened(server)
    first = files.current
    assert not files.refresh()
    assert files.current is first
    assert first.subject == "CN=server"


def test_a_rotated_certificate_takes_effect(server: Certificate, authority: Authority) -> None:
    """Listeners hear of it once."""
    files, heard = opened(server), []
    files.on_change(lambda loaded: heard.append(loaded.subject))
    server.replace_with(authority.server("renewed"))
    assert files.refresh()
    assert not files.refresh()
    assert heard == [files.current.subject] == ["CN=renewed"]


def test_a_folder_that_a_link_replaces_takes_effect(tmp_path: Path) -> None:
    """Kubernetes mounts a secret as links into a folder and replaces the link to the folder."""
    for name in ("old", "new"):
        folder = tmp_path / name
        folder.mkdir()
        issued = Authority.create(folder).server(name)
        issued.certificate.rename(folder / "tls.crt")
        issued.key.rename(folder / "tls.key")
    data = tmp_path / "..data"
    data.symlink_to("old")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    files = CertificateFiles(tmp_path / "tls.crt", tmp_path / "tls.key")
    assert files.current.subject == "CN=old"
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").replace(data)
    assert files.refresh()
    assert files.current.subject == "CN=new"


def test_files_that_cannot_be_used_change_nothing(
    server: Certificate, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a certificate, the key of another, no file: the old certificate stays until both files match again."""
    files = opened(server)
    first, good, other = files.current, server.certificate_pem, authority.server("other")
    server.certificate.write_bytes(good[: len(good) // 2])
    assert not files.refresh()
    server.certificate.write_bytes(other.certificate_pem)  # its key is not there yet
    assert not files.refresh()
    server.certificate.unlink()
    assert not files.refresh()
    assert files.current is first
    server.replace_with(other)
    assert files.refresh()
    assert files.current.subject == "CN=other"
    assert capsys.readouterr().out.count("cannot be used") == 3


def test_a_key_that_others_can_read_is_refused(server: Certificate) -> None:
    """At start; and later it does not replace the key in use."""
    server.key.chmod(0o644)
    with pytest.raises(TlsError, match=r"other users can read the private key .*0644.*chmod 600"):
        opened(server)
    server.key.chmod(0o600)
    assert opened(server).current.subject == "CN=server"


def test_what_is_refused_at_start_is_named(server: Certificate, authority: Authority, tmp_path: Path) -> None:
    """The file that is missing, of the wrong kind, or does not match."""
    missing = tmp_path / "no.pem"
    with pytest.raises(TlsError, match=r"cannot read .*no\.pem"):
        CertificateFiles(missing, server.key)
    with pytest.raises(TlsError, match=r"cannot read .*no\.pem"):
        CertificateFiles(server.certificate, missing)
    with pytest.raises(TlsError, match="must hold at least one certificate"):
        CertificateFiles(server.key, server.key)
    with pytest.raises(TlsError, match="is not the key of the first certificate"):
        CertificateFiles(server.certificate, authority.server("other").key)
    with pytest.raises(TlsError, match="must hold at least one certificate"):
        opened(server, ca=server.key)


def test_a_certificate_that_tls_cannot_use_is_refused(tmp_path: Path) -> None:
    """A key of 1024 bits: it matches its certificate, and no handshake would succeed."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  refused
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=90))
    weak = Certificate(certificate=tmp_path / "weak.pem", key=tmp_path / "weak.key")
    weak.certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    weak.key.touch(mode=0o600)
    weak.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(TlsError, match=r"TLS cannot use .*weak\.pem: EE_KEY_TOO_SMALL"):
        opened(weak)


def test_a_key_with_a_password_is_refused(server: Certificate) -> None:
    """No one is there to type it."""
    key = serialization.load_pem_private_key(server.key_pem, password=None)
    server.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsError, match="without a password"):
        opened(server)


@pytest.mark.parametrize(("days", "expected"), [(60, ""), (13, "expires soon"), (-1, "has expired")])
def test_a_certificate_near_its_end_is_logged_once_a_day(
    authority: Authority, capsys: pytest.CaptureFixture[str], days: float, expected: str
) -> None:
    """From 14 days before."""
    now = datetime.now(UTC)
    issued = authority.server(days=days)
    files = CertificateFiles(issued.certificate, issued.key, now=lambda: now)
    files.refresh()
    logged = capsys.readouterr().out
    assert logged.count("the certificate") == bool(expected)
    assert expected in logged
    now += timedelta(days=1)
    files.refresh()
    assert (expected in capsys.readouterr().out) is True


def test_a_self_signed_certificate_can_be_served(tmp_path: Path) -> None:
    """Clients decide whom they trust."""
    issued = self_signed(tmp_path)
    assert opened(issued).current.expires_at == issued.x509.not_valid_after_utc
