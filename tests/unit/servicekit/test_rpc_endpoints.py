"""Endpoints of a gRPC server: Unix sockets, TLS, client certificates, and a rotation while a stream runs."""

from __future__ import annotations

import asyncio
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint, Security, plan_endpoints, split_addresses
from servicekit.rpc.peer_channel import open_peer_channel
from servicekit.rpc.probe import serving
from servicekit.rpc.server import RpcServer
from servicekit.settings import SettingsError
from servicekit.tls import CertificateFiles
from tests.support.callers import trusting
from tests.support.certificates import Authority, Certificate, self_signed

TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)
SERVING = health_pb2.HealthCheckResponse.SERVING
REFUSED = (ssl.SSLError, ConnectionError)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority whose files are in the test's folder."""
    return Authority.create(tmp_path)


@asynccontextmanager
async def listening(*endpoints: Endpoint) -> AsyncIterator[RpcServer]:
    """A server that serves health at ``endpoints``."""
    server = RpcServer(metrics=Metrics("test"), gated_methods=(), service_names=(), gatekeeper=trusting())
    try:
        await server.start(endpoints)
        await server.serve()
        yield server
    finally:
        await server.stop(0.0)


def tls(certificate: Certificate) -> Endpoint:
    """A TLS endpoint on a free port of loopback."""
    files = CertificateFiles(certificate.certificate, certificate.key)
    return Endpoint("127.0.0.1:0", Security.TLS, files)


def mutual(certificate: Certificate, authority: Authority) -> Endpoint:
    """A TLS endpoint for clients of ``authority``."""
    files = CertificateFiles(certificate.certificate, certificate.key, authority.ca)
    return Endpoint("127.0.0.1:0", Security.MUTUAL_TLS, files)


async def health(channel: aio.Channel) -> int:
    """The status that health answers. Raises AioRpcError."""
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    return int(answer.status)


def trusting_channel(address: str, authority: Authority, client: Certificate | None = None) -> aio.Channel:
    """A channel that trusts servers of ``authority`` and presents ``client``."""
    credentials = grpc.ssl_channel_credentials(
        authority.ca_pem, client.key_pem if client else None, client.certificate_pem if client else None
    )
    return aio.secure_channel(address, credentials)


