"""The boundary of a gRPC server, on a real server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

from servicekit.errors import FieldViolation, InvalidFields, NotFound
from servicekit.metrics import Metrics
from servicekit.rpc.server import RpcServer
from servicekit.rpc.status import as_service_error, to_status
from sonichaos.jobs.v1 import jobs_service_pb2, jobs_service_pb2_grpc

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
        yield jobs_service_pb2.WatchJobResponse()
        raise NotFound("gone", metadata={"job_id": "j-x"})


@pytest.fixture
async def server() -> AsyncIterator[tuple[RpcServer, aio.Channel]]:
    """A server that listens, not yet serving, and a channel to it."""
    made = RpcServer(metrics=Metrics("test"), gated_methods=[f"/{NAME}/CancelJob"], service_names=[NAME])
    jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(Servicer(), made.grpc_server)
    (address,) = await made.start(["127.0.0.1:0"])
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


def test_a_full_disk_is_named(tmp_path: object) -> None:
    """ENOSPC wherever it happens is DISK_FULL, with a retry time."""
    known = as_service_error(OSError(28, "No space left on device", "jobs/x/v1.zip"))
    assert (known.reason, known.metadata) == ("DISK_FULL", {"path": "jobs/x/v1.zip"})
    assert len(to_status(known, stage="STORE").details) == 2
