"""What TLS and identity cost per call: GetJob over each kind of connection with each kind of identity, side by side.

    python -m benchmarks.identity [--rounds 40] [--calls 25] [--connections 20]

One server process has the parts that every service has: journal (SQLite), boundary, gatekeeper, log of access. One client process
has a warm connection of each kind. Each round makes some calls in a row over each of them, in an order drawn anew. The ratio is the
median over all rounds of a round's median divided by that of the same round in plain text without identity; for processor time,
which other load on the machine disturbs less, of a round's sum over both processes. The last column is the time from a new
connection to its first answer.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from jobs_service import Feed, JobDeletions, JobMessages, JobsServicer, Retention
from jobs_service.rpc_scopes import rpc_scopes
from jobs_service.server import GATED_METHODS
from servicekit.access.api_key import NewApiKey, new_key_text
from servicekit.access.call_limits import CallLimits
from servicekit.access.caller import LOCAL_TENANT, Scope
from servicekit.access.limits import LimitPolicy, TenantLimits
from servicekit.clock import SystemClock
from servicekit.host_settings import HostSettings
from servicekit.installation import make_folders, open_gatekeeper, open_journal, open_store
from servicekit.journal import OwningService
from servicekit.logs import configure_logs
from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint, Security
from servicekit.rpc.server import RpcServer
from servicekit.tls import CertificateFiles
from sonichaos.jobs.v1 import jobs_service_pb2_grpc
from sonichaos_client import Client, Credentials
from tests.support.certificates import Authority, Certificate
from tests.support.journal_rows import new_job, request
from tests.support.tokens import AUDIENCE, ISSUER, Issuer

TENANT = "studio"
_NAME = "sonichaos.jobs.v1.JobsService"
_ACCESS = f"""
[[certificate]]
subject = "CN=mixer"
tenant = "{TENANT}"
scopes = ["read"]

[[jwt]]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
jwks = "jwks.json"
algorithms = ["ES256"]
"""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What the client needs to know of the server: an address of each kind, a job of each tenant, an API key."""

    unix: str
    plain: str
    tls: str
    mutual_tls: str
    job_ids: Mapping[str, str]
    api_key: str


@dataclass
class Case:
    """A way to call, and its measured times: seconds of each call by round, processor seconds a call by round, first calls."""

    name: str
    address: str
    credentials: Credentials
    job_id: str
    rounds_s: list[list[float]] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)

    def connect(self) -> Client:
        """A client that has no connection yet."""
        return Client(self.address, self.address, credentials=self.credentials)


async def serve(folder: Path, server: Certificate, authority: Path, pipe: Connection) -> None:
    """Serve until the client says so."""
    settings, clock = HostSettings(data=folder), SystemClock()
    make_folders(settings)
    certificate = CertificateFiles(server.certificate, server.key, authority)
    endpoints = (
        Endpoint(f"unix:{settings.run_folder / 'render.sock'}"),
        Endpoint("127.0.0.1:0"),
        Endpoint("127.0.0.1:0", Security.TLS, certificate),
        Endpoint("127.0.0.1:0", Security.MUTUAL_TLS, certificate),
    )
    async with AsyncExitStack() as resources:
        log = resources.enter_context((folder / "log").open("wb"))
        configure_logs(service="benchmark", level="info", descriptor=log.fileno())
        journal, store = open_journal(settings, clock), open_store(settings, clock)
        resources.callback(journal.close)
        text = new_key_text()
        journal.create_api_key(
            NewApiKey(
                key_id=text.key_id,
                secret_sha256=text.secret_sha256,
                tenant=TENANT,
                name="benchmark",
                scopes=frozenset({Scope.READ}),
            )
        )
        job_ids = {
            tenant: journal.accept(new_job(request(tenant=tenant)), limit=10).job.job_id
            for tenant in (LOCAL_TENANT, TENANT)
        }
        scopes = rpc_scopes(OwningService.RENDER)
        addresses = (endpoint.address for endpoint in endpoints)
        rpc = RpcServer(
            metrics=Metrics("render"),
            gated_methods=GATED_METHODS,
            service_names=(_NAME,),
            gatekeeper=await open_gatekeeper(settings, journal, resources, scopes, *addresses),
            call_limits=CallLimits(LimitPolicy(TenantLimits(requests_per_second=1e6))),  # counted, and never reached
        )
        servicer = JobsServicer(
            await resources.enter_async_context(Feed(journal, OwningService.RENDER)),
            store,
            JobDeletions(journal, OwningService.RENDER, store),
            pools=rpc.pools,
            clock=clock,
            queue_limit=settings.queue_limit,
            url_ttl_s=settings.url_ttl_seconds,
            as_message=JobMessages(journal, Retention.of(settings)),
            call_limits=rpc.call_limits,
        )
        jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(servicer, rpc.grpc_server)
        unix, plain, tls, mutual_tls = await rpc.start(endpoints)
        await rpc.serve()
        pipe.send(Serving(unix=unix, plain=plain, tls=tls, mutual_tls=mutual_tls, job_ids=job_ids, api_key=text.text))
        await asyncio.to_thread(pipe.recv)
        await rpc.stop(0.1)


