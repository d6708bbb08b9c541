"""Certificates for TLS in files. They are read again when the files change, so that a rotation needs no restart."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from servicekit.logs import logger
from servicekit.settings import SettingsError

EXPIRY_WARNING = timedelta(days=14)
_WARNING_INTERVAL = timedelta(days=1)
_MAX_BYTES = 1 << 20
_ENCODING = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
_log = logger(__name__)
_FileState = tuple[int, ...]


class TlsError(SettingsError):
    """Certificate files that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, kw_only=True)
class LoadedCertificate:
    """A certificate chain and its private key, which match each other, and authorities, as PEM."""

    chain_pem: bytes
    key_pem: bytes
    authorities_pem: bytes | None
    subject: str
    expires_at: datetime


class CertificateFiles:
    """A certificate chain, its private key and, where a peer's certificate is to be checked, the authorities that sign those.

    `current` holds what was read last. `refresh` reads changed files again, also those that a symbolic link now finds elsewhere,
    as Kubernetes replaces them. Files that cannot be used (half written, key of another certificate) change nothing and are
    logged once. Raises :class:`TlsError` where the first reading fails.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        authorities: Path | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._authorities = authorities
        self._now = now
        self._listeners: list[Callable[[LoadedCertificate], None]] = []
        self._warned_at: datetime | None = None
        self._problem = ""
        self._seen = self._state()
        self.current = self._load()
        self._warn_before_expiry()

    @property
    def has_authorities(self) -> bool:
        """Whether peers' certificates can be checked."""
        return self._authorities is not None

    def on_change(self, listener: Callable[[LoadedCertificate], None]) -> None:
        """From now on, call ``listener`` with each new certificate, in the thread of `refresh`."""
        self._listeners.append(listener)

    def refresh(self) -> bool:
        """Read the files again if they have changed; True where a new certificate took effect. For one thread at a time."""
        self._warn_before_expiry()
        state = self._state()
        if state == self._seen and not self._problem:
            return False
        self._seen = state
        try:
            loaded = self._load()
        except TlsError as error:  # tried again each time: they may only have been unreadable for a moment
            if str(error) != self._problem:
                self._problem = str(error)
                _log.warning(
                    "certificate files have changed and cannot be used; the old certificate stays", message=str(error)
                )
            return False
        self._problem = ""
        if loaded == self.current:
            return False
        self.current = loaded
        self._warned_at = None
        _log.info("certificate reloaded", subject=loaded.subject, expires_at=loaded.expires_at.isoformat())
        self._warn_before_expiry()
        for listener in self._listeners:
            listener(loaded)
        return True

    def _paths(self) -> Iterable[Path]:
        return filter(None, (self._certificate, self._key, self._authorities))

    def _state(self) -> tuple[_FileState | None, ...]:
        return tuple(map(_file_state, self._paths()))

    def _load(self) -> LoadedCertificate:
        chain_pem, key_pem = _read(self._certificate), _read_private(self._key)
        leaf = _certificates(chain_pem, self._certificate)[0]
        try:
            key = load_pem_private_key(key_pem, password=None)
            own = key.public_key().public_bytes(*_ENCODING)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise TlsError(f"{self._key} must hold one private key in PEM format without a password: {error}") from None
        if own != leaf.public_key().public_bytes(*_ENCODING):
            raise TlsError(
                f"{self._key} is not the key of the first certificate in {self._certificate}; replace both files"
            )
        authorities_pem = None
        if self._authorities is not None:
            authorities_pem = _read(self._authorities)
            _certificates(authorities_pem, self._authorities)
        loaded = LoadedCertificate(
            chain_pem=chain_pem,
            key_pem=key_pem,
            authorities_pem=authorities_pem,
            subject=leaf.subject.rfc4514_string(),
            expires_at=leaf.not_valid_after_utc,
        )
        try:
            _https_context(loaded)
        except ssl.SSLError as error:  # such as a key that is too short
            raise TlsError(f"TLS cannot use {self._certificate}: {error.reason or error}") from None
        return loaded

    def _warn_before_expiry(self) -> None:
        """Log once a day that the certificate expires within `EXPIRY_WARNING`, or has expired."""
        now, expires_at = self._now(), self.current.expires_at
        if expires_at - now >= EXPIRY_WARNING or (self._warned_at and now - self._warned_at < _WARNING_INTERVAL):
            return
        self._warned_at = now
        what = "the certificate has expired" if expires_at <= now else "the certificate expires soon"
        _log.warning(what, file=str(self._certificate), subject=self.current.subject, expires_at=expires_at.isoformat())


def https_context(files: CertificateFiles) -> ssl.SSLContext:
    """A context for HTTPS servers, TLS 1.2 or newer. Connections use the certificate that is current when they begin."""
    current = _https_context(files.current)

    def replace(loaded: LoadedCertificate) -> None:
        nonlocal current
        current = _https_context(loaded)

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = current

    files.on_change(replace)
    entry = _https_context(files.current)
    entry.sni_callback = choose
    return entry


def _https_context(loaded: LoadedCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The context reads files only. These are the checked bytes: the files on disk may have changed since.
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(loaded.key_pem + b"\n" + loaded.chain_pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    return context


def _file_state(path: Path) -> _FileState | None:
    """Differs after every replacement or change of the file or its mode, or of what a link points to; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise TlsError(f"cannot read {path}: {error.strerror}") from None


def _read_private(path: Path) -> bytes:
    """The bytes of a private key. As for PostgreSQL, no other user may read it: mode 0600, or 0640 where root owns the file."""
    try:
        found = path.stat()
    except OSError as error:
        raise TlsError(f"cannot read {path}: {error.strerror}") from None
    allowed = 0o740 if found.st_uid == 0 else 0o700
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~allowed & 0o777:
        raise TlsError(
            f"other users can read the private key {path} (mode {mode:04o}): chmod 600 it; root may own it with mode 0640"
        )
    return _read(path)


def _certificates(pem: bytes, path: Path) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
        for certificate in found:
            certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TlsError(f"{path} must hold at least one certificate in PEM format: {error}") from None
    return found
