"""EraseJob and OperationsService over gRPC: who may call them, what they answer, and that Drain stops a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jobs_service.deletion import JobDeletions
from jobs_service.erasure import JobErasures
from jobs_service.operations_servicer import NAME, OperationsServicer
from jobs_service.tenant_erasure import TenantErasures
from servicekit.access.caller import Scope
from servicekit.journal import JobFilter, Journal, OwningService
from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.server import RpcServer
from servicekit.serving import ServiceProcess, StopRequest
from sonichaos.jobs.v1 import jobs_service_pb2
from sonichaos.operations.v1 import operations_pb2, operations_pb2_grpc
from tests.support.callers import as_tenant, trusting
from tests.support.jobs_server import refusal, serving
from tests.support.journal_rows import open_journal
from tests.support.personal_data import Texts, ended_job, erased, found_in, remaining, store_in, work_of

RENDER = OwningService.RENDER
TENANT = "studio"


async def test_a_caller_erases_its_own_job_only(tmp_path: Path) -> None:
    """Another tenant does not find it, and a reader's credential is not enough."""
    with open_journal(tmp_path) as journal:
        async with serving(tmp_path, journal) as wire:
            job_id = ended_job(journal, wire.store, TENANT)

            def erase(**call: Any) -> Any:
                return wire.stub.EraseJob(jobs_service_pb2.EraseJobRequest(job_id=job_id), **call)

            assert (await refusal(erase()))[1] == "JOB_NOT_FOUND"
            reader = as_tenant(TENANT, frozenset({Scope.READ}))
            assert (await refusal(erase(metadata=reader)))[1] == "SCOPE_MISSING"
            assert found_in(tmp_path, Texts(TENANT)) == set(Texts(TENANT).all)
            report = (await erase(metadata=as_tenant(TENANT, frozenset({Scope.RENDER})))).report
            assert (erased(report)["JOBS"], remaining(report)["AUDIT_ROWS"]) == (1, 1)
            assert found_in(tmp_path, Texts(TENANT)) == set()


@asynccontextmanager
async def operated(folder: Path, journal: Journal) -> AsyncIterator[tuple[Any, StopRequest]]:
    """A serving OperationsService, and its request to stop."""
    store, stopping = store_in(folder), StopRequest(7.0)
    jobs = JobErasures(journal, RENDER, JobDeletions(journal, RENDER, store))
    erasures = TenantErasures(journal, RENDER, jobs, lambda _tenant: {})
    rpc = RpcServer(metrics=Metrics("render"), gated_methods=(), service_names=(NAME,), gatekeeper=trusting())
    servicer = OperationsServicer(erasures, pools=rpc.pools, stop=stopping.stop)
    operations_pb2_grpc.add_OperationsServiceServicer_to_server(servicer, rpc.grpc_server)
    (address,) = await rpc.start((Endpoint("127.0.0.1:0"),))
    await rpc.serve()
    async with aio.insecure_channel(address) as channel:
        yield operations_pb2_grpc.OperationsServiceStub(channel), stopping
    await rpc.stop(0.1)


async def test_an_operator_erases_a_tenant_after_confirming_it(tmp_path: Path) -> None:
    """Without the scope, and with a tenant that is misspelt once, nothing is erased."""
    with open_journal(tmp_path) as journal:
        ended_job(journal, store_in(tmp_path), TENANT)
        async with operated(tmp_path, journal) as (stub, _):
            asked = operations_pb2.EraseTenantRequest(tenant=TENANT, confirm_tenant=TENANT)
            own = as_tenant(TENANT, frozenset(Scope) - {Scope.OPERATE})
            assert (await refusal(stub.EraseTenant(asked, metadata=own)))[:2] == (
                grpc.StatusCode.PERMISSION_DENIED,
                "SCOPE_MISSING",
            )
            for wrong in (
                operations_pb2.EraseTenantRequest(tenant=TENANT, confirm_tenant="studoi"),
                operations_pb2.EraseTenantRequest(tenant=TENANT),
                operations_pb2.EraseTenantRequest(tenant="Studio", confirm_tenant="Studio"),
            ):
                assert (await refusal(stub.EraseTenant(wrong)))[1] == "INVALID_FIELD"
            assert len(journal.jobs(TENANT, JobFilter()).jobs) == 1
            answer = await stub.EraseTenant(asked)
            assert (answer.finished, erased(answer.report)["JOBS"]) == (True, 1)
            assert found_in(tmp_path, Texts(TENANT)) == set()


