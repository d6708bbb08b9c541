"""A JobsService that trusts nobody: its gatekeeper is the one that both services open, from a data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from jobs_service.rpc_scopes import rpc_scopes
from servicekit.access.api_key import KeyText, NewApiKey, new_key_text
from servicekit.access.call_limits import CallLimits
from servicekit.access.caller import Scope
from servicekit.clock import Clock, SystemClock
from servicekit.host_settings import HostSettings
from servicekit.installation import open_gatekeeper
from servicekit.journal import Journal, OwningService
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.server import RECHECK_S
from sonichaos.jobs.v1 import jobs_service_pb2
from tests.support.jobs_server import Wire, refusal, serving
from tests.support.journal_rows import new_job, request, url_of

READ = frozenset({Scope.READ})
Metadata = tuple[tuple[str, str | bytes], ...]


def bearer(token: str | KeyText) -> Metadata:
    """The metadata of a call with a credential."""
    return (("authorization", f"Bearer {token.text if isinstance(token, KeyText) else token}"),)


@dataclass
class Guarded:
    """The server and the journal behind it."""

    wire: Wire
    journal: Journal

    def key(self, tenant: str = "a", scopes: frozenset[Scope] = READ, **changes: Any) -> KeyText:
        """A new API key."""
        text = new_key_text()
        new = NewApiKey(
            key_id=text.key_id,
            secret_sha256=text.secret_sha256,
            tenant=tenant,
            name="",
            scopes=scopes,
            **changes,
        )
        self.journal.create_api_key(new)
        return text

    def job(self, tenant: str = "a") -> str:
        """A new job of a tenant."""
        return self.journal.accept(new_job(request(tenant=tenant)), limit=1000).job.job_id

    async def tenants(self, metadata: Metadata) -> set[str]:
        """The tenants whose jobs a caller sees."""
        answer = await self.wire.stub.ListJobs(jobs_service_pb2.ListJobsRequest(), metadata=metadata)
        return {job.tenant for job in answer.jobs}

    async def refusal(self, metadata: Metadata) -> tuple[grpc.StatusCode, str]:
        """Code and reason of a refused call."""
        asked = jobs_service_pb2.ListJobsRequest()
        code, reason, _ = await refusal(self.wire.stub.ListJobs(asked, metadata=metadata))
        return code, reason

    async def message(self, metadata: Metadata) -> str:
        """What the error of a refused call says."""
        try:
            await self.tenants(metadata)
        except aio.AioRpcError as error:
            return error.details() or ""
        return ""


@asynccontextmanager
async def guarded(
    folder: Path,
    *,
    rules: str = "",
    recheck_s: float = RECHECK_S,
    more_endpoints: Sequence[Endpoint] = (),
    clock: Clock | None = None,
    call_limits: CallLimits | None = None,
) -> AsyncIterator[Guarded]:
    """The server over a journal in ``folder``, with ``rules`` as its access file; tenants a and b have a job each."""
    (folder / "access.toml").write_text(rules)
    settings = HostSettings(data=folder, journal_url=url_of(folder), identify_local_callers=True)
    async with AsyncExitStack() as resources:
        journal = resources.enter_context(Journal.open(settings.journal, clock=clock or SystemClock()))
        gatekeeper = await open_gatekeeper(
            settings, journal, resources, rpc_scopes(OwningService.RENDER), "127.0.0.1:0"
        )
        wire = await resources.enter_async_context(
            serving(
                folder,
                journal,
                gatekeeper=gatekeeper,
                call_limits=call_limits,
                recheck_s=recheck_s,
                more_endpoints=more_endpoints,
            )
        )
        served = Guarded(wire, journal)
        for tenant in ("a", "b"):
            served.job(tenant)
        yield served
