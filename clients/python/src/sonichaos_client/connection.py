"""The gRPC channels to both services."""

from __future__ import annotations

import grpc

from sonichaos_client.credentials import Credentials
from sonichaos_client.endpoint import Endpoint
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import ConnectionSettingsError
from sonichaos_client.options import Addresses, channel_options

_SERVICES = (OwningService.RENDER, OwningService.SEPARATION)


class Connections:
    """Opens the channels to both services. PEM files are read once, here.

    Raises ConnectionSettingsError if the credentials cannot be used with the addresses.
    """

    def __init__(self, addresses: Addresses, credentials: Credentials) -> None:
        self._addresses = addresses
        self._endpoints = {service: Endpoint.parse(addresses.of(service)) for service in _SERVICES}
        _check(addresses, self._endpoints, credentials)
        encrypted = [service for service, endpoint in self._endpoints.items() if endpoint.is_tls]
        self._tls = dict.fromkeys(encrypted, _tls(credentials)) if encrypted else {}

    def open(self, service: OwningService) -> grpc.Channel:
        """A channel for blocking calls."""
        target, options = self._endpoints[service].target, channel_options(self._addresses.of(service))
        if service in self._tls:
            return grpc.secure_channel(target, self._tls[service], options=options)
        return grpc.insecure_channel(target, options=options)

    def open_aio(self, service: OwningService) -> grpc.aio.Channel:
        """A channel of the running event loop."""
        target, options = self._endpoints[service].target, channel_options(self._addresses.of(service))
        if service in self._tls:
            return grpc.aio.secure_channel(target, self._tls[service], options=options)
        return grpc.aio.insecure_channel(target, options=options)


def _check(addresses: Addresses, endpoints: dict[OwningService, Endpoint], credentials: Credentials) -> None:
    for service, endpoint in endpoints.items():
        exposed = not (endpoint.is_tls or endpoint.is_local)
        if exposed and credentials.has_bearer and not credentials.allow_plaintext_credentials:
            raise ConnectionSettingsError(
                f"{addresses.of(service)} is plain text, so anyone on the way could read the key or token. Write "
                f"https://{endpoint.target} if {service.service_name} uses TLS; otherwise pass "
                "--allow-plaintext-credentials (allow_plaintext_credentials) to send it all the same."
            )
    if credentials.certificate is not None and not any(endpoint.is_tls for endpoint in endpoints.values()):
        shown = " and ".join(addresses.of(service) for service in endpoints)
        raise ConnectionSettingsError(f"A client certificate needs an address https://host:port, got {shown}.")


def _tls(credentials: Credentials) -> grpc.ChannelCredentials:
    certificate, private_key = credentials.certificate_pem() or (None, None)
    return grpc.ssl_channel_credentials(credentials.ca_pem(), private_key, certificate)
