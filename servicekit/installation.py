"""Opens what an installation's settings name, for both services: folders, journal, object store, GPU lock."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from servicekit.access.access_file import AccessFile
from servicekit.access.api_key import ApiKey
from servicekit.access.api_keys import ApiKeyIdentifier
from servicekit.access.caller import Scope
from servicekit.access.certificates import CertificateIdentifier
from servicekit.access.gatekeeper import Gatekeeper, LocalTrust
from servicekit.access.http_guard import operators_only
from servicekit.access.jwt_tokens import JwtIdentifier
from servicekit.clock import Clock, SystemClock
from servicekit.faults import Faults
from servicekit.fingerprint import check_device
from servicekit.gpu_lock import GpuLock
from servicekit.host_settings import HostSettings
from servicekit.injected import FaultyStore
from servicekit.journal import Journal, SchemaError
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import check_listen_address, is_local_address
from servicekit.rpc.pools import CallPool
from servicekit.settings import SettingsError
from servicekit.socket_path import SocketPathError, check_socket_path
from servicekit.store.folder_store import FolderStore
from servicekit.store.object_store import ObjectStore
from servicekit.store.s3_client import S3Settings
from servicekit.store.s3_store import S3Store
from servicekit.store.url_secret import UrlSecretFile
from servicekit.store.url_signer import UrlSigner
from servicekit.tls import CertificateFiles, https_context

_log = logger(__name__)
_STALE_UPLOAD_S = 24 * 3600
_ALL_ADDRESSES = ("0.0.0.0", "[::]")  # noqa: S104  compared, not bound
_MAX_DESCRIPTORS = 65536


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What every service opens first. ``own_store`` is the store without injected faults."""

    clock: Clock
    journal: Journal
    store: ObjectStore
    own_store: ObjectStore


def open_installation(name: str, settings: HostSettings, faults: Faults, resources: AsyncExitStack) -> Installation:
    """Open journal and store as the installation's only process of the service ``name``, until ``resources`` are closed.

    Raises :class:`SettingsError` for what the settings name and cannot be used.
    """
    check_device(settings.device)
    raise_descriptor_limit()
    make_folders(settings)
    clock = SystemClock()
    resources.callback(os.close, lock_instance(settings.run_folder, name))
    journal = resources.enter_context(open_journal(settings, clock))
    own_store = open_store(settings, clock)
    store = inject_faults(faults, journal, own_store)
    return Installation(clock=clock, journal=journal, store=store, own_store=own_store)


def make_folders(settings: HostSettings) -> None:
    """Create the data and run folders, accessible to this user only. Raises :class:`SettingsError` where they are unusable."""
    try:
        check_socket_path(settings.loans_socket)
    except SocketPathError as error:
        raise SettingsError(f"SONICHAOS_HANDOFF_SOCKET: {error}") from None
    for folder in (settings.data, settings.run_folder):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SettingsError(f"SONICHAOS_DATA: cannot create {folder}: {error.strerror}") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SettingsError(f"SONICHAOS_DATA: this user cannot write to {folder}")


def open_journal(settings: HostSettings, clock: Clock) -> Journal:
    """The installation's journal. Raises :class:`SettingsError` for an invalid URL or the journal of another release."""
    try:
        return Journal.open(settings.journal, clock=clock, max_crashes=settings.max_crashes)
    except (ValueError, SchemaError) as error:
        raise SettingsError(f"SONICHAOS_JOURNAL_URL: {error}") from None


def open_store(settings: HostSettings, clock: Clock) -> ObjectStore:
    """The installation's object store. Raises :class:`SettingsError` for missing or invalid settings."""
    if settings.store == "s3":
        return _open_s3(settings, clock)
    if not settings.url_base and settings.url_listen.rpartition(":")[0] in _ALL_ADDRESSES:
        raise SettingsError(
            f"SONICHAOS_URL_LISTEN is {settings.url_listen}, which no caller can connect to: set SONICHAOS_URL_BASE to what signed "
            "URLs begin with, such as https://files.example.com:50073"
        )
    try:
        secrets = UrlSecretFile(settings.url_secret)
        signer = UrlSigner(base_url=settings.url_root, secret=secrets.current, now=clock.now)
        return FolderStore(settings.data / "store", signer, prefix=settings.store_prefix)
    except ValueError as error:  # an unusable secret, base URL or prefix
        raise SettingsError(str(error)) from None


def check_addresses(settings: HostSettings, addresses: Iterable[str], *, metrics_port: int) -> None:
    """Refuse, before anything starts, addresses that other machines reach without TLS. Raises :class:`SettingsError`.

    ``addresses`` are those of gRPC and signed URLs.
    """
    metrics = [f"{settings.metrics_host}:{metrics_port}"] if metrics_port else []
    for address in (*addresses, *metrics):
        check_listen_address(address, tls=settings.tls_certificate is not None, insecure=settings.insecure)


async def open_gatekeeper(
    settings: HostSettings, journal: Journal, resources: AsyncExitStack, scopes: Mapping[str, Scope], *addresses: str
) -> Gatekeeper:
    """The gatekeeper of a service that listens on ``addresses`` and whose methods need ``scopes``, until ``resources`` are closed.

    Raises :class:`SettingsError` for an invalid access file.
    """
    loopback = not settings.identify_local_callers and all(map(is_local_address, addresses))
    path = Path(settings.access_file) if settings.access_file else settings.data / "access.toml"
    file = AccessFile(path, required=bool(settings.access_file))
    identifiers = (
        CertificateIdentifier(file, journal.clock),
        JwtIdentifier(file, journal.clock),
        await resources.enter_async_context(open_api_keys(journal, resources)),
    )
    return Gatekeeper(identifiers, scopes=scopes, local=LocalTrust(loopback=loopback, everyone=settings.insecure))


