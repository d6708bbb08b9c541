"""Where a gRPC server listens, and with which security; what may be listened on at all."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import grpc

from servicekit.loopback import is_loopback_host
from servicekit.settings import SettingsError
from servicekit.socket_path import SocketPathError, check_socket_path
from servicekit.tls import CertificateFiles, LoadedCertificate

_UNIX = "unix:"
_ABSTRACT = "unix-abstract:"
LOCAL_OPTIONS = (("grpc.enable_http_proxy", 0),)
"""Of channels in plain text to this host: gRPC would send them to a proxy that the environment names."""


class Security(Enum):
    """How an endpoint protects its connections."""

    PLAIN = auto()
    TLS = auto()
    MUTUAL_TLS = auto()
    """TLS that requires a client certificate."""


@dataclass(frozen=True)
class Endpoint:
    """An address (``host:port`` or ``unix:/path``) with its security. ``certificate`` is the server's; PLAIN has none."""

    address: str
    security: Security = Security.PLAIN
    certificate: CertificateFiles | None = None

    @property
    def socket(self) -> Path | None:
        """The path of a Unix socket; None for TCP."""
        return socket_of(self.address)

    @property
    def is_local(self) -> bool:
        """Whether other machines cannot reach it."""
        return is_local_address(self.address)

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """GRPC's credentials, which follow the certificate's files; None where it is PLAIN."""
        if self.certificate is None:
            return None
        fetch = _CertificateFetcher(self.certificate)
        first = fetch.configuration(self.certificate.current)
        mutual = self.security is Security.MUTUAL_TLS
        return grpc.dynamic_ssl_server_credentials(
            first,
            fetch,  # type: ignore[arg-type]  # None means unchanged, which the type leaves out
            require_client_authentication=mutual,
        )


class _CertificateFetcher:
    """Asked by gRPC at each new connection; answers None while the certificate is the one that it answered last."""

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self._answered = files.current
        self._lock = threading.Lock()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        current = self._files.current
        with self._lock:
            if current is self._answered:
                return None
            self._answered = current
        return self.configuration(current)

    @staticmethod
    def configuration(loaded: LoadedCertificate) -> grpc.ServerCertificateConfiguration:
        """The certificate in gRPC's form."""
        return grpc.ssl_server_certificate_configuration(
            [(loaded.key_pem, loaded.chain_pem)], root_certificates=loaded.authorities_pem
        )


def plan_endpoints(
    *,
    socket: Path,
    listen: Sequence[str],
    mtls_listen: Sequence[str],
    certificate: CertificateFiles | None,
    insecure: bool,
) -> tuple[Endpoint, ...]:
    """The endpoints of a service: its Unix socket, then ``listen``, then ``mtls_listen``, where a client certificate is required.

    With a certificate every TCP address uses TLS, loopback too. Without one only loopback is allowed, unless ``insecure``.
    Raises :class:`SettingsError` for an address that is not allowed.
    """
    try:
        check_socket_path(socket)
    except SocketPathError as error:
        raise SettingsError(str(error)) from None
    if mtls_listen and (certificate is None or not certificate.has_authorities):
        raise SettingsError(
            f"{mtls_listen[0]} requires client certificates: set SONICHAOS_TLS_CERTIFICATE, SONICHAOS_TLS_KEY and "
            "SONICHAOS_TLS_CLIENT_CA, or use the setting without MTLS"
        )
    endpoints = [Endpoint(f"{_UNIX}{socket}")]
    for address in listen:
        check_listen_address(address, tls=certificate is not None, insecure=insecure)
        if is_unix(address) or certificate is None:
            endpoints.append(Endpoint(address))
        else:
            endpoints.append(Endpoint(address, Security.TLS, certificate))
    for address in mtls_listen:
        if is_unix(address):
            raise SettingsError(f"{address} is a Unix socket, which has no client certificates: use HOST:PORT")
        if address in listen:
            raise SettingsError(f"{address} is listened on with and without client certificates: use two ports")
        endpoints.append(Endpoint(address, Security.MUTUAL_TLS, certificate))
    return tuple({endpoint.address: endpoint for endpoint in endpoints}.values())


def split_addresses(setting: str) -> tuple[str, ...]:
    """The addresses of a setting, which commas separate."""
    return tuple(filter(None, map(str.strip, setting.split(","))))


def check_listen_address(address: str, *, tls: bool = False, insecure: bool) -> None:
    """Refuse an address that other machines (or, for an abstract socket, other users) reach, unless it has TLS or ``insecure``.

    Beyond loopback callers are identified, and their credentials must not be readable on the network. Raises
    :class:`SettingsError`.
    """
    if insecure or is_local_address(address) or (tls and not address.startswith(_ABSTRACT)):
        return
    if address.startswith(_ABSTRACT):
        raise SettingsError(
            f"{address} can be reached by every user of this machine: use unix:/path, or pass --insecure"
        )
    raise SettingsError(
        f"{address} is reachable from other machines and needs TLS: set SONICHAOS_TLS_CERTIFICATE and SONICHAOS_TLS_KEY, listen "
        "on 127.0.0.1 or a Unix socket, or pass --insecure (SONICHAOS_INSECURE=1) behind a proxy that knows its callers"
    )


def is_unix(address: str) -> bool:
    """Whether the address is a Unix socket."""
    return address.startswith((_UNIX, _ABSTRACT))


def socket_of(address: str) -> Path | None:
    """The path of ``unix:/path`` or ``unix:///path``; None for another address."""
    if not address.startswith(_UNIX):
        return None
    path = address.removeprefix(_UNIX)
    return Path(path.removeprefix("//") if path.startswith("//") else path)


def is_local_address(address: str) -> bool:
    """Whether the address is loopback or a Unix socket in a folder, so that only this machine reaches it."""
    return address.startswith(_UNIX) or is_loopback(address)


def is_loopback(address: str) -> bool:
    """Whether ``host:port`` is reachable from this machine only."""
    return is_loopback_host(address.rpartition(":")[0])
