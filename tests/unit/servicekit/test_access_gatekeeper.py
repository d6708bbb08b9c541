"""Who is admitted: by credential, as local, with which scope, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import grpc
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from servicekit.access.caller import Caller, CallFacts, IdentityMethod, Scope, current_tenant
from servicekit.access.failed_logins import FailedLogins
from servicekit.access.gatekeeper import Gatekeeper, LocalTrust, call_facts
from servicekit.errors import ResourceExhausted, Unauthenticated
from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.server import RpcServer
from sonichaos.jobs.v1 import jobs_service_pb2, jobs_service_pb2_grpc
from tests.support.callers import NamedTenants, as_tenant
from tests.support.jobs_server import refusal

NAME = "sonichaos.jobs.v1.JobsService"
READ_ONLY = frozenset({Scope.READ})


class Servicer(jobs_service_pb2_grpc.JobsServiceServicer):
    """Answers with the caller's tenant."""

    async def GetJob(self, request: jobs_service_pb2.GetJobRequest, context: object) -> Any:
        answer = jobs_service_pb2.GetJobResponse()
        answer.job.tenant = current_tenant()
        return answer

    async def WatchJob(self, request: jobs_service_pb2.WatchJobRequest, context: object) -> AsyncIterator[Any]:
        """One event, then nothing."""
        yield jobs_service_pb2.WatchJobResponse()
        await asyncio.Event().wait()


class TroubledTenants(NamedTenants):
    """Tenant a comes with JWTs. Asked about others again, who come with keys, it hangs or fails."""

    def __init__(self, trouble: str) -> None:
        super().__init__()
        self._trouble = trouble

    async def identify(self, call: CallFacts) -> Caller | None:
        """See `NamedTenants`."""
        found = await super().identify(call)
        return replace(found, method=IdentityMethod.JWT) if found is not None and found.tenant == "a" else found

    async def is_valid(self, caller: Caller) -> bool:
        """See `NamedTenants`."""
        if caller.tenant != "a":
            if self._trouble == "fails":
                raise ValueError("no such scope")
            await asyncio.Event().wait()
        return await super().is_valid(caller)


