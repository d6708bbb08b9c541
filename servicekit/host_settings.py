"""Settings that every service of an installation shares: where data lies, which device, who may call.

A service adds its own under names that begin with its word (``render_...``, ``separation_...``): see the ``settings.py`` of each.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from servicekit.settings import Settings

CLIENT_VARIABLES = ("SONICHAOS_RENDER_ADDRESS", "SONICHAOS_SEPARATION_ADDRESS")
"""Read by clients; services of the same environment pass them over unless a field of theirs has that name."""


def default_data_folder() -> Path:
    """``$XDG_DATA_HOME/sonichaos``, else ``~/.local/share/sonichaos``."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "sonichaos"


class HostSettings(Settings):
    """What both services read, each from ``SONICHAOS_`` and the field's name in capitals."""

    data: Path = Field(
        default_factory=default_data_folder, description="Folder of everything embedded: journal, files, sockets."
    )
    journal_url: str = Field("", description="SQLAlchemy URL of the journal. Empty: SQLite at {data}/journal.sqlite3.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where models run.")
    threads: int = Field(0, ge=0, le=256, description="CPU threads of a model. 0: all cores of the process.")
    insecure: bool = Field(
        default=False, description="Allow listening beyond loopback and Unix sockets though callers have no identity."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    drain_seconds: float = Field(
        30.0, ge=0, le=3600, description="After SIGTERM, how long running work may take to end, in seconds."
    )
    queue_limit: int = Field(256, ge=1, le=100_000, description="Most versions that wait in one service.")
    handoff_socket: str = Field(
        "", description="Unix socket over which bounces are lent. Empty: {data}/run/handoff.sock."
    )
    store: Literal["folder", "s3"] = Field("folder", description="Where files go.")
    store_prefix: str = Field("", description="Put before every key in the store, such as 'studio-a'.")
    url_listen: str = Field(
        "127.0.0.1:50073", description="Where render_service serves signed URLs of the folder store."
    )
    url_base: str = Field(
        "", description="How callers reach url_listen, such as 'https://files.example.com'. Empty: http://{url_listen}."
    )
    url_lifetime_seconds: int = Field(
        3600, ge=1, le=7 * 24 * 3600, description="Lifetime of a signed URL where the caller names none."
    )
    s3_endpoint: str = Field(
        "", description="URL by which the services reach the S3 server, such as 'http://minio:9000'."
    )
    s3_public_endpoint: str = Field(
        "", description="URL by which callers reach it, in signed URLs. Empty: s3_endpoint."
    )
    s3_bucket: str = Field("", description="Bucket; it must exist.")
    s3_region: str = Field("us-east-1", description="Region that requests are signed for.")
    s3_access_key: str = Field("", description="Access key.")
    s3_secret_key: SecretStr = Field(SecretStr(""), description="Secret key.")
    drums_rerender: bool = Field(default=False, description="Allow re-rendering of drums.")
    metrics_host: str = Field("127.0.0.1", description="Where Prometheus metrics are served.")

    @property
    def journal(self) -> str:
        """The journal's URL with its default filled in."""
        return self.journal_url or f"sqlite:///{self.data / 'journal.sqlite3'}"

    @property
    def run_folder(self) -> Path:
        """Sockets and locks."""
        return self.data / "run"

    @property
    def loans_socket(self) -> Path:
        """The handoff's socket with its default filled in."""
        return Path(self.handoff_socket) if self.handoff_socket else self.run_folder / "handoff.sock"

    @property
    def url_root(self) -> str:
        """Base of the folder store's signed URLs."""
        return self.url_base.rstrip("/") or f"http://{self.url_listen}"
