"""Settings that both services of an installation share: data folder, device, journal, store, limits.

Each service adds its own, with the prefix ``render_`` or ``separation_``, in its ``settings.py``.
"""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from servicekit.settings import Settings

CLIENT_VARIABLES = {
    "SONICHAOS_RENDER_ADDRESS": "`https://host:port` (TLS), `host:port` or `unix:///path` of render_service.",
    "SONICHAOS_SEPARATION_ADDRESS": "The same of separation_service; render_service reads it too.",
    "SONICHAOS_PERSONA": "The persona of `sonichaos render` if `--persona` is not given.",
    "SONICHAOS_CA": "PEM file of the authority that signed the services' certificates. Empty: the public authorities.",
    "SONICHAOS_CERTIFICATE": "PEM file of a client certificate, with its chain.",
    "SONICHAOS_KEY": "PEM file of the client certificate's private key.",
    "SONICHAOS_API_KEY": "An API key.",
    "SONICHAOS_API_KEY_FILE": "File of an API key.",
    "SONICHAOS_TOKEN_FILE": "File of a JSON Web Token. It is read before each call.",
}
"""Variables of clients, and what each is. Services ignore them unless they have a field of that name."""

_NAME = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:.]+\]", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Raises ValueError."""
    return tuple(ip_network(part) for part in filter(None, map(str.strip, text.split(","))))


