"""The gRPC channels to both services, and what every call carries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import grpc

from sonichaos_client.addresses import Addresses
from sonichaos_client.credentials import CallMetadata, Credentials
from sonichaos_client.endpoint import Endpoint
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import ConnectionSettingsError, Metadata, SonichaosError, from_rpc_error
from sonichaos_client.options import channel_options
from sonichaos_client.retry import RetryPolicy

SERVICES = (OwningService.RENDER, OwningService.SEPARATION)
_METADATA_KEY = re.compile(r"[0-9a-z_.-]{1,128}")
_METADATA_VALUE = re.compile(r"[\x20-\x7e]{0,8192}")


class Connections:
    """Opens the channels to both services. PEM files are read once, here.

    Without credentials, those of the environment are used. Raises ConnectionSettingsError if the credentials cannot be used with
    the addresses, or if gRPC cannot send the metadata.
    """

    def __init__(
        self,
        addresses: Addresses,
        credentials: Credentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        retry: RetryPolicy | None = None,
    ) -> None:
        self.addresses = addresses
        self._retry = retry
        self.credentials = Credentials.from_environment() if credentials is None else credentials
        self._metadata = tuple(metadata)
        self._endpoints = {service: Endpoint.parse(addresses.of(service)) for service in SERVICES}
        _check_metadata(self._metadata)
        _check(addresses, self._endpoints, self.credentials)
        encrypted = [service for service, endpoint in self._endpoints.items() if endpoint.is_tls]
        self._tls = dict.fromkeys(encrypted, _tls(self.credentials)) if encrypted else {}

    def open(self, service: OwningService) -> grpc.Channel:
        """A channel for blocking calls."""
        target, options = self._endpoints[service].target, channel_options(self.addresses.of(service), self._retry)
        if service in self._tls:
            return grpc.secure_channel(target, self._tls[service], options=options)
        return grpc.insecure_channel(target, options=options)

    def open_aio(self, service: OwningService) -> grpc.aio.Channel:
        """A channel of the running event loop."""
        target, options = self._endpoints[service].target, channel_options(self.addresses.of(service), self._retry)
        if service in self._tls:
            return grpc.aio.secure_channel(target, self._tls[service], options=options)
        return grpc.aio.insecure_channel(target, options=options)

    @property
    def metadata_may_block(self) -> bool:
        """Whether `call_metadata` may take long, because a function of the caller returns its tokens."""
        return callable(self.credentials.token)

    def call_metadata(self, service: OwningService) -> CallMetadata:
        """The metadata of the next call. Raises ConnectionSettingsError if the key or token cannot be read or is not one."""
        return self.credentials.call_metadata() + self.routing(service) + self._metadata

    def routing(self, service: OwningService) -> CallMetadata:
        """What tells a proxy in front of both services (docker/envoy.yaml) which of them is meant: both serve JobsService."""
        is_proxy = self.addresses.render == self.addresses.separation
        return (("sonichaos-service", service.name.lower()),) if is_proxy else ()

    def error_of(self, error: grpc.RpcError, service: OwningService) -> SonichaosError:
        """The client's error for gRPC's."""
        return from_rpc_error(
            error.code(),
            error.details() or "",
            cast("Metadata", error.trailing_metadata() or ()),
            service=service.service_name,
            address=self.addresses.of(service),
        )


def _check_metadata(metadata: CallMetadata) -> None:
    """Fails where gRPC would refuse each call, and where the client sets the value itself."""
    for key, value in metadata:
        if not _METADATA_KEY.fullmatch(key) or key.endswith("-bin") or key.startswith("grpc-"):
            raise ConnectionSettingsError(
                "A metadata key must have 1 to 128 of a-z, 0-9, _, . and -, without grpc- in front or -bin at the end, "
                f"got {key!r}."
            )
        if key == "authorization":
            raise ConnectionSettingsError("Pass an API key or a token as Credentials, not as metadata 'authorization'.")
        if not _METADATA_VALUE.fullmatch(value):
            raise ConnectionSettingsError(f"The metadata {key} must be at most 8192 printable ASCII characters.")


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