@dataclass
class Served:
    """A server that trusts no one, and a stub."""

    stub: Any
    channel: aio.Channel
    tenants: NamedTenants


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server whose callers must identify themselves; running calls are checked again five times a second."""
    tenants = NamedTenants()
    scopes = {f"/{NAME}/GetJob": Scope.READ, f"/{NAME}/WatchJob": Scope.READ}
    server = RpcServer(
        metrics=Metrics("test"),
        gated_methods=(),
        service_names=[NAME],
        gatekeeper=Gatekeeper(
            (tenants,), scopes=scopes, local=LocalTrust(), failed_logins=FailedLogins(allowed=3, window_s=60.0)
        ),
        recheck_s=0.2,
    )
    jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(Servicer(), server.grpc_server)
    (address,) = await server.start([Endpoint("127.0.0.1:0")])
    await server.serve()
    async with aio.insecure_channel(address) as channel:
        yield Served(jobs_service_pb2_grpc.JobsServiceStub(channel), channel, tenants)
    await server.stop(0.0)


async def test_the_handler_sees_the_tenant_of_the_credential(served: Served) -> None:
    """Another entry of the metadata names nobody."""
    smuggled = (("tenant", "b"), ("x-tenant", "b"), ("x-forwarded-client-cert", "Subject=b"))
    answer = await served.stub.GetJob(jobs_service_pb2.GetJobRequest(), metadata=(*as_tenant("a"), *smuggled))
    assert answer.job.tenant == "a"


async def test_a_call_without_a_credential_is_refused_by_reason(served: Served) -> None:
    """Also one whose metadata names a tenant in another way."""
    for metadata in ((), (("tenant", "a"), ("x-api-key", "sonichaos_a"), ("authorization-bin", b"Bearer test:a:read"))):
        code, reason, _ = await refusal(served.stub.GetJob(jobs_service_pb2.GetJobRequest(), metadata=metadata))
        assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")


async def test_two_credentials_in_one_call_are_refused(served: Served) -> None:
    """Whichever of them a proxy checked, this service must not take the other."""
    two = (*as_tenant("a"), *as_tenant("b"))
    code, reason, _ = await refusal(served.stub.GetJob(jobs_service_pb2.GetJobRequest(), metadata=two))
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")


async def test_a_missing_scope_is_named(served: Served) -> None:
    """A caller that is known and may not do this."""
    metadata = as_tenant("a", frozenset({Scope.RENDER, Scope.OPERATE}))
    refused = await refusal(served.stub.GetJob(jobs_service_pb2.GetJobRequest(), metadata=metadata))
    assert refused == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", {"scope": "read"})


async def test_a_method_without_a_scope_is_refused_to_everyone(served: Served) -> None:
    """A method that was forgotten in the table opens nothing."""
    code, reason, _ = await refusal(served.stub.ListJobs(jobs_service_pb2.ListJobsRequest(), metadata=as_tenant("a")))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_health_is_open_and_reflection_is_not(served: Served) -> None:
    """A load balancer has no identity; the list of methods is for callers."""
    health = health_pb2_grpc.HealthStub(served.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    info = served.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    call = info()
    with pytest.raises(aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_stream_ends_when_its_credential_does(served: Served) -> None:
    """And a stream of another tenant goes on."""
    watched = {
        tenant: served.stub.WatchJob(jobs_service_pb2.WatchJobRequest(), metadata=as_tenant(tenant, READ_ONLY))
        for tenant in ("a", "b")
    }
    for call in watched.values():
        await call.read()
    served.tenants.revoked.add("a")
    code, reason, _ = await refusal(watched["a"].read())
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert not watched["b"].done()
    watched["b"].cancel()


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
async def test_callers_that_cannot_be_checked_again_keep_no_others(trouble: str) -> None:
    """A journal that hangs, or a row of it that cannot be read, let the streams of all other callers go on for good."""
    tenants = TroubledTenants(trouble)
    server = RpcServer(
        metrics=Metrics("test"),
        gated_methods=(),
        service_names=[NAME],
        gatekeeper=Gatekeeper((tenants,), scopes={f"/{NAME}/WatchJob": Scope.READ}, local=LocalTrust()),
        recheck_s=0.1,
    )
    jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(Servicer(), server.grpc_server)
    (address,) = await server.start([Endpoint("127.0.0.1:0")])
    async with aio.insecure_channel(address) as channel:
        stub = jobs_service_pb2_grpc.JobsServiceStub(channel)
        watched = [
            stub.WatchJob(jobs_service_pb2.WatchJobRequest(), metadata=as_tenant(name, READ_ONLY)) for name in "ba"
        ]
        for call in watched:
            await call.read()
        tenants.revoked.add("a")
        code, _, _ = await refusal(watched[1].read())
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert not watched[0].done()
    await server.stop(0.0)


async def test_a_host_that_fails_often_is_limited_and_locks_out_nobody(served: Served) -> None:
    """It may be a proxy: a valid credential is admitted, also one that is seen for the first time, such as each new JWT."""
    wrong, known, new = (("authorization", "Bearer guess"),), as_tenant("a"), as_tenant("b")
    await served.stub.GetJob(jobs_service_pb2.GetJobRequest(), metadata=known)
    for _ in range(3):
        _, reason, _ = await refusal(served.stub.GetJob(jobs_service_pb2.GetJobRequest(), metadata=wrong))
        assert reason == "CREDENTIALS_INVALID"
    code, reason, facts = await refusal(served.stub.GetJob(jobs_service_pb2.GetJobRequest(), metadata=wrong))
    assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "FAILED_LOGINS")
    assert facts == {"allowed": "3", "window_seconds": "60"}
    for tenant, metadata in (("a", known), ("b", new)):
        answer = await served.stub.GetJob(jobs_service_pb2.GetJobRequest(), metadata=metadata)
        assert answer.job.tenant == tenant


async def test_what_is_logged_of_a_refused_scope_names_the_caller(served: Served) -> None:
    """The operator sees whose credential it was, and what kind."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await refusal(served.stub.ListJobs(jobs_service_pb2.ListJobsRequest(), metadata=as_tenant("a", READ_ONLY)))
    named = [(line["event"], line["tenant"], line["subject"], line["identity"]) for line in lines]
    assert named == [(event, "a", "test a", "api_key") for event in ("rpc refused", "rpc ended")]


async def test_calls_without_a_credential_are_no_failed_logins(served: Served) -> None:
    """They guess nothing, so they lock out nobody else of their host."""
    for _ in range(4):
        _, reason, _ = await refusal(served.stub.GetJob(jobs_service_pb2.GetJobRequest()))
        assert reason == "CREDENTIALS_MISSING"
    answer = await served.stub.GetJob(jobs_service_pb2.GetJobRequest(), metadata=as_tenant("a"))
    assert answer.job.tenant == "a"


def present(logins: FailedLogins, host: str, credential: str = "x", *, valid: bool = False) -> None:
    """A call with a credential."""
    with logins.attempt(host, credential):
        if not valid:
            raise Unauthenticated("no")


