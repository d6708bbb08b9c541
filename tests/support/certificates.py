"""Certificates for tests: authorities, and the certificates and keys that they sign, as PEM files.

All keys are ECDSA P-256. Validity is given in days from now; negative days lie in the past.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS = ("localhost", "127.0.0.1", "::1")
"""Names and addresses that a server certificate is for, unless a test names others."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate (with the chain that a peer needs) and its private key, in files."""

    certificate: Path
    key: Path

    @property
    def certificate_pem(self) -> bytes:
        """The certificate file's bytes."""
        return self.certificate.read_bytes()

    @property
    def key_pem(self) -> bytes:
        """The key file's bytes."""
        return self.key.read_bytes()

    @property
    def x509(self) -> x509.Certificate:
        """The parsed certificate."""
        return x509.load_pem_x509_certificate(self.certificate_pem)

    def replace_with(self, other: Certificate) -> None:
        """Write the other's certificate and key into this one's files, each replaced by a rename, the certificate first."""
        for mine, theirs in ((self.certificate, other.certificate), (self.key, other.key)):
            new = mine.with_suffix(".new")
            new.write_bytes(theirs.read_bytes())
            new.chmod(0o600)
            new.replace(mine)


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority; ``ca`` is its own certificate's file. Certificates are written to ``folder``."""

    folder: Path
    name: str
    ca: Path
    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, folder: Path, name: str = "ca") -> Authority:
        """A new authority, whose certificate is ``{folder}/{name}.pem``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(f"Test authority {name}")
        builder = _builder(subject, subject, key.public_key(), days=3650).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        ca = folder / f"{name}.pem"
        ca.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return cls(folder=folder, name=name, ca=ca, _key=key)

    @property
    def ca_pem(self) -> bytes:
        """The authority's own certificate."""
        return self.ca.read_bytes()

    def server(self, name: str = "server", *, hosts: Sequence[str] = HOSTS, days: float = 365) -> Certificate:
        """A server certificate for ``hosts`` that is valid for ``days``; negative: it expired so many days ago."""
        return self._issue(name, hosts=hosts, uris=(), usage=ExtendedKeyUsageOID.SERVER_AUTH, days=days)

    def client(self, name: str = "client", *, uris: Sequence[str] = (), days: float = 365) -> Certificate:
        """A client certificate with subject ``CN={name}`` and URI names ``uris``, such as SPIFFE ids."""
        return self._issue(name, hosts=(), uris=uris, usage=ExtendedKeyUsageOID.CLIENT_AUTH, days=days)

    def _issue(
        self, name: str, *, hosts: Sequence[str], uris: Sequence[str], usage: x509.ObjectIdentifier, days: float
    ) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(self.ca_pem).subject
        builder = _with_names(_builder(_name(name), issuer, key.public_key(), days=days), hosts, uris)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return _write(self.folder, f"{self.name}-{name}", builder.sign(self._key, hashes.SHA256()), key)


def self_signed(
    folder: Path, name: str = "self-signed", *, hosts: Sequence[str] = HOSTS, days: float = 365
) -> Certificate:
    """A certificate for servers and clients that only itself signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _with_names(_builder(subject, subject, key.public_key(), days=days), hosts, ())
    return _write(folder, name, builder.sign(key, hashes.SHA256()), key)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, days: float
) -> x509.CertificateBuilder:
    end = datetime.now(UTC) + timedelta(days=days)
    start = min(datetime.now(UTC), end) - timedelta(days=30)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _with_names(builder: x509.CertificateBuilder, hosts: Sequence[str], uris: Sequence[str]) -> x509.CertificateBuilder:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=False) if names else builder


def _write(folder: Path, stem: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Certificate:
    """Write ``{stem}.pem`` and ``{stem}.key`` (mode 0600)."""
    files = Certificate(certificate=folder / f"{stem}.pem", key=folder / f"{stem}.key")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
