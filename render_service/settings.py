"""The settings of render_service, in addition to those of the host."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from servicekit.host_settings import HostSettings


class RenderSettings(HostSettings):
    """Each field is read from the environment variable ``SONICHAOS_`` plus its name in capitals."""

    render_listen: str = Field(
        "127.0.0.1:50071", description="Address that render_service listens on; 'unix:/path' works too."
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
    separation_address: str = Field("127.0.0.1:50072", description="Address of separation_service.")
    render_handoff: Literal["shared-memory", "chunks"] = Field(
        "shared-memory",
        description="How a bounce reaches separation_service: lent in shared memory on the same host, or sent in chunks.",
    )
    render_handoff_regions: int = Field(
        4, ge=1, le=64, description="Maximum number of bounces lent in shared memory at the same time."
    )
