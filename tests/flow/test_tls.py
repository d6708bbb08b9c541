"""Both services with TLS on: the pair over mutual TLS, signed URLs over HTTPS, and a rotation while a job runs."""

from __future__ import annotations

import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sonichaos.jobs.v1 import job_pb2
from tests.support.certificates import Authority, Certificate
from tests.support.pair import RENDER, SEPARATION, Pair, eventually, turn_held
from tests.support.s3_servers import free_port
from tests.support.service_processes import ServiceForker
from tests.support.takes import at, brief, collect_events, take, until

RULES = '[[certificate]]\nsubject = "CN=render"\npeer = true\n'


@dataclass
class TlsPair(Pair):
    """A pair as on two hosts: bounces in chunks over mutual TLS. The test calls it over its Unix sockets."""

    mtls_port: int = 0

    def address(self, service: str) -> str:
        """The Unix socket of a service."""
        return f"unix:{self.data / 'run' / ('render.sock' if service == RENDER else 'separation.sock')}"

    def environment(self, service: str) -> dict[str, str]:
        """The settings of a service; both listen with TLS on loopback too."""
        mine = super().environment(service)
        if service == RENDER:
            mine["SONICHAOS_RENDER_LISTEN"] = f"127.0.0.1:{self.ports[RENDER]}"
            mine["SONICHAOS_SEPARATION_ADDRESS"] = f"https://localhost:{self.mtls_port}"
        else:
            mine["SONICHAOS_SEPARATION_LISTEN"] = f"127.0.0.1:{self.ports[SEPARATION]}"
            mine["SONICHAOS_SEPARATION_MTLS_LISTEN"] = f"127.0.0.1:{self.mtls_port}"
        return mine


def served_certificate(port: int) -> x509.Certificate:
    """The certificate that a server shows to a new connection."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())


def get(url: str, authority: Authority, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of a GET over HTTPS."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  https, as the caller checked
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:  # noqa: S310
        return answer.status, answer.read()


def test_a_pair_with_tls_renders_and_rotates(
    forker: ServiceForker, models: dict[str, str], clips: dict[str, Path], tmp_path: Path
) -> None:
    """Stems over mutual TLS; a signed URL over HTTPS with a range; a new certificate without a restart while a watch runs."""
    authority = Authority.create(tmp_path)
    server, client = authority.server(), authority.client("render")
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "access.toml").write_text(RULES)
    settings = {
        **models,
        "SONICHAOS_TLS_CERTIFICATE": str(server.certificate),
        "SONICHAOS_TLS_KEY": str(server.key),
        "SONICHAOS_TLS_CLIENT_CA": str(authority.ca),
        "SONICHAOS_PEER_CERTIFICATE": str(client.certificate),
        "SONICHAOS_PEER_KEY": str(client.key),
        "SONICHAOS_PEER_CA": str(authority.ca),
        "SONICHAOS_RENDER_HANDOFF": "chunks",
        "SONICHAOS_IDENTIFY_LOCAL_CALLERS": "true",  # so that the certificate alone lets the pair talk
    }
    pair = TlsPair(forker, tmp_path, settings, tmp_path / "data", mtls_port=free_port())
    try:
        pair.start()
        pair.client.create_persona("tone", "a tone", [clips["tone"]])
        story = take(pair.client, brief(stems=True))
        assert story.job.state == job_pb2.JOB_STATE_DONE
        _check_signed_url(pair, story.job.job_id, authority)
        _check_strangers(pair, authority, Authority.create(tmp_path, "other").client())
        _check_rotation(pair, server, authority)
    finally:
        pair.stop()


def _check_signed_url(pair: Pair, job_id: str, authority: Authority) -> None:
    """It begins with https:// and answers a range."""
    signed = pair.client.create_signed_url(job_id)
    url = signed.url.replace("127.0.0.1", "localhost")
    assert url.startswith("https://localhost:")
    status, first = get(url, authority, {"Range": "bytes=0-3"})
    assert (status, first) == (206, b"PK\x03\x04")
    assert len(get(url, authority, {})[1]) == signed.file.size_bytes


def _check_strangers(pair: TlsPair, authority: Authority, stranger: Certificate) -> None:
    """separation_service's mTLS port serves no client of another authority. Its log has lines of its own only."""
    credentials = grpc.ssl_channel_credentials(authority.ca_pem, stranger.key_pem, stranger.certificate_pem)
    with grpc.secure_channel(f"localhost:{pair.mtls_port}", credentials) as channel, pytest.raises(grpc.RpcError):
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert all("event" in line for line in pair.log_lines(SEPARATION))


def _check_rotation(pair: TlsPair, server: Certificate, authority: Authority) -> None:
    """All ports of both processes show the new certificate while a job waits in the middle, and the job ends well."""
    job = pair.client.create_render(brief(seed=8))
    until(pair.client, job, at(job_pb2.STAGE_PLAN))
    with turn_held(pair.data):
        renewed = authority.server("renewed")
        serial = renewed.x509.serial_number
        server.replace_with(renewed)
        for port in (pair.ports[RENDER], pair.ports["url"], pair.ports[SEPARATION]):
            eventually(
                lambda port=port: served_certificate(port).serial_number == serial,  # type: ignore[misc]
                f"port {port} shows the new certificate",
            )
    assert collect_events(pair.client, job).job.state == job_pb2.JOB_STATE_DONE
