"""Client certificates on a running server with mutual TLS: each is its own tenant, whatever else the call carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from servicekit.access.caller import Scope
from servicekit.rpc.endpoints import Endpoint, Security
from servicekit.tls import CertificateFiles
from sonichaos.jobs.v1 import jobs_service_pb2, jobs_service_pb2_grpc
from tests.support.certificates import Authority, Certificate
from tests.support.identity_server import Guarded, Metadata, bearer, guarded
from tests.support.jobs_server import reason_of, refusal

INVALID = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
RULES = """
[[certificate]]
subject = "CN=mixer"
tenant = "a"
scopes = ["read"]
[[certificate]]
spiffe = "spiffe://example.org/b/*"
tenant = "b"
scopes = ["read"]
[[certificate]]
spiffe = "spiffe://example.org/render"
peer = true
"""


@dataclass
class Mutual:
    """The server, and the authority of its own and its clients' certificates."""

    served: Guarded
    authority: Authority
    address: str

    def stub(self, channel: aio.Channel) -> Any:
        """The calls of a connection."""
        return jobs_service_pb2_grpc.JobsServiceStub(channel)

    def channel(self, client: Certificate) -> aio.Channel:
        """A connection with a client certificate."""
        credentials = grpc.ssl_channel_credentials(self.authority.ca_pem, client.key_pem, client.certificate_pem)
        return aio.secure_channel(self.address, credentials)

    async def tenants(self, client: Certificate, metadata: Metadata = ()) -> set[str]:
        """Whose jobs a client sees."""
        async with self.channel(client) as channel:
            answer = await self.stub(channel).ListJobs(jobs_service_pb2.ListJobsRequest(), metadata=metadata)
            return {job.tenant for job in answer.jobs}

    async def refusal(self, client: Certificate, metadata: Metadata = ()) -> tuple[grpc.StatusCode, str]:
        """Code and reason of a refused call."""
        async with self.channel(client) as channel:
            asked = jobs_service_pb2.ListJobsRequest()
            return (await refusal(self.stub(channel).ListJobs(asked, metadata=metadata)))[:2]


@pytest.fixture
async def mutual(tmp_path: Path) -> AsyncIterator[Mutual]:
    """The server; running calls are checked again ten times a second."""
    authority = Authority.create(tmp_path)
    own = authority.server()
    endpoint = Endpoint("127.0.0.1:0", Security.MUTUAL_TLS, CertificateFiles(own.certificate, own.key, authority.ca))
    async with guarded(tmp_path, rules=RULES, recheck_s=0.1, more_endpoints=(endpoint,)) as served:
        yield Mutual(served, authority, served.wire.rpc.addresses[1])


async def test_each_certificate_is_its_own_tenant(mutual: Mutual) -> None:
    """By its subject or by its SPIFFE id."""
    assert await mutual.tenants(mutual.authority.client("mixer")) == {"a"}
    spiffe = mutual.authority.client("x", uris=["spiffe://example.org/b/mixer"])
    assert await mutual.tenants(spiffe) == {"b"}


@pytest.mark.parametrize(
    ("name", "uris"),
    [
        ("other", ()),
        ("mixer,CN=mixer", ()),
        ("Mixer", ()),
        ("other", ("spiffe://example.org/b",)),
        ("other", ("spiffe://example.org/b/x", "spiffe://example.org/b/y")),
        ("other", ("spiffe://example.org/b/../render",)),
    ],
)
async def test_a_certificate_that_no_rule_names_identifies_nobody(
    mutual: Mutual, name: str, uris: tuple[str, ...]
) -> None:
    """Though the server's authority signed it; also where its names resemble those of a rule."""
    assert await mutual.refusal(mutual.authority.client(name, uris=uris)) == INVALID


async def test_a_certificate_comes_before_a_key(mutual: Mutual) -> None:
    """A key or an invented header of tenant b changes nothing; without a rule for the certificate, the key counts."""
    mixer, key = mutual.authority.client("mixer"), mutual.served.key("b")
    for metadata in (bearer(key), (("x-forwarded-client-cert", "URI=spiffe://example.org/b/mixer"),)):
        assert await mutual.tenants(mixer, metadata) == {"a"}
    assert await mutual.tenants(mutual.authority.client("other"), bearer(key)) == {"b"}


async def test_a_certificate_in_the_metadata_identifies_nobody(mutual: Mutual) -> None:
    """Over a connection without one, in the names that proxies and gRPC itself use."""
    pem = mutual.authority.client("mixer").certificate_pem.decode().replace("\n", "%0A")
    forged = (("x509_pem_cert", pem), ("x509_common_name", "mixer"), ("x-client-certificate", pem))
    missing = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")
    assert await mutual.served.refusal(forged) == missing


async def test_a_peer_may_not_do_what_tenants_do(mutual: Mutual) -> None:
    """The other service's certificate holds no scope for work."""
    peer = mutual.authority.client("x", uris=["spiffe://example.org/render"])
    async with mutual.channel(peer) as channel:
        code, reason, metadata = await refusal(
            mutual.stub(channel).DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=mutual.served.job()))
        )
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert metadata == {"scope": str(Scope.RENDER)}


async def test_a_stream_ends_with_its_rule(mutual: Mutual, tmp_path: Path) -> None:
    """The operator removes it from the file; the certificate itself is still valid."""
    async with mutual.channel(mutual.authority.client("mixer")) as channel:
        stream = mutual.stub(channel).WatchJob(jobs_service_pb2.WatchJobRequest(job_id=mutual.served.job()))
        await stream.read()
        await asyncio.to_thread((tmp_path / "access.toml").write_text, RULES.replace("CN=mixer", "CN=laptop"))
        with pytest.raises(aio.AioRpcError) as ended:
            await asyncio.wait_for(stream.read(), 30.0)
        assert reason_of(ended.value)[:2] == INVALID
    assert await mutual.tenants(mutual.authority.client("laptop")) == {"a"}
