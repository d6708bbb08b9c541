"""render_service's own settings, beside those of the host."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from servicekit.host_settings import HostSettings


class RenderSettings(HostSettings):
    """Read from ``SONICHAOS_`` and the field's name in capitals."""

    render_listen: str = Field(
        "127.0.0.1:50071", description="Address of render_service's RPCs; 'unix:/path' works too."
    )
    render_metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics. 0: none.")
    renderer: str = Field(
        "starter",
        description="'starter', or a folder in the documented checkpoint form or in that of diffusers' ACE-Step 1.5.",
    )
    render_workers: int = Field(
        2, ge=1, le=16, description="Takes under way at once; one of them at a time has the device."
    )
    render_steps: int = Field(0, ge=0, le=200, description="Denoising steps. 0: the renderer's own.")
    separation_address: str = Field("127.0.0.1:50072", description="Where separation_service answers RPCs.")
    render_handoff: Literal["shared-memory", "chunks"] = Field(
        "shared-memory",
        description="How a bounce reaches separation_service: lent on this host, or sent in chunks to another.",
    )
    render_handoff_regions: int = Field(4, ge=1, le=64, description="Most bounces that are lent at once.")
