"""The HTTP endpoints over TLS: signed URLs and metrics, the oldest version, a rotation, and who may read the metrics."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession
from yarl import URL

from servicekit.access.caller import Scope
from servicekit.access.failed_logins import FailedLogins
from servicekit.access.gatekeeper import Gatekeeper, LocalTrust
from servicekit.certificates import CertificateWatch, open_certificate
from servicekit.clock import SystemClock
from servicekit.host_settings import HostSettings
from servicekit.installation import check_addresses, serve_metrics
from servicekit.metrics import Metrics
from servicekit.settings import SettingsError
from servicekit.store.folder_store import FolderStore
from servicekit.store.folder_url_server import FolderUrlServer
from servicekit.store.url_signer import UrlSigner
from servicekit.tls import CertificateFiles, https_context
from tests.support.callers import NamedTenants, as_tenant
from tests.support.certificates import Authority, Certificate
from tests.support.s3_servers import free_port

KEY = "jobs/0a1b/bounce.wav"
DATA = bytes(range(256))
EVERYWHERE = "0.0.0.0"  # noqa: S104  what the operator may set


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority whose files are in the test's folder."""
    return Authority.create(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Certificate:
    """A server certificate."""
    return authority.server()


def files_of(certificate: Certificate) -> CertificateFiles:
    """The files, as a service opens them."""
    return CertificateFiles(certificate.certificate, certificate.key)


def trusting(authority: Authority, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A client that trusts an authority and speaks one version of TLS."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


@asynccontextmanager
async def stored(folder: Path, files: CertificateFiles, *, header_limit_s: float = 10.0) -> AsyncIterator[str]:
    """The signed URL of an object in a store whose endpoint speaks HTTPS."""
    port = free_port()
    signer = UrlSigner(base_url=f"https://localhost:{port}", secret=bytes(32), now=SystemClock().now)
    store = FolderStore(folder / "store", signer)
    store.put_bytes(KEY, DATA, content_type="audio/wav")
    tls = https_context(files)
    async with FolderUrlServer(store, host="127.0.0.1", port=port, tls=tls, header_limit_s=header_limit_s):
        yield store.signed_url(KEY, ttl_s=60).url


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_a_signed_url_is_served_over_https(tmp_path: Path, server: Certificate, authority: Authority) -> None:
    """With ranges, and without the names of its software; TLS 1.2 is the oldest version, and plain HTTP gets no answer."""
    async with stored(tmp_path, files_of(server)) as url, ClientSession() as http:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            async with http.get(url, ssl=trusting(authority, version), headers={"Range": "bytes=4-7"}) as answer:
                assert (answer.status, await answer.read()) == (206, DATA[4:8])
                assert "Server" not in answer.headers  # versions are of use to attackers only
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with pytest.raises(ClientError):
                await http.get(url, ssl=trusting(authority, version))
        with pytest.raises(ClientError):
            await http.get(url.replace("https://", "http://"))


async def test_a_handshake_that_does_not_end_is_closed(
    tmp_path: Path, server: Certificate, authority: Authority
) -> None:
    """A connection that says nothing holds no descriptor for long, and others are served meanwhile."""
    async with (
        stored(tmp_path, files_of(server), header_limit_s=0.5) as url,
        ClientSession() as http,
        asyncio.timeout(30),
    ):
        port = URL(url).port
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        async with http.get(url, ssl=trusting(authority)) as answer:
            assert await answer.read() == DATA
        for reader, writer in silent:
            assert await reader.read() == b""
            writer.close()


async def test_https_follows_the_certificate(tmp_path: Path, server: Certificate, authority: Authority) -> None:
    """A connection goes on with its certificate; the next one gets the new certificate, here one of another authority."""
    files, renewed = files_of(server), Authority.create(tmp_path, "next")
    async with stored(tmp_path, files) as url, ClientSession() as http, ClientSession() as later:
        old, new = trusting(authority), trusting(renewed)
        async with http.get(url, ssl=old) as answer:
            assert await answer.read() == DATA
        server.replace_with(renewed.server())
        assert files.refresh()
        async with http.get(url, ssl=old) as answer:  # on the connection of before
            assert await answer.read() == DATA
        async with later.get(url, ssl=new) as answer:
            assert await answer.read() == DATA
        with pytest.raises(ClientError):
            await later.get(url, ssl=old)


async def test_a_watch_reads_changed_files_and_reports_their_end(server: Certificate, authority: Authority) -> None:
    """The metric follows the certificate."""
    metrics, files = Metrics("test"), files_of(server)
    renewed = authority.server("renewed", days=90)
    with CertificateWatch({"server": files, "peer": None}, metrics) as watch:
        watch.stop()  # from here on the test looks
        expiry = metrics.registry.get_sample_value
        name, labels = "sonichaos_test_certificate_expiry_timestamp_seconds", {"certificate": "server"}
        assert expiry(name, labels) == server.x509.not_valid_after_utc.timestamp()
        server.replace_with(renewed)
        watch.repeat()
        assert expiry(name, labels) == renewed.x509.not_valid_after_utc.timestamp()
        assert expiry(name, {"certificate": "peer"}) is None


async def test_metrics_beyond_loopback_are_for_operators(server: Certificate, authority: Authority) -> None:
    """Over TLS, with a credential that has the scope operate. On loopback anyone on the host may read them."""
    gatekeeper = Gatekeeper(
        (NamedTenants(),), scopes={}, local=LocalTrust(), failed_logins=FailedLogins(allowed=3, window_s=60.0)
    )
    for host, guarded in ((EVERYWHERE, True), ("127.0.0.1", False)):
        port, metrics = free_port(), Metrics("test")
        settings = HostSettings(metrics_host=host)
        url, tls = f"https://localhost:{port}/metrics", trusting(authority)
        serving = serve_metrics(settings, port, metrics, certificate=files_of(server), gatekeeper=gatekeeper)
        async with serving, ClientSession() as http:

            async def status(
                *authorization: str, target: str = url, tls: ssl.SSLContext = tls, http: ClientSession = http
            ) -> int:
                headers = [("Authorization", value) for value in authorization]
                async with http.get(target, ssl=tls, headers=headers) as answer:
                    return answer.status

            operator = as_tenant("local", frozenset({Scope.OPERATE}))[0][1]
            customer = as_tenant("a", frozenset({Scope.OPERATE}))[0][1]
            reader = as_tenant("a", frozenset({Scope.READ}))[0][1]
            assert await status(operator) == 200
            assert await status() == (401 if guarded else 200)
            assert await status(reader) == (403 if guarded else 200)
            assert await status(customer) == (403 if guarded else 200)
            assert await status(operator, operator) == (401 if guarded else 200)
            guesses = [await status("Bearer nonsense") for _ in range(4)]
            assert guesses == ([401, 401, 401, 429] if guarded else [200] * 4)


@pytest.mark.parametrize(
    ("addresses", "metrics_host"), [(["127.0.0.1:1", f"{EVERYWHERE}:2"], "127.0.0.1"), (["127.0.0.1:1"], EVERYWHERE)]
)
def test_no_port_is_opened_beyond_loopback_without_tls(addresses: list[str], metrics_host: str) -> None:
    """Neither for gRPC or signed URLs nor for metrics; a certificate or --insecure allows it."""
    with pytest.raises(SettingsError, match=r"0\.0\.0\.0:.*SONICHAOS_TLS_CERTIFICATE"):
        check_addresses(HostSettings(metrics_host=metrics_host), addresses, metrics_port=9471)
    for allowed in (HostSettings(insecure=True), HostSettings(tls_certificate=Path("x.pem"))):
        check_addresses(allowed.model_copy(update={"metrics_host": metrics_host}), addresses, metrics_port=9471)


def test_certificate_and_key_are_set_together(server: Certificate) -> None:
    """The error names both settings."""
    assert open_certificate("SONICHAOS_PEER", None, None, None) is None
    for certificate, key in ((server.certificate, None), (None, server.key)):
        with pytest.raises(
            SettingsError, match="SONICHAOS_PEER_CERTIFICATE and SONICHAOS_PEER_KEY must be set together"
        ):
            open_certificate("SONICHAOS_PEER", certificate, key, None)
    server.key.chmod(0o604)
    with pytest.raises(SettingsError, match="SONICHAOS_TLS_KEY: other users can read"):
        open_certificate("SONICHAOS_TLS", server.certificate, server.key, None)


def test_signed_urls_have_the_scheme_of_their_port() -> None:
    """https:// with a certificate; a proxy's address wins."""
    assert HostSettings().url_root == "http://127.0.0.1:50073"
    assert HostSettings(tls_certificate=Path("x.pem")).url_root == "https://127.0.0.1:50073"
    proxy = HostSettings(tls_certificate=Path("x.pem"), url_base="https://files.example.com/")
    assert proxy.url_root == "https://files.example.com"
