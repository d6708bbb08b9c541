"""The channel from one service to the other: over a Unix socket, over loopback, or over mutual TLS between hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import grpc

from servicekit.rpc.endpoints import LOCAL_OPTIONS, is_local_address
from servicekit.settings import SettingsError
from servicekit.tls import CertificateFiles, LoadedCertificate

_TLS = "https://"
_OPTIONS = (("grpc.keepalive_time_ms", 60_000), ("grpc.keepalive_timeout_ms", 20_000))
"""A host that is gone ends no connection by itself, and a separation may have no deadline."""


def uses_tls(address: str) -> bool:
    """Whether a peer's address asks for TLS: ``https://host:port``."""
    return address.startswith(_TLS)


def open_peer_channel(address: str, certificate: CertificateFiles | None, *, insecure: bool) -> grpc.Channel:
    """A channel to the peer at ``unix:/path``, ``host:port`` or ``https://host:port``.

    Over TLS this service presents ``certificate``, whose authorities check the peer's (None: the public ones that gRPC has).
    Plain text beyond this host needs ``insecure``. Raises :class:`SettingsError`.
    """
    if not uses_tls(address):
        if not insecure and not is_local_address(address):
            raise SettingsError(
                f"SONICHAOS_SEPARATION_ADDRESS is on another host and must use TLS: https://{address}. Plain text to it needs "
                "--insecure (SONICHAOS_INSECURE=1)"
            )
        return grpc.insecure_channel(address, options=LOCAL_OPTIONS if is_local_address(address) else None)
    target = address.removeprefix(_TLS).rstrip("/")
    if "/" in target or not target.rpartition(":")[2].isdecimal():
        raise SettingsError(f"SONICHAOS_SEPARATION_ADDRESS must be https://HOST:PORT, got {address!r}")
    if certificate is None:
        raise SettingsError(
            f"SONICHAOS_SEPARATION_ADDRESS={address} needs a client certificate: set SONICHAOS_PEER_CERTIFICATE and "
            "SONICHAOS_PEER_KEY, or SONICHAOS_TLS_CERTIFICATE and SONICHAOS_TLS_KEY"
        )
    return _RenewedChannel(
        lambda loaded: grpc.secure_channel(target, _credentials(loaded), options=_OPTIONS), certificate
    )


def _credentials(loaded: LoadedCertificate) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=loaded.authorities_pem, private_key=loaded.key_pem, certificate_chain=loaded.chain_pem
    )


class _RenewedChannel(grpc.Channel):
    """A channel that is connected anew with each new certificate.

    Stubs use the channel that is current when they are made, so a stub is made for each call. Running calls hold the channel
    that they began with; its connection ends with the last of them.
    """

    def __init__(self, connect: Callable[[LoadedCertificate], grpc.Channel], certificate: CertificateFiles) -> None:
        self._connect = connect
        self._current = connect(certificate.current)
        certificate.on_change(self._renew)

    def _renew(self, loaded: LoadedCertificate) -> None:
        self._current = self._connect(loaded)

    def subscribe(
        self,
        callback: Callable[[grpc.ChannelConnectivity], None],
        try_to_connect: bool = False,  # noqa: FBT001, FBT002  the signature of grpc.Channel
    ) -> None:
        """Report the state of the current channel."""
        self._current.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Stop reporting."""
        self._current.unsubscribe(callback)

    def unary_unary(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """As of grpc.Channel, on the current channel."""
        return self._current.unary_unary(*args, **options)

    def unary_stream(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """As of grpc.Channel, on the current channel."""
        return self._current.unary_stream(*args, **options)

    def stream_unary(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """As of grpc.Channel, on the current channel."""
        return self._current.stream_unary(*args, **options)

    def stream_stream(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """As of grpc.Channel, on the current channel."""
        return self._current.stream_stream(*args, **options)

    def close(self) -> None:
        """Close the current channel and cancel its calls."""
        self._current.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