def default_data_folder() -> Path:
    """``$XDG_DATA_HOME/sonichaos``, else ``~/.local/share/sonichaos``."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "sonichaos"


class HostSettings(Settings):
    """Settings of both services. The variable of a field is ``SONICHAOS_`` and its name in capitals."""

    data: Path = Field(
        default_factory=default_data_folder, description="Data folder: embedded journal and store, sockets, locks."
    )
    journal_url: str = Field("", description="SQLAlchemy URL of the journal. Empty: SQLite in {data}/journal.sqlite3.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Device that models run on.")
    threads: int = Field(0, ge=0, le=256, description="CPU threads per model. 0: all cores of the process.")
    tls_certificate: Path | None = Field(
        None,
        description="Certificate chain of this installation's servers, in PEM format. With it every TCP port uses TLS: gRPC, "
        "signed URLs and metrics. It is read again when it changes.",
    )
    tls_key: Path | None = Field(
        None,
        description="Private key of tls_certificate, in PEM format, without a password; no other user may read it.",
    )
    tls_client_ca: Path | None = Field(
        None,
        description="Authorities that sign client certificates, in PEM format. The MTLS_LISTEN addresses need it.",
    )
    insecure: bool = Field(
        default=False,
        description="Allow plain text on addresses that other machines reach. Callers without a credential then act for the tenant "
        "local, wherever they are.",
    )
    identify_local_callers: bool = Field(
        default=False,
        description="Callers over TCP loopback must identify themselves too. Needed behind a proxy on the same host, which would "
        "otherwise act for the tenant local. Callers over a Unix socket never need an identity.",
    )
    access_file: str = Field(
        "",
        description="TOML file with the client certificates and the issuers of JWTs that identify callers (docs/access.md), read "
        "again when it changes. Empty: {data}/access.toml, if there is one.",
    )
    access_log_prompts: bool = Field(
        default=False, description="Write the prompts of requests to the log of access. They are personal data."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    drain_seconds: float = Field(
        30.0, ge=0, le=3600, description="How long running work may take to finish after SIGTERM, in seconds."
    )
    wait_limit_seconds: float = Field(
        3600.0,
        ge=0,
        le=30 * 24 * 3600,
        description="How long accepted work waits, in seconds and for each reason, while something refuses it temporarily: store, "
        "journal, separation_service, memory, a full pool. After that it fails. A brief's expire_time ends the wait too.",
    )
    faults: str = Field(
        "",
        description="Inject faults at random, to see what an installation withstands: 'seed=7,rate=0.01', with "
        "',points=store.read+store.write' only these (docs/robustness.md). Needs ',force' where other machines can call.",
    )
    queue_limit: int = Field(
        256,
        ge=1,
        le=100_000,
        description="Maximum number of versions that wait in each service; a tenant's first is taken even then.",
    )
    admission_hook: str = Field(
        "",
        description="Who may refuse work before it is accepted (docs/access.md): 'https://host:port', 'unix:///path' or a loopback "
        "address of an AdmissionService, or 'command:/path/to/program arguments'. Empty: nobody.",
    )
    admission_ca: Path | None = Field(
        None,
        description="PEM file of the authorities that an https admission hook is checked with. Empty: those of gRPC.",
    )
    admission_timeout_seconds: float = Field(
        2.0, gt=0, le=30, description="How long the admission hook may take for one answer, in seconds."
    )
    admission_on_failure: Literal["refuse", "accept"] = Field(
        "refuse", description="What happens to work while the admission hook fails or does not answer in time."
    )
    limit_waiting_jobs: int = Field(
        100, ge=0, description="How many versions of a tenant may wait, in both services together. 0: no limit."
    )
    limit_running_jobs: int = Field(
        8,
        ge=0,
        description="How many versions of a tenant are worked on at once, in both services together; more wait. 0: no limit.",
    )
    limit_audio_seconds_per_day: float = Field(
        36000.0,
        ge=0,
        description="Seconds of audio a day, in UTC, that a tenant may ask for in takes, re-renders, separations, stems and "
        "retries. 0: no limit.",
    )
    limit_requests_per_second: float = Field(
        20.0,
        ge=0,
        description="Calls a second of a tenant, in each service process; twice as many may come at once. 0: no limit.",
    )
    limit_upload_bytes_per_day: int = Field(
        20 << 30, ge=0, description="Bytes that a tenant may upload a day, in UTC. 0: no limit."
    )
    limit_open_streams: int = Field(
        50,
        ge=0,
        description="Watches, uploads and downloads of clips that a tenant may have open at once, in each service process. "
        "0: no limit.",
    )
    max_crashes: int = Field(
        3,
        ge=1,
        le=100,
        description="How many crashes of the service while it works on a version fail it with TOO_MANY_ATTEMPTS.",
    )
    lease_seconds: float = Field(
        30.0,
        ge=3,
        le=600,
        description="How long a worker may be silent, in seconds, before another one takes over its version. With SQLite a dead "
        "process is noticed at once.",
    )
    event_retention_days: int = Field(
        90, ge=0, le=36500, description="Days after which progress events of ended jobs are removed. 0: never."
    )
    job_retention_days: int = Field(
        0,
        ge=0,
        le=36500,
        description="Days after their last version ended after which jobs and their files are deleted; audit rows stay. 0: never.",
    )
    orphan_days: int = Field(
        1,
        ge=0,
        le=36500,
        description="Days after which files in the store that no row of the journal and no persona names are removed. 0: never.",
    )
    handoff_socket: str = Field(
        "", description="Unix socket for lending bounces between the services. Empty: {data}/run/handoff.sock."
    )
    store: Literal["folder", "s3"] = Field("folder", description="Object store: a local folder or an S3 server.")
    store_prefix: str = Field("", description="Prefix of every key in the store, such as 'studio-a'.")
    url_listen: str = Field(
        "127.0.0.1:50073",
        description="Address on which render_service serves signed URLs of the folder store; with tls_certificate over HTTPS.",
    )
    url_base: str = Field(
        "",
        description="Base URL by which callers reach url_listen, such as 'https://files.example.com'. Empty: {url_listen} with "
        "http, or https if tls_certificate is set.",
    )
    url_origins: str = Field(
        "",
        description="Web origins whose pages may read signed URLs, separated by commas, such as 'https://app.example.com'.",
    )
    web_listen: str = Field(
        "127.0.0.1:50070",
        description="Address on which `sonichaos up --web` serves the page; with tls_certificate over HTTPS.",
    )
    web_names: str = Field(
        "",
        description="Names by which browsers reach the page beside loopback and the host of web_listen, separated by commas, such "
        "as 'studio.example.com'.",
    )
    url_ttl_seconds: int = Field(
        3600, ge=1, le=7 * 24 * 3600, description="Default time to live of a signed URL, in seconds."
    )
    s3_endpoint: str = Field("", description="URL of the S3 server for the services, such as 'http://minio:9000'.")
    s3_public_endpoint: str = Field(
        "", description="URL of the S3 server for callers, used in signed URLs. Empty: s3_endpoint."
    )
    s3_bucket: str = Field("", description="S3 bucket. It must exist.")
    s3_region: str = Field("us-east-1", description="S3 region.")
    s3_access_key: str = Field("", description="S3 access key.")
    s3_secret_key: SecretStr = Field(SecretStr(""), description="S3 secret key.")
    webhook_limit: int = Field(
        20, ge=0, le=1000, description="How many webhooks for all of its jobs a tenant may register. 0: none."
    )
    webhook_threads: int = Field(
        16,
        ge=0,
        le=256,
        description="How many webhook requests a service sends at once: of a tenant a quarter, of a webhook two. 0: it sends none; "
        "deliveries wait.",
    )
    webhook_timeout_seconds: float = Field(
        10.0, gt=0, le=60, description="How long a receiver of webhooks may take to connect and answer, in seconds."
    )
    webhook_retry_seconds: float = Field(
        30.0,
        ge=0.1,
        le=3600,
        description="Pause after the first failed attempt of a webhook delivery, in seconds; each further one is twice as long, up "
        "to an hour.",
    )
    webhook_attempts: int = Field(
        30,
        ge=1,
        le=1000,
        description="After how many failed attempts a webhook delivery fails. 30 with the default pauses take about 23 hours.",
    )
    webhook_retention_days: int = Field(
        7, ge=1, le=365, description="Days after which webhook deliveries that have ended are removed."
    )
    webhook_allow_http: bool = Field(
        default=False, description="Allow webhooks to http:// URLs: everyone on the way can read the requests."
    )
    webhook_allowed_networks: str = Field(
        "",
        description="Networks that webhooks may call although their addresses are not public, separated by commas, such as "
        "'10.20.0.0/16,fd00:20::/64'. Every tenant can then reach every port of them.",
    )
    webhook_ca: Path | None = Field(
        None,
        description="PEM file of the authorities that receivers of webhooks are checked with. Empty: the public authorities.",
    )
    drums_rerender: bool = Field(default=False, description="Allow re-rendering the drums.")
    metrics_host: str = Field(
        "127.0.0.1",
        description="Host address on which Prometheus metrics are served. Beyond loopback, scrapes need TLS and an API key or a "
        "JWT of the tenant local with the scope operate.",
    )

    @property
    def journal(self) -> str:
        """URL of the journal."""
        return self.journal_url or f"sqlite:///{self.data / 'journal.sqlite3'}"

    @property
    def url_secret(self) -> Path:
        """File of the secrets for signed URLs of the folder store."""
        return self.data / "url-secret"

    @property
    def orphan_age_s(self) -> float | None:
        """Seconds of `orphan_days`; None where nothing is removed."""
        return self.orphan_days * 24 * 3600.0 or None

    @property
    def run_folder(self) -> Path:
        """Folder of sockets and locks."""
        return self.data / "run"

    @property
    def loans_socket(self) -> Path:
        """Path of the socket for lending bounces."""
        return Path(self.handoff_socket) if self.handoff_socket else self.run_folder / "handoff.sock"

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _check_networks(cls, value: str) -> str:
        try:
            _networks(value)
        except ValueError as error:
            raise ValueError(f"must be networks like 10.20.0.0/16,fd00:20::/64: {error}") from None
        return value

    @field_validator("url_origins")
    @classmethod
    def _check_origins(cls, value: str) -> str:
        for origin in filter(None, map(str.strip, value.split(","))):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"must be origins like https://app.example.com, without a path, got {origin!r}")
        return value

    @field_validator("web_names")
    @classmethod
    def _check_names(cls, value: str) -> str:
        for name in filter(None, map(str.strip, value.split(","))):
            if not _NAME.fullmatch(name):
                raise ValueError(f"must be host names like studio.example.com, without a scheme or port, got {name!r}")
        return value

    @property
    def page_names(self) -> tuple[str, ...]:
        """Names of `web_names`."""
        return tuple(filter(None, map(str.strip, self.web_names.split(","))))

    @property
    def webhook_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks of `webhook_allowed_networks`."""
        return _networks(self.webhook_allowed_networks)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Origins of `url_origins`."""
        return tuple(filter(None, map(str.strip, self.url_origins.split(","))))

    @property
    def url_root(self) -> str:
        """Base URL of the folder store's signed URLs."""
        scheme = "http" if self.tls_certificate is None else "https"
        return self.url_base.rstrip("/") or f"{scheme}://{self.url_listen}"
