"""What ``sonichaos up --web`` needs before anything starts: the built page, its address, certificate and callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import click

from hostctl.installation import Installation
from hostctl.web.bridge import GrpcWebBridge
from hostctl.web.guard import HostGuard
from hostctl.web.page import Page, PageMissing
from hostctl.web.readiness import Readiness
from hostctl.web.server import WebServer
from servicekit.access.gatekeeper import LocalTrust
from servicekit.certificates import open_server_certificate
from servicekit.clock import SystemClock
from servicekit.host_settings import HostSettings
from servicekit.rpc.endpoints import check_listen_address, is_local_address, split_addresses
from servicekit.settings import SettingsError
from servicekit.tls import CertificateFiles, https_context

_REFRESH_S = 1.0
_MTLS = ("SONICHAOS_RENDER_MTLS_LISTEN", "SONICHAOS_SEPARATION_MTLS_LISTEN")


class _CannotServe(click.ClickException):
    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class WebPlan:
    """The page's server, not started."""

    installation: Installation
    host: str
    port: int
    page: Page
    certificate: CertificateFiles | None
    trust: LocalTrust
    file_origins: tuple[str, ...]

    @asynccontextmanager
    async def serving(self, readiness: Readiness) -> AsyncIterator[None]:
        """Serve until the end of the block. Raises click.ClickException if it cannot listen."""
        tls = None if self.certificate is None else https_context(self.certificate)
        bridge = GrpcWebBridge(
            render_address=self.installation.render_socket,
            separation_address=self.installation.separation_socket,
            trust=self.trust,
        )
        server = WebServer(
            host=self.host.strip("[]"),
            port=self.port,
            tls=tls,
            page=self.page,
            bridge=bridge,
            readiness=readiness,
            guard=HostGuard(self.host, self.installation.web_names),
            file_origins=self.file_origins,
        )
        async with AsyncExitStack() as resources:
            await resources.enter_async_context(bridge)
            try:
                await resources.enter_async_context(server)
            except OSError as error:  # taken since the addresses were checked
                raise click.ClickException(f"Cannot listen on {self.host}:{self.port}: {error.strerror}.") from error
            resources.callback(asyncio.create_task(_refresh(self.certificate)).cancel)
            yield


def plan_web(installation: Installation, settings: HostSettings, *, insecure: bool) -> WebPlan:
    """The plan for an installation that has a page. Raises click.ClickException where it cannot be served."""
    if installation.web is None:
        raise ValueError("the installation must have an address for the page")
    address = installation.web.address
    try:
        page = Page.load()
        if installation.web.is_unix:
            raise SettingsError(f"SONICHAOS_WEB_LISTEN must be HOST:PORT, got {address}")
        check_listen_address(address, tls=installation.tls, insecure=insecure)
        certificate = open_server_certificate(settings)
        file_origins = _file_origins(installation, settings)
    except (PageMissing, ValueError) as error:
        raise _CannotServe(str(error)) from error
    host, _, port = address.rpartition(":")
    return WebPlan(
        installation=installation,
        host=host,
        port=int(port),
        page=page,
        certificate=certificate,
        trust=LocalTrust(
            loopback=not settings.identify_local_callers and all(map(is_local_address, _listens(installation))),
            everyone=insecure,
        ),
        file_origins=file_origins,
    )


def _listens(installation: Installation) -> list[str]:
    """The addresses that decide whether callers on this machine are trusted, as they do for each service: the page's too."""
    certificates = [part for name in _MTLS for part in split_addresses(installation.environ.get(name, ""))]
    own = [installation.web] if installation.web is not None else []
    return [one.address for one in (*installation.render, *installation.separation, *own)] + certificates


def _file_origins(installation: Installation, settings: HostSettings) -> tuple[str, ...]:
    """Where signed URLs lead to. Raises `SettingsError` and ValueError."""
    if settings.store == "folder":
        return (_origin(installation.url_base),)
    from servicekit.installation import s3_store  # loads all that a service opens

    # As signed, because some buckets have host names of their own.
    return (_origin(s3_store(settings, SystemClock()).signed_url("bounce.wav", ttl_s=60).url),)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def _refresh(certificate: CertificateFiles | None) -> None:
    """Read changed certificate files again."""
    while certificate is not None:
        await asyncio.sleep(_REFRESH_S)
        await asyncio.to_thread(certificate.refresh)
