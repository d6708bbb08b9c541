"""The boundary of a gRPC server, on a real server on loopback."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import math
from collections.abc import AsyncIterator
from typing import Any, cast
from urllib.parse import quote

import grpc
import pytest
import torch
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

from servicekit.errors import FieldViolation, InvalidFields, NotFound, ResourceExhausted
from servicekit.journal import OwningService
from servicekit.metrics import Metrics
from servicekit.rpc import receive
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.health_servicer import HealthServicer
from servicekit.rpc.server import RpcServer
from servicekit.rpc.status import as_service_error, to_status
from servicekit.rpc.wellformed import check_request
from sonichaos.jobs.v1 import brief_pb2, jobs_service_pb2, jobs_service_pb2_grpc
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from tests.support.callers import identifying, trusting

NAME = "sonichaos.jobs.v1.JobsService"


class Servicer(jobs_service_pb2_grpc.JobsServiceServicer):
    """Answers with one error of each kind."""

    async def GetJob(self, request: jobs_service_pb2.GetJobRequest, context: object) -> Any:
        raise NotFound("no job j-x", metadata={"job_id": "j-x"})

    async def ListJobs(self, request: jobs_service_pb2.ListJobsRequest, context: object) -> Any:
        raise InvalidFields([FieldViolation("page_size", "wants at most 200"), FieldViolation("page_token", "is odd")])

    async def DeleteJob(self, request: jobs_service_pb2.DeleteJobRequest, context: object) -> Any:
        raise ZeroDivisionError("secret inner detail")

    async def CancelJob(self, request: jobs_service_pb2.CancelJobRequest, context: object) -> Any:
        return jobs_service_pb2.CancelJobResponse()

    async def WatchJob(self, request: jobs_service_pb2.WatchJobRequest, context: object) -> AsyncIterator[Any]:
        """One event, then without end: events if the caller wants heartbeats, or nothing if it has events already."""
        yield jobs_service_pb2.WatchJobResponse()
        while request.heartbeat_seconds:
            yield jobs_service_pb2.WatchJobResponse(event={"job_id": "x" * 1000})
        if request.after_sequence:
            await asyncio.Event().wait()
        raise NotFound("gone", metadata={"job_id": "j-x"})


@pytest.fixture
async def server() -> AsyncIterator[tuple[RpcServer, aio.Channel]]:
    """A server that listens, not yet serving, and a channel to it."""
    made = RpcServer(
        metrics=Metrics("test"), gated_methods=[f"/{NAME}/CancelJob"], service_names=[NAME], gatekeeper=trusting()
    )
    jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(Servicer(), made.grpc_server)
    (address,) = await made.start([Endpoint("127.0.0.1:0")])
    async with aio.insecure_channel(address) as channel:
        yield made, channel
    await made.stop(0)


def details(error: aio.AioRpcError) -> dict[str, Any]:
    """The status' details by the name of their type."""
    status = rpc_status.from_call(error)
    found: dict[str, Any] = {}
    for detail in status.details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            message = kind()
            if detail.Unpack(message):
                found[kind.__name__] = message
    return found


async def refused(call: Any) -> aio.AioRpcError:
    """The error that a call ends with."""
    with pytest.raises(aio.AioRpcError) as error:
        await call
    return error.value


async def test_an_error_carries_reason_domain_and_metadata(server: tuple[RpcServer, aio.Channel]) -> None:
    """A program can act on it."""
    stub = jobs_service_pb2_grpc.JobsServiceStub(server[1])
    error = await refused(stub.GetJob(jobs_service_pb2.GetJobRequest()))
    info = details(error)["ErrorInfo"]
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert (info.reason, info.domain, dict(info.metadata)) == ("JOB_NOT_FOUND", "sonichaos.ai", {"job_id": "j-x"})


async def test_bad_requests_name_each_field(server: tuple[RpcServer, aio.Channel]) -> None:
    """All violations come at once."""
    stub = jobs_service_pb2_grpc.JobsServiceStub(server[1])
    error = await refused(stub.ListJobs(jobs_service_pb2.ListJobsRequest()))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [v.field for v in details(error)["BadRequest"].field_violations] == ["page_size", "page_token"]


async def test_what_nobody_expected_stays_inside(server: tuple[RpcServer, aio.Channel]) -> None:
    """A caller learns that it was unexpected, not how the inside looks."""
    stub = jobs_service_pb2_grpc.JobsServiceStub(server[1])
    error = await refused(stub.DeleteJob(jobs_service_pb2.DeleteJobRequest()))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(error.details())


