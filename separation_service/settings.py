"""separation_service's own settings, beside those of the host."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from separation_service.scratch import DEFAULT_MEMORY_BYTES
from servicekit.host_settings import HostSettings


class SeparationSettings(HostSettings):
    """Read from ``SONICHAOS_`` and the field's name in capitals."""

    separation_listen: str = Field(
        "127.0.0.1:50072", description="Address of separation_service's RPCs; 'unix:/path' works too."
    )
    separation_metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics. 0: none.")
    separator: str = Field(
        "starter", description="'starter' (in the package), or a model or bag in separator_repo, such as 'htdemucs_ft'."
    )
    separator_repo: Path | None = Field(
        None, description="Folder of demucs weights, filled by `sonichaos fetch-weights`; not used by 'starter'."
    )
    separator_runtime: Literal["auto", "torch", "openvino"] = Field(
        "auto",
        description="What runs the separator on a CPU. auto: OpenVINO where it is installed and the model is large enough to "
        "pay for a conversion, else torch; on a GPU torch.",
    )
    separator_precision: Literal["fp32", "reduced"] = Field(
        "fp32",
        description="fp32 agrees with demucs to 90 dB or more; reduced, to 50 dB or more, runs the transformers in bfloat16.",
    )
    separator_batch: int = Field(
        0,
        ge=0,
        le=64,
        description="Segments separated at once. 0: 1 on a CPU, 8 on a GPU; fewer where its memory is short.",
    )
    separator_compile: bool = Field(default=True, description="On a GPU, let torch fuse the separator at start.")
    separation_workers: int = Field(
        2, ge=1, le=16, description="Uploads worked on at once; one of them at a time has the device."
    )
    separation_calls: int = Field(
        8, ge=1, le=64, description="Lent bounces separated or waiting at once; more are told to come back."
    )
    upload_max_bytes: int = Field(2 << 30, ge=44, description="Largest upload in bytes.")
    upload_max_seconds: float = Field(
        3600.0,
        gt=0,
        le=4 * 3600,
        description="Longest upload in seconds; while it is worked on, disk grows by 4 MB a second.",
    )
    scratch_memory_bytes: int = Field(
        DEFAULT_MEMORY_BYTES,
        ge=0,
        description="Most memory for samples of all separations together; what is beyond goes to unnamed files in {data}/spool.",
    )
    separation_ceiling_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Most that separating 90 s may take; beyond it a metric counts and an alert fires.",
    )
    uploads_at_once: int = Field(4, ge=1, le=64, description="Uploads that may come in at the same time.")
    upload_stall_seconds: float = Field(
        60.0, gt=0, le=3600, description="An upload of which nothing comes for so long is given up."
    )

    @property
    def spool_folder(self) -> Path:
        """Where uploads lie while they come in, and audio that is too long for memory while it is worked on."""
        return self.data / "spool"

    @property
    def unaccepted_folder(self) -> Path:
        """Notes of uploads whose jobs are not accepted yet."""
        return self.data / "unaccepted"

    @property
    def converted_folder(self) -> Path:
        """Where separators lie that were converted to OpenVINO; it may be deleted at any time."""
        return self.data / "cache" / "separator"