def first_bytes(
    address: str, authority: Authority, version: ssl.TLSVersion, client: Certificate | None = None
) -> bytes:
    """What a server sends first to a client that speaks one TLS version; empty where it closes the connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.ca)
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.version() == version.name.replace("v1_", "v1.")
        return secured.recv(64)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_1_2_is_the_oldest_version(authority: Authority) -> None:
    """TLS 1.0 and 1.1 are refused in the handshake."""
    async with listening(tls(authority.server())) as server:
        (address,) = server.addresses
        for version in (TLS_1_2, TLS_1_3):
            assert await asyncio.to_thread(first_bytes, address, authority, version)
        for version in (TLS_1_0, TLS_1_1):
            with pytest.raises(REFUSED):
                await asyncio.to_thread(first_bytes, address, authority, version)


async def test_plain_text_is_refused_where_tls_is_on(authority: Authority) -> None:
    """And a client that trusts the authority is served."""
    async with listening(tls(authority.server())) as server:
        (address,) = server.addresses
        async with aio.insecure_channel(address) as channel:
            with pytest.raises(aio.AioRpcError):
                await health(channel)
        async with trusting_channel(address, authority) as channel:
            assert await health(channel) == SERVING


async def test_only_clients_of_the_authority_are_served(authority: Authority, tmp_path: Path) -> None:
    """Not one without a certificate, with its own signature, of another authority, or whose certificate has expired."""
    strangers = [
        None,
        self_signed(tmp_path),
        Authority.create(tmp_path, "other").client(),
        authority.client("late", days=-1),
    ]
    async with listening(mutual(authority.server(), authority)) as server:
        (address,) = server.addresses
        async with trusting_channel(address, authority, authority.client()) as channel:
            assert await health(channel) == SERVING
        for stranger in strangers:
            async with trusting_channel(address, authority, stranger) as channel:
                with pytest.raises(aio.AioRpcError) as refused:
                    await health(channel)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_rotation_interrupts_no_stream(authority: Authority, tmp_path: Path) -> None:
    """A stream goes on, and new connections get the new certificate, here one of another authority."""
    certificate, renewed = authority.server(), Authority.create(tmp_path, "next")
    endpoint = tls(certificate)
    assert endpoint.certificate is not None
    async with listening(endpoint) as server:
        (address,) = server.addresses
        async with trusting_channel(address, authority) as old, trusting_channel(address, renewed) as new:
            watch = health_pb2_grpc.HealthStub(old).Watch(health_pb2.HealthCheckRequest(), timeout=60)
            assert (await watch.read()).status == SERVING
            with pytest.raises(aio.AioRpcError):
                await health(new)
            certificate.replace_with(renewed.server())
            assert endpoint.certificate.refresh()
            async with trusting_channel(address, renewed) as fresh:
                assert await health(fresh) == SERVING
            async with trusting_channel(address, authority) as late:
                with pytest.raises(aio.AioRpcError):
                    await health(late)
            await server.report(works=False)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            watch.cancel()


async def test_a_pair_that_does_not_match_keeps_the_old_certificate(authority: Authority) -> None:
    """The server serves on; the error is in the log."""
    certificate, other = authority.server(), authority.server("other")
    endpoint = tls(certificate)
    assert endpoint.certificate is not None
    certificate.certificate.write_bytes(other.certificate_pem)
    assert not endpoint.certificate.refresh()
    async with listening(endpoint) as server, trusting_channel(server.addresses[0], authority) as channel:
        assert await health(channel) == SERVING


async def test_a_new_client_authority_takes_effect(authority: Authority, tmp_path: Path) -> None:
    """Clients of the old one are refused from the next connection on."""
    replaced = Authority.create(tmp_path, "clients")
    first, second = replaced.client(), Authority.create(tmp_path, "later").client()
    endpoint = mutual(authority.server(), replaced)
    assert endpoint.certificate is not None
    async with listening(endpoint) as server:
        (address,) = server.addresses
        replaced.ca.write_bytes((tmp_path / "later.pem").read_bytes())
        assert endpoint.certificate.refresh()
        async with trusting_channel(address, authority, second) as channel:
            assert await health(channel) == SERVING
        async with trusting_channel(address, authority, first) as channel:
            with pytest.raises(aio.AioRpcError):
                await health(channel)


async def test_a_unix_socket_is_for_this_user_only(tmp_path: Path) -> None:
    """Mode 0600 in a folder of mode 0700; the socket of a dead server is replaced, and removed when the server stops."""
    path = tmp_path / "run" / "s.sock"
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with listening(Endpoint(f"unix:{path}")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await asyncio.to_thread(serving, f"unix:{path}")
        assert await asyncio.to_thread(serving, f"unix://{path}")
    assert not path.exists()


async def test_the_socket_of_a_live_server_is_not_taken(tmp_path: Path) -> None:
    """The second server refuses to start, and the first is reachable all the while."""
    endpoint = Endpoint(f"unix:{tmp_path / 'run' / 's.sock'}")
    async with listening(endpoint):
        with pytest.raises(SettingsError, match="another process listens on"):
            async with listening(endpoint):
                pass
        assert await asyncio.to_thread(serving, endpoint.address)


async def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    """They could replace the socket."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    with pytest.raises(SettingsError, match="mode 0700"):
        async with listening(Endpoint(f"unix:{shared / 's.sock'}")):
            pass


def planned(
    folder: Path,
    *,
    listen: Sequence[str] = (),
    mtls_listen: Sequence[str] = (),
    certificate: CertificateFiles | None = None,
    insecure: bool = False,
) -> list[tuple[str, Security]]:
    """The endpoints beside the Unix socket, which comes first."""
    first, *others = plan_endpoints(
        socket=folder / "s.sock", listen=listen, mtls_listen=mtls_listen, certificate=certificate, insecure=insecure
    )
    assert first == Endpoint(f"unix:{folder / 's.sock'}")
    return [(endpoint.address, endpoint.security) for endpoint in others]


def test_without_a_certificate_only_loopback_is_listened_on(tmp_path: Path) -> None:
    """In plain text; another address needs a certificate or --insecure."""
    assert planned(tmp_path, listen=("127.0.0.1:1", "[::1]:1")) == [
        ("127.0.0.1:1", Security.PLAIN),
        ("[::1]:1", Security.PLAIN),
    ]
    with pytest.raises(SettingsError, match=r"0\.0\.0\.0:1 .*SONICHAOS_TLS_CERTIFICATE.*--insecure"):
        planned(tmp_path, listen=("127.0.0.1:1", "0.0.0.0:1"))
    assert planned(tmp_path, listen=("0.0.0.0:1",), insecure=True) == [("0.0.0.0:1", Security.PLAIN)]
    with pytest.raises(SettingsError, match="unix:/path"):
        planned(tmp_path, listen=("unix-abstract:s",))