async def test_a_stream_keeps_what_came_before_its_error(server: tuple[RpcServer, aio.Channel]) -> None:
    """One message, then the status."""
    stub = jobs_service_pb2_grpc.JobsServiceStub(server[1])
    call = stub.WatchJob(jobs_service_pb2.WatchJobRequest())
    came = []
    with pytest.raises(aio.AioRpcError) as error:
        async for message in call:
            came.append(message)  # noqa: PERF401  the error ends the loop
    assert len(came) == 1
    assert details(error.value)["ErrorInfo"].reason == "JOB_NOT_FOUND"


async def test_a_stream_that_is_cancelled_while_it_sends_is_counted() -> None:
    """Its generator is closed after gRPC has freed the call, so nothing may be asked of the call then: that crashed the process."""
    metrics = Metrics("test")
    rpc = RpcServer(metrics=metrics, gated_methods=(), service_names=[NAME], gatekeeper=trusting())
    jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(Servicer(), rpc.grpc_server)
    (address,) = await rpc.start([Endpoint("127.0.0.1:0")])
    labels = {"method": f"/{NAME}/WatchJob", "code": "CANCELLED"}
    async with aio.insecure_channel(address) as channel:
        stub = jobs_service_pb2_grpc.JobsServiceStub(channel)
        for number in range(1, 9):
            call = stub.WatchJob(jobs_service_pb2.WatchJobRequest(heartbeat_seconds=1))
            await call.read()
            call.cancel()
            while metrics.registry.get_sample_value("sonichaos_test_rpcs_total", labels) != number:
                gc.collect()
                await asyncio.sleep(0.01)
    await rpc.stop(0)


