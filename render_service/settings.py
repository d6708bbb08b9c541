"""The settings of render_service, in addition to those of the host."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from servicekit.host_settings import HostSettings


class RenderSettings(HostSettings):
    """Each field is read from the environment variable ``SONICHAOS_`` plus its name in capitals."""

    render_listen: str = Field(
        "127.0.0.1:50071",
        description="Addresses that render_service listens on, separated by commas: HOST:PORT or unix:/path. Beyond loopback they "
        "need tls_certificate.",
    )
    render_mtls_listen: str = Field(
        "",
        description="Addresses of render_service on which callers must present a client certificate of tls_client_ca: HOST:PORT, "
        "separated by commas.",
    )
    render_socket: str = Field(
        "", description="Unix socket on which render_service always listens too. Empty: {data}/run/render.sock."
    )
    render_metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics. 0 turns it off.")
    renderer: str = Field(
        "starter",
        description="'starter', a checkpoint folder, or a folder of diffusers' ACE-Step 1.5.",
    )
    render_workers: int = Field(
        2, ge=1, le=16, description="Takes that run at the same time; one of them at a time uses the GPU."
    )
    render_steps: int = Field(0, ge=0, le=200, description="Denoising steps. 0 uses the renderer's default.")
    separation_address: str = Field(
        "",
        description="Address of separation_service: unix:/path, HOST:PORT, or https://HOST:PORT for mutual TLS. Empty: the Unix "
        "socket {data}/run/separation.sock.",
    )
    peer_certificate: Path | None = Field(
        None,
        description="Client certificate that render_service presents to separation_service. Empty: tls_certificate.",
    )
    peer_key: Path | None = Field(None, description="Private key of peer_certificate. Empty: tls_key.")
    peer_ca: Path | None = Field(
        None,
        description="Authorities that sign the certificate of separation_service, in PEM format. Empty: the public ones that "
        "gRPC comes with.",
    )
    render_handoff: Literal["shared-memory", "chunks"] = Field(
        "shared-memory",
        description="How a bounce reaches separation_service: lent in shared memory on the same host, or sent in chunks.",
    )
    render_handoff_regions: int = Field(
        4, ge=1, le=64, description="Maximum number of bounces lent in shared memory at the same time."
    )

    @property
    def listen_socket(self) -> Path:
        """Path of the Unix socket."""
        return Path(self.render_socket) if self.render_socket else self.run_folder / "render.sock"

    @property
    def peer_address(self) -> str:
        """The address of separation_service."""
        return self.separation_address or f"unix:{self.run_folder / 'separation.sock'}"