def test_with_a_certificate_every_tcp_address_uses_tls(tmp_path: Path, authority: Authority) -> None:
    """Loopback too, and with --insecure too."""
    issued = authority.server()
    files = CertificateFiles(issued.certificate, issued.key, authority.ca)
    for insecure in (False, True):
        assert planned(
            tmp_path,
            listen=("127.0.0.1:1", "0.0.0.0:2", "unix:/run/x.sock"),
            mtls_listen=("0.0.0.0:3",),
            certificate=files,
            insecure=insecure,
        ) == [
            ("127.0.0.1:1", Security.TLS),
            ("0.0.0.0:2", Security.TLS),
            ("unix:/run/x.sock", Security.PLAIN),
            ("0.0.0.0:3", Security.MUTUAL_TLS),
        ]


def test_client_certificates_need_an_authority(tmp_path: Path, authority: Authority) -> None:
    """Nothing could be checked without one."""
    issued = authority.server()
    for certificate in (None, CertificateFiles(issued.certificate, issued.key)):
        with pytest.raises(SettingsError, match="SONICHAOS_TLS_CLIENT_CA"):
            planned(tmp_path, mtls_listen=("127.0.0.1:1",), certificate=certificate)
    checked = CertificateFiles(issued.certificate, issued.key, authority.ca)
    with pytest.raises(SettingsError, match="use two ports"):
        planned(tmp_path, listen=("127.0.0.1:1",), mtls_listen=("127.0.0.1:1",), certificate=checked)
    with pytest.raises(SettingsError, match="has no client certificates"):
        planned(tmp_path, mtls_listen=("unix:/run/x.sock",), certificate=checked)
    assert split_addresses(" 127.0.0.1:1, unix:/run/x.sock ,") == ("127.0.0.1:1", "unix:/run/x.sock")


def test_a_socket_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """Before anything starts."""
    with pytest.raises(SettingsError, match="at most 107 bytes"):
        planned(tmp_path / ("x" * 100))


async def test_a_peer_channel_follows_its_certificate(authority: Authority, tmp_path: Path) -> None:
    """A call that runs while the client certificate rotates goes on; calls after it present the new one."""
    clients = Authority.create(tmp_path, "clients")
    endpoint = mutual(authority.server(), clients)
    certificate = clients.client()
    files = CertificateFiles(certificate.certificate, certificate.key, authority.ca)
    async with listening(endpoint) as server:
        address = f"https://localhost:{server.addresses[0].rpartition(':')[2]}"
        channel = open_peer_channel(address, files, insecure=False)

        def check() -> int:
            stub = health_pb2_grpc.HealthStub(channel)
            return int(stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status)

        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert (await asyncio.to_thread(next, watch)).status == SERVING
        stranger = Authority.create(tmp_path, "other").client()
        certificate.replace_with(stranger)
        assert files.refresh()
        with pytest.raises(grpc.RpcError):
            await asyncio.to_thread(check)
        await server.report(works=False)
        assert (await asyncio.to_thread(next, watch)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        certificate.replace_with(clients.client("renewed"))
        assert files.refresh()
        assert await asyncio.to_thread(check) == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        channel.close()


def test_a_peer_on_another_host_needs_tls() -> None:
    """And TLS needs a certificate; what is wrong is named."""
    for address in ("10.0.0.7:50072", "separation:50072"):
        with pytest.raises(SettingsError, match=f"https://{address}"):
            open_peer_channel(address, None, insecure=False)
        open_peer_channel(address, None, insecure=True).close()
    with pytest.raises(SettingsError, match="SONICHAOS_PEER_CERTIFICATE"):
        open_peer_channel("https://separation:50072", None, insecure=True)
    with pytest.raises(SettingsError, match="https://HOST:PORT"):
        open_peer_channel("https://separation", None, insecure=False)
    for address in ("127.0.0.1:50072", "unix:/run/x.sock", "unix:///run/x.sock"):
        open_peer_channel(address, None, insecure=False).close()