async def test_new_work_waits_for_warm_models_and_stops_when_draining(server: tuple[RpcServer, aio.Channel]) -> None:
    """UNAVAILABLE with a retry time before and after; health says the same."""
    rpc, channel = server
    stub, health = jobs_service_pb2_grpc.JobsServiceStub(channel), health_pb2_grpc.HealthStub(channel)

    async def state() -> int:
        return int((await health.Check(health_pb2.HealthCheckRequest(service=NAME))).status)

    error = await refused(stub.CancelJob(jobs_service_pb2.CancelJobRequest()))
    assert details(error)["ErrorInfo"].reason == "WARMING"
    assert details(error)["RetryInfo"].retry_delay.seconds > 0
    assert await state() == health_pb2.HealthCheckResponse.NOT_SERVING
    await rpc.serve()
    await stub.CancelJob(jobs_service_pb2.CancelJobRequest())
    assert await state() == health_pb2.HealthCheckResponse.SERVING
    await rpc.drain()
    error = await refused(stub.CancelJob(jobs_service_pb2.CancelJobRequest()))
    assert details(error)["ErrorInfo"].reason == "DRAINING"
    assert await state() == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_describes_services_and_error_details(
    server: tuple[RpcServer, aio.Channel], version: str
) -> None:
    """Both versions list every service, describe each of them, and describe the types that error details have."""
    service = f"grpc.reflection.{version}.ServerReflection"
    call = server[1].stream_stream(
        f"/{service}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    listed = await call(iter([reflection_pb2.ServerReflectionRequest(list_services="")])).read()
    names = {found.name for found in listed.list_services_response.service}
    assert {NAME, "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"} <= names
    for symbol in (*names, "google.rpc.ErrorInfo", "google.rpc.RetryInfo", "google.rpc.BadRequest"):
        asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
        assert (await call(iter([asked])).read()).file_descriptor_response.file_descriptor_proto, symbol


async def test_health_streams_and_lists_the_states(server: tuple[RpcServer, aio.Channel]) -> None:
    """A client that checks health by its service config uses Watch: it must see NOT_SERVING, then SERVING."""
    rpc, channel = server
    health = health_pb2_grpc.HealthStub(channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(service=NAME))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    await rpc.serve()
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
    listed = (await health.List(health_pb2.HealthListRequest())).statuses
    assert {name: state.status for name, state in listed.items()} == {"": 1, NAME: 1}


async def test_a_client_that_checks_health_connects(server: tuple[RpcServer, aio.Channel]) -> None:
    """round_robin with healthCheckConfig leaves a server alone until Watch says SERVING."""
    rpc, _ = server
    await rpc.serve()
    config = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": NAME}})
    options = [("grpc.service_config", config), ("grpc.enable_health_checking", 1)]
    async with aio.insecure_channel(rpc.addresses[0], options=options) as checked:
        await jobs_service_pb2_grpc.JobsServiceStub(checked).CancelJob(jobs_service_pb2.CancelJobRequest(), timeout=20)


@pytest.mark.parametrize("method", [f"/{NAME}/AddStems", f"/{NAME}/WatchJobs", f"/{NAME}/Undreamt", "/no.Such/Method"])
async def test_a_method_without_an_implementation_is_refused_by_name(
    server: tuple[RpcServer, aio.Channel], method: str
) -> None:
    """A generated servicer writes the code into the context and raises; an unknown method has no handler at all."""
    call = server[1].unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
    error = await refused(call(b""))
    info = details(error)["ErrorInfo"]
    assert (error.code(), info.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED")
    assert info.metadata["method"] == method


async def test_calls_that_outlast_the_drain_end_with_draining(server: tuple[RpcServer, aio.Channel]) -> None:
    """A watch learns that it may resume, and when, instead of "Cancelling all calls"."""
    rpc, channel = server
    stub = jobs_service_pb2_grpc.JobsServiceStub(channel)
    watches = [stub.WatchJob(jobs_service_pb2.WatchJobRequest(after_sequence=1)) for _ in range(20)]
    for watch in watches:
        await watch.read()
    await rpc.drain()
    stopping = asyncio.create_task(rpc.stop(1.0))
    for watch in watches:
        error = await refused(watch.read())
        assert (error.code(), details(error)["ErrorInfo"].reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert details(error)["RetryInfo"].retry_delay.seconds > 0
    await stopping


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(-62_135_596_801, 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000), (-(1 << 63), 0), ((1 << 63) - 1, 0)],
)
async def test_times_that_are_none_are_refused(server: tuple[RpcServer, aio.Channel], seconds: int, nanos: int) -> None:
    """Before any handler converts, compares or digests them."""
    stub = jobs_service_pb2_grpc.JobsServiceStub(server[1])
    request = jobs_service_pb2.ListJobsRequest(created_after_time=Timestamp(seconds=seconds, nanos=nanos))
    error = await refused(stub.ListJobs(request))
    assert [v.field for v in details(error)["BadRequest"].field_violations] == ["created_after_time"]


def test_malformed_values_are_found_at_any_depth() -> None:
    """Each by its path: in a list, in a message of a message, in a repeated number."""
    brief = brief_pb2.Brief(seconds=math.nan, expire_time=Timestamp(nanos=-5))
    brief.tempo_map.points.add(start_seconds=0.0, bpm=120.0)
    brief.tempo_map.points.add(start_seconds=math.inf, bpm=120.0)
    with pytest.raises(InvalidFields) as wrong:
        check_request(render_pb2.CreateRenderRequest(brief=brief))
    fields = {violation.field for violation in wrong.value.violations}
    assert fields == {"brief.seconds", "brief.expire_time", "brief.tempo_map.points[1].start_seconds"}
    grid = separation_pb2.Grid(beat_seconds=[0.0, math.nan])
    with pytest.raises(InvalidFields):
        check_request(separation_pb2.ReplaceStemRequest(grid=grid))
    for ttl in (Duration(seconds=1, nanos=-1), Duration(nanos=1_000_000_000), Duration(seconds=1 << 62)):
        with pytest.raises(InvalidFields):
            check_request(jobs_service_pb2.CreateSignedUrlRequest(ttl=ttl))


@pytest.mark.parametrize("text", ["x" * 3000, "\u00e9" * 3000, "\U0001f3b5" * 3000, "\n" * 3000])
def test_a_status_is_bounded_whatever_it_repeats(text: str) -> None:
    """Message and details together stay below 4 KiB on the wire, name ten fields, and count the others."""
    violations = [FieldViolation(f"labels[{text}]", f"must be short, got {text}") for _ in range(32)]
    error = InvalidFields(violations)
    error.metadata["echo"] = text
    status = to_status(error, stage="PLAN")
    sent = len(quote(status.message, safe="".join(map(chr, range(0x20, 0x7F))))) + 4 * status.ByteSize() / 3
    assert sent <= 4096
    named = next(bad for detail in status.details if detail.Unpack(bad := error_details_pb2.BadRequest()))
    assert len(named.field_violations) == 10
    info = next(found for detail in status.details if detail.Unpack(found := error_details_pb2.ErrorInfo()))
    assert info.metadata["violations"] == "32"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "OUT_OF_MEMORY"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "OUT_OF_MEMORY"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory"),
            "OUT_OF_MEMORY",
        ),
        (RuntimeError("can't start new thread"), "OUT_OF_MEMORY"),
        (RuntimeError("std::bad_alloc"), "OUT_OF_MEMORY"),
        (OSError(errno.EMFILE, "Too many open files"), "DESCRIPTORS_EXHAUSTED"),
        (OSError(errno.ENFILE, "Too many open files in system"), "DESCRIPTORS_EXHAUSTED"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "INTERNAL"),
    ],
)
def test_exhaustion_is_named_whoever_raises_it(error: Exception, reason: str) -> None:
    """With a retry time; every other error stays INTERNAL, without one."""
    known = as_service_error(error)
    assert known.reason == reason
    assert (known.retry_after_s is None) == (reason == "INTERNAL")