def serve_process(folder: Path, server: Certificate, authority: Path, pipe: Connection) -> None:
    """What the server's process runs."""
    asyncio.run(serve(folder, server, authority, pipe))


def cases(serving: Serving, authority: Path, token: str, client: Certificate) -> list[Case]:
    """Each way to call. The first has neither TLS nor identity."""
    mine, others = serving.job_ids[LOCAL_TENANT], serving.job_ids[TENANT]
    key, jwt = Credentials(ca=authority, api_key=serving.api_key), Credentials(ca=authority, token=token)
    mixer = Credentials(ca=authority, certificate=client.certificate, private_key=client.key)
    tls = f"https://{serving.tls}"
    return [
        Case("loopback, no identity", serving.plain, Credentials(), mine),
        Case("Unix socket, no identity", serving.unix, Credentials(), mine),
        Case("loopback, API key", serving.plain, key, others),
        Case("loopback, JWT (ES256)", serving.plain, jwt, others),
        Case("TLS, no identity", tls, Credentials(ca=authority), mine),
        Case("TLS, API key", tls, key, others),
        Case("TLS, JWT (ES256)", tls, jwt, others),
        Case("mutual TLS, client certificate", f"https://{serving.mutual_tls}", mixer, others),
    ]


def timed_call(client: Client, job_id: str) -> float:
    """Seconds of one call."""
    begun_s = time.perf_counter()
    client.get_job(job_id)
    return time.perf_counter() - begun_s


def cpu_of(pid: int) -> float:
    """Processor seconds of a process, to the nanosecond (proc(5), /proc/PID/task/TID/schedstat)."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text(encoding="ascii").split()[0]) for thread in threads) * 1e-9


def measure(compared: list[Case], server_pid: int, rounds: int, calls: int, connections: int) -> None:
    """Call every case in every round, in an order drawn anew."""

    def spent_s() -> float:
        return cpu_of(server_pid) + cpu_of(os.getpid())

    order = random.Random(7)  # noqa: S311  no secret
    with ExitStack() as opened:
        clients = {case.name: opened.enter_context(case.connect()) for case in compared}
        for case in compared:
            for _ in range(calls):
                timed_call(clients[case.name], case.job_id)
        for _ in range(rounds):
            for case in order.sample(compared, len(compared)):
                before_s = spent_s()
                case.rounds_s.append([timed_call(clients[case.name], case.job_id) for _ in range(calls)])
                case.cpu_s.append((spent_s() - before_s) / calls)
    for _ in range(connections):
        for case in order.sample(compared, len(compared)):
            with case.connect() as client:
                case.first_s.append(timed_call(client, case.job_id))


def row(case: Case, base: Case) -> str:
    """One row of the table."""
    all_s = [seconds for one in case.rounds_s for seconds in one]
    medians_s = [[statistics.median(one) for one in rounds] for rounds in (case.rounds_s, base.rounds_s)]
    ratio, cpu_ratio = _ratio(*medians_s), _ratio(case.cpu_s, base.cpu_s)
    p99_s = statistics.quantiles(all_s, n=100)[-1]
    shown_s = (statistics.median(all_s), p99_s, statistics.median(case.cpu_s), statistics.median(case.first_s))
    median_ms, p99_ms, cpu_ms, first_ms = (1e3 * seconds for seconds in shown_s)
    return f"| {case.name} | {median_ms:.2f} | {p99_ms:.2f} | {ratio:.2f} | {cpu_ms:.2f} | {cpu_ratio:.2f} | {first_ms:.1f} |"


def _ratio(mine: list[float], theirs: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(mine, theirs, strict=True))


def main() -> None:
    """Start the server, measure, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=25)
    parser.add_argument("--connections", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority, issuer = Authority.create(folder), Issuer(claims={"tenant": TENANT, "scope": "read", "sub": "b"})
        data = folder / "data"
        data.mkdir(mode=0o700)
        (data / "access.toml").write_text(_ACCESS, encoding="utf-8")
        (data / "jwks.json").write_bytes(issuer.jwks())
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        arguments = (data, authority.server(), authority.ca, theirs)
        server = context.Process(target=serve_process, args=arguments, daemon=True)
        server.start()
        theirs.close()
        serving: Serving = mine.recv()
        compared = cases(serving, authority.ca, issuer.token(exp=4_000_000_000), authority.client("mixer"))
        measure(compared, server.pid or 0, options.rounds, options.calls, options.connections)
        mine.send("done")
        server.join()
    print(
        "| connection and identity | median, ms | 99th percentile, ms | ratio | processor, ms | ratio | first call, ms |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for case in compared:
        print(row(case, compared[0]))


if __name__ == "__main__":
    main()