class _JournalKeys:
    """The journal's API keys, read in threads of their own: made-up keys must not delay other work."""

    def __init__(self, journal: Journal, pool: CallPool) -> None:
        self._journal = journal
        self._pool = pool

    async def find(self, key_id: str) -> ApiKey | None:
        """See `servicekit.access.api_key.ApiKeys`."""
        return await self._pool.run(self._journal.find_api_key, key_id)

    async def touch(self, last_used: Mapping[str, datetime]) -> None:
        """See `servicekit.access.api_key.ApiKeys`."""
        await self._pool.run(self._journal.touch_api_keys, last_used)


def open_api_keys(journal: Journal, resources: AsyncExitStack) -> ApiKeyIdentifier:
    """Identifies callers by the keys of ``journal``."""
    pool = CallPool("api-keys", threads=2, waiting=256, retry_after_s=1.0)
    resources.callback(pool.close)
    return ApiKeyIdentifier(_JournalKeys(journal, pool), journal.clock)


def open_faults(settings: HostSettings, *addresses: str) -> Faults:
    """The faults to inject, usually none. Raises :class:`SettingsError` for an invalid setting.

    ``addresses`` are those that callers use. With one that other machines reach, faults must be forced.
    """
    try:
        faults = Faults.parse(settings.faults)
    except ValueError as error:
        raise SettingsError(f"SONICHAOS_FAULTS {error}") from None
    if faults and not faults.forced:
        reached = [address for address in addresses if not is_local_address(address)]
        if reached:
            raise SettingsError(
                f"SONICHAOS_FAULTS injects faults into the work of callers on other machines, which reach {reached[0]}; "
                "unset it, or add ',force'"
            )
    return faults


def serve_metrics(
    settings: HostSettings,
    port: int,
    metrics: Metrics,
    *,
    certificate: CertificateFiles | None,
    gatekeeper: Gatekeeper,
) -> AbstractAsyncContextManager[None]:
    """Serves the metrics during the block, unless ``port`` is 0. Beyond loopback with TLS, and to operators only.

    Raises :class:`SettingsError`.
    """
    address = f"{settings.metrics_host}:{port}"
    tls = None if certificate is None else https_context(certificate)
    guard = None if is_local_address(address) else operators_only(gatekeeper)
    return metrics.serving(settings.metrics_host, port, tls=tls, guard=guard)


def inject_faults(faults: Faults, journal: Journal, store: ObjectStore) -> ObjectStore:
    """From now on ``journal``, and the store that this returns, refuse what ``faults`` decides. Usually that is nothing."""
    if not faults:
        return store
    _log.warning("FAULTS ARE INJECTED", seed=faults.seed, rate=faults.rate, points=sorted(faults.points))
    journal.inject(faults)
    return FaultyStore(store, faults)


def check_store(store: ObjectStore) -> None:
    """Raise Unavailable STORE_UNAVAILABLE unless the store answers: it is asked for an object that need not exist."""
    store.stat("jobs/probe")


def s3_store(settings: HostSettings, clock: Clock) -> S3Store:
    """The store of S3 settings, without a request to it. Raises :class:`SettingsError` for missing or invalid settings."""
    needed = ("s3_endpoint", "s3_bucket", "s3_access_key")
    missing = [f"SONICHAOS_{name.upper()}" for name in needed if not getattr(settings, name)]
    if not settings.s3_secret_key.get_secret_value():
        missing.append("SONICHAOS_S3_SECRET_KEY")
    if missing:
        raise SettingsError(f"SONICHAOS_STORE=s3 needs {', '.join(missing)}")
    chosen = S3Settings(
        endpoint=settings.s3_endpoint,
        bucket=settings.s3_bucket,
        prefix=settings.store_prefix,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key.get_secret_value(),
        region=settings.s3_region,
        public_endpoint=settings.s3_public_endpoint or None,
    )
    try:
        return S3Store(chosen, now=clock.now)
    except ValueError as error:  # minio's checks of the endpoint
        raise _invalid_s3(error) from None


def _invalid_s3(error: ValueError) -> SettingsError:
    return SettingsError(f"SONICHAOS_S3_ENDPOINT, SONICHAOS_S3_BUCKET: {error}")


def _open_s3(settings: HostSettings, clock: Clock) -> S3Store:
    store = s3_store(settings, clock)
    try:
        store.probe()
    except ValueError as error:  # minio's checks of the bucket's name
        raise _invalid_s3(error) from None
    store.abort_stale_uploads(older_than_s=_STALE_UPLOAD_S)
    return store


def device_lock(settings: HostSettings) -> GpuLock:
    """The lock on this host's device, shared by both services."""
    return GpuLock(settings.run_folder / f"{settings.device}.lock")


def raise_descriptor_limit() -> None:
    """Let this process open as many files and connections as the system allows it, at most 65536; shells allow it 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def lock_instance(folder: Path, name: str) -> int:
    """Lock ``{folder}/{name}.lock`` until this process ends, so that a data folder has at most one service of this name.

    Returns the descriptor. Raises :class:`SettingsError` where another process holds the lock.
    """
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SettingsError(
            f"another {name} uses {folder.parent}; stop it or set SONICHAOS_DATA to another folder"
        ) from None
    return descriptor