def test_memory_that_torch_cannot_allocate_is_out_of_memory() -> None:
    """Its allocator's own words, not a copy of them."""
    with pytest.raises(RuntimeError) as failed:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert as_service_error(failed.value).metadata == {"device": "cpu"}


def test_a_full_disk_is_named(tmp_path: object) -> None:
    """ENOSPC wherever it happens is DISK_FULL, with a retry time."""
    known = as_service_error(OSError(28, "No space left on device", "jobs/x/v1.zip"))
    assert (known.reason, known.metadata) == ("DISK_FULL", {"path": "jobs/x/v1.zip"})
    assert len(to_status(known, stage="STORE").details) == 2


async def test_a_caller_is_refused_before_its_request_arrives() -> None:
    """Else anyone could make the service hold requests of megabytes that never end, and send them without a credential."""
    rpc = RpcServer(
        metrics=Metrics("test"), gated_methods=(), service_names=[NAME], gatekeeper=identifying(OwningService.RENDER)
    )
    jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(Servicer(), rpc.grpc_server)
    (address,) = await rpc.start([Endpoint("127.0.0.1:0")])
    async with aio.insecure_channel(address) as channel:
        for method in (f"/{NAME}/CancelJob", f"/{NAME}/WatchJob"):
            unfinished = channel.stream_stream(method)()  # it sends headers, and no message
            error = await refused(unfinished.read())
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    await rpc.stop(0)


async def test_a_request_that_never_arrives_is_not_waited_for_without_end(
    server: tuple[RpcServer, aio.Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that of a health check, which needs no credential. A call whose stream ends without a request is refused by name."""
    monkeypatch.setattr(receive, "REQUEST_LIMIT_S", 0.1)
    for method in (f"/{NAME}/GetJob", f"/{NAME}/WatchJob", "/grpc.health.v1.Health/Check"):
        error = await refused(server[1].stream_stream(method)().read())
        assert details(error)["ErrorInfo"].reason == "STREAM_TOO_SLOW"
    ended = server[1].stream_stream(f"/{NAME}/GetJob")()
    await ended.done_writing()
    assert details(await refused(ended.read()))["ErrorInfo"].reason == "INVALID_FIELD"


async def test_what_callers_without_a_credential_can_hold_by_health_checks_is_bounded(
    server: tuple[RpcServer, aio.Channel],
) -> None:
    """A name of a megabyte was held for as long as its watch, four times over."""
    health = health_pb2_grpc.HealthStub(server[1])
    long = health_pb2.HealthCheckRequest(service="x" * 257)
    for call in (health.Check(long), health.Watch(long).read()):
        assert (await refused(call)).code() is grpc.StatusCode.INVALID_ARGUMENT
    unknown = health.Watch(health_pb2.HealthCheckRequest(service="x"))
    assert (await unknown.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    unknown.cancel()


async def test_open_watches_of_health_are_bounded() -> None:
    """One that ends makes room."""
    servicer = HealthServicer(max_watches=1)
    await servicer.set("", 1)
    asked, context = health_pb2.HealthCheckRequest(), cast("Any", None)
    first, second = servicer.Watch(asked, context), servicer.Watch(asked, context)
    await anext(first)
    with pytest.raises(ResourceExhausted):
        await anext(second)
    await first.aclose()
    third = servicer.Watch(asked, context)
    assert (await anext(third)).status == 1
    await third.aclose()
