"""Who calls, and which servers the caller trusts."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sonichaos_client.errors import ConnectionSettingsError
from sonichaos_client.fields import StrPath

API_KEY = "SONICHAOS_API_KEY"
API_KEY_FILE = "SONICHAOS_API_KEY_FILE"
TOKEN_FILE = "SONICHAOS_TOKEN_FILE"  # noqa: S105 - the name of a variable
CA = "SONICHAOS_CA"
CERTIFICATE = "SONICHAOS_CERTIFICATE"
KEY = "SONICHAOS_KEY"

_API_KEY_PREFIX = "sonichaos_"
_SECRET = re.compile(r"sonichaos_[a-z2-7]{12}_|eyJ")
_BEARER = re.compile(r"[\x21-\x7e]{1,8192}")  # what a metadata value may contain, without spaces

CallMetadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """How a client identifies itself, and which servers it trusts. Without any argument: a caller without identity.

    ``ca`` is the certificate authority of the services, in a PEM file or as PEM bytes; None trusts the public authorities.
    ``certificate`` (with its chain) and ``private_key`` are a client certificate, likewise. ``api_key`` is a key of
    ``sonichaos keys create``, as a str or, as a Path, in a file. ``token`` is a JSON Web Token: a str, a file (as a Path), or a
    function that returns one. At most one of ``api_key`` and ``token`` is given.

    Files of keys and tokens are read before each call, so a new one is used at once; the function is asked before each call too
    and should cache. PEM files are read when the client is created. A key or token is sent only over TLS, Unix sockets and
    loopback, unless ``allow_plaintext_credentials`` is set.

    Raises ConnectionSettingsError for arguments that do not fit together.
    """

    ca: StrPath | bytes | None = None
    certificate: StrPath | bytes | None = None
    private_key: StrPath | bytes | None = field(default=None, repr=False)
    api_key: str | Path | None = field(default=None, repr=False)
    token: str | Path | Callable[[], str] | None = field(default=None, repr=False)
    allow_plaintext_credentials: bool = False

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.private_key is None):
            given, missing = (
                ("certificate", "private key") if self.private_key is None else ("private key", "certificate")
            )
            raise ConnectionSettingsError(
                f"A client certificate needs its private key: got a {given} without a {missing}."
            )
        if self.api_key is not None and self.token is not None:
            raise ConnectionSettingsError("Expected an API key or a token, got both. Choose one.")
        for value, check in ((self.api_key, _check_api_key), (self.token, _check_token)):
            if isinstance(value, str):
                check(value)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Credentials:
        """The credentials that the environment names; empty variables are ignored.

        ``SONICHAOS_API_KEY``, ``SONICHAOS_API_KEY_FILE`` or ``SONICHAOS_TOKEN_FILE``; ``SONICHAOS_CA``;
        ``SONICHAOS_CERTIFICATE`` with ``SONICHAOS_KEY``. Raises ConnectionSettingsError if they do not fit together.
        """
        named = [name for name in (API_KEY, API_KEY_FILE, TOKEN_FILE) if environ.get(name)]
        if len(named) > 1:
            raise ConnectionSettingsError(f"Expected one key or token, got {' and '.join(named)}. Unset all but one.")
        key_file, token_file = environ.get(API_KEY_FILE), environ.get(TOKEN_FILE)
        return cls(
            ca=environ.get(CA) or None,
            certificate=environ.get(CERTIFICATE) or None,
            private_key=environ.get(KEY) or None,
            api_key=Path(key_file) if key_file else environ.get(API_KEY) or None,
            token=Path(token_file) if token_file else None,
        )

    @property
    def has_bearer(self) -> bool:
        """Whether calls carry a key or a token."""
        return self.api_key is not None or self.token is not None

    def call_metadata(self) -> CallMetadata:
        """The metadata of the next call. May block on a file or in the function that returns tokens.

        Raises ConnectionSettingsError if the key or token cannot be read or is not one.
        """
        if self.api_key is not None:
            text = _secret(self.api_key, "API key")
            _check_api_key(text, f" in {self.api_key}" if isinstance(self.api_key, Path) else "")
        elif self.token is not None:
            text = self.token() if callable(self.token) else _secret(self.token, "token")
            _check_token(text)
        else:
            return ()
        return (("authorization", f"Bearer {text}"),)

    def ca_pem(self) -> bytes | None:
        """The certificate authorities as PEM; None for the public ones. Raises ConnectionSettingsError."""
        pem = _pem(self.ca, "certificate authority (ca)")
        if pem is not None:
            _check_authorities(pem, self.ca)
        return pem

    def certificate_pem(self) -> tuple[bytes, bytes] | None:
        """The client certificate with its chain, and its private key, as PEM. Raises ConnectionSettingsError."""
        certificate = _pem(self.certificate, "client certificate")
        private_key = _pem(self.private_key, "private key")
        return None if certificate is None or private_key is None else (certificate, private_key)

    def https_context(self) -> ssl.SSLContext:
        """For downloads: trusts ``ca`` and the public authorities, because a store may have a certificate of another one.

        The bytes are checked against a digest that came from the service. Raises ConnectionSettingsError.
        """
        context = ssl.create_default_context()
        pem = self.ca_pem()
        if pem is not None:
            context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
        return context


def _secret(value: str | Path, what: str) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        raise ConnectionSettingsError(f"{value}: expected an {what}, got other bytes than ASCII text.") from None
    except OSError as error:
        if _SECRET.match(str(value)):  # neither in the message nor in its cause, which names the file
            raise ConnectionSettingsError(
                f"Expected the name of an {what} file, got what looks like a secret."
            ) from None
        raise ConnectionSettingsError(f"Cannot read the {what} file {value}: {error.strerror}.") from error


def _check_api_key(text: str, place: str = "") -> None:
    """The messages never contain the key; ``place`` says where it was read."""
    if not (_BEARER.fullmatch(text) and text.startswith(_API_KEY_PREFIX)):
        raise ConnectionSettingsError(
            f"Expected an API key of 'sonichaos keys create'{place}, which starts with {_API_KEY_PREFIX}, got "
            f"{len(text)} other characters. Pass a JSON Web Token with --token-file or Credentials.token."
        )


def _check_token(text: str) -> None:
    if text.startswith(_API_KEY_PREFIX):
        raise ConnectionSettingsError("Expected a JSON Web Token, got an API key. Pass it as an API key.")
    if not _BEARER.fullmatch(text):
        raise ConnectionSettingsError(
            f"A token must be 1 to 8192 printable ASCII characters without spaces, got {len(text)} characters."
        )


def _pem(value: StrPath | bytes | None, what: str) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    try:
        return Path(value).read_bytes()
    except OSError as error:
        raise ConnectionSettingsError(f"Cannot read the {what} file {value}: {error.strerror}.") from error


def _check_authorities(pem: bytes, source: StrPath | bytes | None) -> None:
    """A file that gRPC cannot parse would be reported only at the first call, and without its name."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError):
        name = "ca" if isinstance(source, bytes) else str(source)
        raise ConnectionSettingsError(
            f"{name}: expected certificates in PEM form, got {len(pem)} other bytes."
        ) from None