def test_a_limited_host_has_few_credentials_verified_at_once() -> None:
    """A flood of made-up keys must not take all lookups of the journal; a credential that was valid before has no limit."""
    logins = FailedLogins(allowed=1, at_once=2)
    logins.record_success("known")
    with pytest.raises(Unauthenticated):
        present(logins, "ipv4:10.0.0.7")
    with logins.attempt("ipv4:10.0.0.7", "x"), logins.attempt("ipv4:10.0.0.7", "y"):
        with pytest.raises(ResourceExhausted):
            present(logins, "ipv4:10.0.0.7", "z", valid=True)
        present(logins, "ipv4:10.0.0.7", "known", valid=True)
        present(logins, "ipv4:10.0.0.8", "z", valid=True)
    present(logins, "ipv4:10.0.0.7", "z", valid=True)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ipv6:[2001:db8:0:1::1]", "ipv6:%5B2001:db8:0:1:ffff::2%5D", True),
        ("ipv6:[2001:db8:0:1::1]", "ipv6:[2001:db8:0:2::1]", False),
        ("ipv6:[::ffff:10.0.0.7]", "ipv4:10.0.0.7", True),
        ("ipv6:[::ffff:10.0.0.7]", "ipv6:[::ffff:10.0.0.8]", False),
        ("ipv6:[fe80::1%25eth0]", "ipv6:[fe80::2%25eth1]", True),
    ],
)
def test_a_network_of_ipv6_is_one_host(one: str, other: str, *, same: bool) -> None:
    """Whoever has one of its addresses has 2^64 of them, and had as many limits."""
    logins = FailedLogins(allowed=1)
    with pytest.raises(Unauthenticated):
        present(logins, one)
    with pytest.raises(ResourceExhausted if same else Unauthenticated):
        present(logins, other)


def test_an_expired_credential_is_no_failure() -> None:
    """Its signature was right: a program that forgot to renew its token must not limit its neighbours."""
    logins = FailedLogins(allowed=1)
    for _ in range(5):
        with pytest.raises(Unauthenticated) as refused, logins.attempt("ipv4:10.0.0.7", "old"):
            raise Unauthenticated("the JWT expired", reason="CREDENTIALS_EXPIRED")
        assert refused.value.reason == "CREDENTIALS_EXPIRED"


def test_failures_are_forgotten_after_the_window() -> None:
    """And those of one host do not count for another."""
    now = [0.0]
    logins = FailedLogins(allowed=2, window_s=60.0, monotonic=lambda: now[0])
    for at in (0.0, 30.0):
        now[0] = at
        logins.record_failure("ipv4:10.0.0.7", "x")
    with pytest.raises(Unauthenticated):
        present(logins, "ipv4:10.0.0.8")
    now[0] = 60.5
    with pytest.raises(Unauthenticated):
        present(logins, "ipv4:10.0.0.7")
    with pytest.raises(ResourceExhausted) as refused:
        present(logins, "ipv4:10.0.0.7")
    assert refused.value.retry_after_s == 60.0


def test_a_credential_that_stopped_being_valid_is_limited_again() -> None:
    """A revoked key gives its holder no way around the limit."""
    logins = FailedLogins(allowed=1, at_once=0)
    logins.record_success("key")
    logins.record_failure("unix:", "guess")
    present(logins, "unix:", "key", valid=True)
    logins.record_failure("unix:", "key")
    with pytest.raises(ResourceExhausted):
        present(logins, "unix:", "key")


@pytest.mark.parametrize(
    ("peer", "trust", "trusted"),
    [
        ("unix:", LocalTrust(), True),
        ("ipv4:127.0.0.1:40000", LocalTrust(), False),
        ("ipv4:127.0.0.1:40000", LocalTrust(loopback=True), True),
        ("ipv6:[::1]:40000", LocalTrust(loopback=True), True),
        ("ipv6:%5B::1%5D:40000", LocalTrust(loopback=True), True),
        ("ipv4:10.0.0.7:40000", LocalTrust(loopback=True), False),
        ("ipv6:%5B::ffff:10.0.0.7%5D:40000", LocalTrust(loopback=True), False),
        ("ipv4:10.0.0.7:40000", LocalTrust(everyone=True), True),
    ],
)
def test_who_is_local(peer: str, trust: LocalTrust, *, trusted: bool) -> None:
    """A Unix socket always is; loopback only where nothing else is listened on."""
    assert trust.trusts(peer) is trusted


class Connection:
    """A call over a connection with a client certificate, as gRPC describes it."""

    def __init__(self, pem: bytes) -> None:
        self._pem = pem

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """None."""
        return ()

    def peer(self) -> str:
        """An address."""
        return "ipv4:10.0.0.7:1"

    def auth_context(self) -> dict[str, list[bytes]]:
        """What TLS found."""
        return {"x509_pem_cert": [self._pem]}


def test_a_certificate_that_tls_accepts_and_the_library_does_not_is_refused() -> None:
    """A name in it of a type that nobody uses made the call INTERNAL, with a traceback in the log."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]), datetime.now(UTC)
    x400_name = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3004a3020500"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + timedelta(days=1))
        .add_extension(x400_name, critical=False)
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(Unauthenticated):
        call_facts("/x/Y", cast("Any", Connection(certificate.public_bytes(Encoding.PEM))))