async def test_what_reaches_beyond_a_tenant_is_for_the_operators_own(tmp_path: Path) -> None:
    """A customer whose key may operate erases its own tenant only, and does not stop the service."""
    with open_journal(tmp_path) as journal:
        ended_job(journal, store_in(tmp_path), TENANT)
        async with operated(tmp_path, journal) as (stub, _):
            customer = as_tenant("customer", frozenset({Scope.OPERATE}))
            for tenant in (TENANT, "nobody", "local"):
                asked = operations_pb2.EraseTenantRequest(tenant=tenant, confirm_tenant=tenant)
                refused = await refusal(stub.EraseTenant(asked, metadata=customer))
                assert refused == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", {"scope": "operate"})
            assert (await refusal(stub.Drain(operations_pb2.DrainRequest(), metadata=customer)))[1] == "SCOPE_MISSING"
            assert len(journal.jobs(TENANT, JobFilter()).jobs) == 1
            own = operations_pb2.EraseTenantRequest(tenant=TENANT, confirm_tenant=TENANT)
            answer = await stub.EraseTenant(own, metadata=as_tenant(TENANT, frozenset({Scope.OPERATE})))
            assert (answer.finished, erased(answer.report)["JOBS"]) == (True, 1)


async def test_a_call_about_work_that_still_runs_answers_before_its_deadline(tmp_path: Path) -> None:
    """It says that the erasure has not ended."""
    with open_journal(tmp_path) as journal:
        journal.accept(work_of(Texts(TENANT)), limit=10)
        journal.claim(RENDER, lease_s=600)
        async with operated(tmp_path, journal) as (stub, _):
            asked = operations_pb2.EraseTenantRequest(tenant=TENANT, confirm_tenant=TENANT)
            answer = await stub.EraseTenant(asked, timeout=3.0)
            assert (answer.finished, answer.jobs_left) == (False, 1)


class _Nothing:
    """No work; ``drained`` is how long it was given to finish."""

    drained: float | None = None

    def drain(self, timeout_s: float) -> bool:
        self.drained = timeout_s
        return True

    def keep_alive(self) -> bool:
        return True


@pytest.mark.parametrize(("given", "wanted"), [(None, 7.0), (Duration(seconds=3), 3.0)])
async def test_drain_stops_the_service_as_a_signal_does(tmp_path: Path, given: Duration | None, wanted: float) -> None:
    """The call is answered with the time that work has: the caller's or the setting's. The process then ends."""
    rpc = RpcServer(metrics=Metrics("render"), gated_methods=(), service_names=(NAME,), gatekeeper=trusting())
    stopping, work = StopRequest(7.0), _Nothing()
    listens, loop = asyncio.Event(), asyncio.get_running_loop()
    with open_journal(tmp_path) as journal:
        jobs = JobErasures(journal, RENDER, JobDeletions(journal, RENDER, store_in(tmp_path)))
        erasures = TenantErasures(journal, RENDER, jobs, lambda _tenant: {})
        servicer = OperationsServicer(erasures, pools=rpc.pools, stop=stopping.stop)
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(servicer, rpc.grpc_server)
        process = ServiceProcess(
            name="test",
            server=rpc,
            endpoints=(Endpoint("127.0.0.1:0"),),
            runner=nullcontext(work),
            warm=lambda: loop.call_soon_threadsafe(listens.set),
            stopping=stopping,
        )
        running = asyncio.create_task(process.run())
        await listens.wait()
        async with aio.insecure_channel(rpc.addresses[0]) as channel:
            health, asked = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
            async for state in health.Watch(asked):
                if state.status == health_pb2.HealthCheckResponse.SERVING:
                    break
            stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
            for wrong in (Duration(seconds=3601), Duration(seconds=-1)):
                assert (await refusal(stub.Drain(operations_pb2.DrainRequest(timeout=wrong))))[1] == "INVALID_FIELD"
            answer = await stub.Drain(operations_pb2.DrainRequest(timeout=given))
        await running
    assert (answer.timeout.ToTimedelta().total_seconds(), work.drained) == (wanted, wanted)
