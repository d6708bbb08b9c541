"""Settings of separation_service alone; servicekit/host_settings.py has those that both services share."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from separation_service.scratch import DEFAULT_MEMORY_BYTES
from servicekit.host_settings import HostSettings


class SeparationSettings(HostSettings):
    """Read from ``SONICHAOS_`` and the field's name in capitals."""

    separation_listen: str = Field(
        "127.0.0.1:50072",
        description="Addresses that separation_service listens on, separated by commas: HOST:PORT or unix:/path. Beyond loopback "
        "they need tls_certificate.",
    )
    separation_mtls_listen: str = Field(
        "",
        description="Addresses of separation_service on which callers, such as a render_service on another host, must present a "
        "client certificate of tls_client_ca: HOST:PORT, separated by commas.",
    )
    separation_socket: str = Field(
        "", description="Unix socket on which separation_service always listens too. Empty: {data}/run/separation.sock."
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
        description="What runs the separator on a CPU. auto: OpenVINO where it is installed and the model is large enough for a "
        "conversion to pay off, else torch. A GPU always uses torch.",
    )
    separator_precision: Literal["fp32", "reduced"] = Field(
        "fp32",
        description="fp32 agrees with demucs to 90 dB or more; reduced, with transformers in bfloat16, to 50 dB or more.",
    )
    separator_batch: int = Field(
        0,
        ge=0,
        le=64,
        description="Segments in a batch. 0: 1 on a CPU, 8 on a GPU; fewer where its memory is short.",
    )
    separator_compile: bool = Field(default=True, description="On a GPU, let torch fuse the separator at start.")
    separation_workers: int = Field(
        2, ge=1, le=16, description="Uploads processed at once; one at a time holds the device."
    )
    separation_calls: int = Field(
        8, ge=1, le=64, description="SeparateTensor and ReplaceStem calls at once; more are refused with QUEUE_FULL."
    )
    upload_max_bytes: int = Field(2 << 30, ge=44, description="Largest upload in bytes.")
    upload_max_seconds: float = Field(
        3600.0,
        gt=0,
        le=4 * 3600,
        description="Longest upload in seconds; while it is processed it needs about 4 MB of disk for each second of audio.",
    )
    scratch_memory_bytes: int = Field(
        DEFAULT_MEMORY_BYTES,
        ge=0,
        description="Maximum memory for the samples of all separations together; the rest goes to unnamed files in {data}/spool.",
    )
    separation_latency_budget_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds that separating 90 s of audio may take; a metric counts separations over it, and an alert fires.",
    )
    uploads_at_once: int = Field(
        4, ge=1, le=64, description="Uploads that may be received at the same time, of one tenant half of them."
    )
    upload_stall_seconds: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="Seconds over which the rate of an upload is measured; one that receives nothing for as long is refused.",
    )
    upload_min_bytes_per_second: float = Field(
        16384.0,
        ge=0,
        description="Lowest rate of an upload over that span; a slower one is refused with STREAM_TOO_SLOW.",
    )
    upload_receive_seconds: float = Field(
        7200.0, gt=0, le=7 * 24 * 3600, description="Longest time that receiving one upload may take, in seconds."
    )

    @property
    def listen_socket(self) -> Path:
        """Path of the Unix socket."""
        return Path(self.separation_socket) if self.separation_socket else self.run_folder / "separation.sock"

    @property
    def spool_folder(self) -> Path:
        """Uploads while they are received, and audio that is too long for memory while it is processed."""
        return self.data / "spool"

    @property
    def pending_uploads_folder(self) -> Path:
        """Records of uploads whose jobs are not accepted yet."""
        return self.data / "pending-uploads"

    @property
    def converted_folder(self) -> Path:
        """Separators converted to OpenVINO; it may be deleted at any time."""
        return self.data / "cache" / "separator"
