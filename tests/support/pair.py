"""A pair of services under test, each started, killed and restarted separately."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.gpu_lock import GpuLock
from sonichaos_client import CallOptions, Client, RetryPolicy
from tests.support.s3_servers import free_port
from tests.support.service_processes import ServiceForker

RENDER, SEPARATION = "render_service", "separation_service"
LIMIT_S = 120.0
ONCE = CallOptions(retry=RetryPolicy(max_attempts=1))
"""A test that breaks something asks what one call answers."""
T = TypeVar("T")


def eventually(look: Callable[[], T], what: str | Callable[[], str]) -> T:
    """The first true value of ``look``; fails after two minutes, naming what was expected."""
    give_up_s = time.monotonic() + LIMIT_S
    while not (value := look()):
        if time.monotonic() > give_up_s:
            pytest.fail(f"after {LIMIT_S:.0f} s still not: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)
    return value


def health_of(address: str) -> int | None:
    """The health status at an address; None if no service answers there."""
    with grpc.insecure_channel(address) as channel:
        try:
            request = health_pb2.HealthCheckRequest()
            return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=5.0).status)
        except grpc.RpcError:
            return None


def loan_maps(pid: int) -> set[str]:
    """Inodes of the lent regions that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    return {line.split()[4] for line in lines if "/memfd:sonichaos-loan" in line}


def open_files(pid: int) -> list[str]:
    """What a process's descriptors point to; sockets, pipes and the kernel's own without their numbers."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(re.sub(r":\[\d+\]$", "", str(descriptor.readlink())))
        except FileNotFoundError:
            continue
    return sorted(found)


@contextmanager
def turn_held(data: Path) -> Iterator[None]:
    """The GPU lock held by the test, so that work stops where it needs the lock.

    Asked for while another has it, it comes before whoever asks later.
    """
    with GpuLock(data / "run" / "cpu.lock").held():
        yield


@dataclass(frozen=True, kw_only=True)
class LivePair:
    """Both services as ``sonichaos up`` runs them. ``env`` is for programs that call them. ``page_url`` is empty without a page."""

    render_address: str
    separation_address: str
    url_listen: str
    data: Path
    pid: int
    render_pid: int
    separation_pid: int
    client: Client
    env: Mapping[str, str]
    log: Path
    persona: str
    other_persona: str
    page_url: str = ""


@dataclass
class Pair:
    """Both services, each started alone, with settings of their own. ``gate`` is the folder of their `StageGate`, if any."""

    forker: ServiceForker
    folder: Path
    settings: Mapping[str, str]
    data: Path
    gate: Path | None = None
    ports: dict[str, int] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    _client: Client | None = None

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in (RENDER, SEPARATION, "url")}

    def address(self, service: str) -> str:
        """The address of a service."""
        return f"127.0.0.1:{self.ports[service]}"

    @property
    def client(self) -> Client:
        """A client of both."""
        if self._client is None:
            self._client = Client(self.address(RENDER), self.address(SEPARATION), options=ONCE)
        return self._client

    def log(self, service: str) -> Path:
        """The log text of a service over all its starts."""
        return self.folder / f"{service}.log"

    def log_lines(self, service: str) -> list[dict[str, Any]]:
        """The log; each line is one JSON object."""
        return [json.loads(line) for line in self.log(service).read_text(encoding="utf-8").splitlines()]

    def environment(self, service: str) -> dict[str, str]:
        """The settings of a service."""
        mine = {
            "SONICHAOS_DATA": str(self.data),
            "SONICHAOS_URL_LISTEN": f"127.0.0.1:{self.ports['url']}",
            "SONICHAOS_THREADS": "2",
        }
        if service == RENDER:
            mine["SONICHAOS_RENDER_LISTEN"] = self.address(RENDER)
            mine["SONICHAOS_SEPARATION_ADDRESS"] = self.address(SEPARATION)
        else:
            mine["SONICHAOS_SEPARATION_LISTEN"] = self.address(SEPARATION)
        return {**self.settings, **mine}

    def start(self, *services: str) -> None:
        """Start services (both, if none is named) and wait until health says SERVING."""
        chosen = services or (SEPARATION, RENDER)
        self.launch(*chosen)
        for service in chosen:
            eventually(lambda service=service: self._is_up(service), f"{service} serves")  # type: ignore[misc]

    def launch(self, *services: str) -> None:
        """Start services without waiting for them."""
        for service in services:
            self.pids[service] = self.forker.start(service, self.environment(service), self.log(service), self.gate)

    def _is_up(self, service: str) -> bool:
        if not psutil.pid_exists(self.pids[service]):
            pytest.fail(f"{service} ended before it was ready:\n{self.log(service).read_text(encoding='utf-8')}")
        return self.health(service) == int(health_pb2.HealthCheckResponse.SERVING)

    def health(self, service: str) -> int | None:
        """The health status; None if the service does not answer."""
        return health_of(self.address(service))

    def kill(self, service: str) -> None:
        """SIGKILL, and wait until the process is gone."""
        self.signal(service, signal.SIGKILL)
        self.wait_gone(service)

    def signal(self, service: str, which: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pids[service], which)

    def is_alive(self, service: str) -> bool:
        """Whether its process exists."""
        return psutil.pid_exists(self.pids[service])

    def wait_gone(self, service: str) -> None:
        """Wait until the process has ended with all its threads, which hold its locks until then."""
        eventually(lambda: not psutil.pid_exists(self.pids[service]), f"{service} has ended")

    def stop(self) -> None:
        """Stop all running services."""
        if self._client is not None:
            self._client.close()
            self._client = None
        for service, pid in self.pids.items():
            if psutil.pid_exists(pid):
                self.kill(service)

    def stored(self, job_id: str) -> list[str]:
        """Names of the files of a job that the folder store shows."""
        folder = self.data / "store" / "jobs" / job_id
        return sorted(path.name for path in folder.rglob("*") if path.is_file())
