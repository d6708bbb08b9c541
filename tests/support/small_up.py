"""``sonichaos up`` with two small services instead of the real ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# A service that logs its environment, serves health and its model's name, and says on SIGTERM that it drains.
SERVICE = """
import json, os, signal, sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from sonichaos.render.v1 import render_pb2, render_pb2_grpc
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc

name = __spec__.parent
chosen = {{key: value for key, value in os.environ.items() if key.startswith("SONICHAOS_")}}
print(json.dumps({{"environment": chosen, "pid": os.getpid()}}), flush=True)
{extra}
if name == "render_service":
    class Servicer(render_pb2_grpc.RenderServiceServicer):
        def GetModelInfo(self, request, context):
            return render_pb2.GetModelInfoResponse(name=chosen.get("SONICHAOS_RENDERER", "starter"))
    add = render_pb2_grpc.add_RenderServiceServicer_to_server
    address = chosen["SONICHAOS_RENDER_LISTEN"]
else:
    class Servicer(separation_pb2_grpc.SeparationServiceServicer):
        def GetModelInfo(self, request, context):
            return separation_pb2.GetModelInfoResponse(name=chosen.get("SONICHAOS_SEPARATOR", "starter"))
    add = separation_pb2_grpc.add_SeparationServiceServicer_to_server
    address = chosen["SONICHAOS_SEPARATION_LISTEN"]
server = grpc.server(ThreadPoolExecutor(4))
add(Servicer(), server)
servicer = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port(address)
run = os.path.join(chosen["SONICHAOS_DATA"], "run")
os.makedirs(run, exist_ok=True)
server.add_insecure_port("unix:" + os.path.join(run, name.removesuffix("_service") + ".sock"))
servicer.set("", health_pb2.HealthCheckResponse.SERVING)
server.start()
def drain(*_):
    print(f"{{name}} drains", flush=True)
    {drain}
    os._exit(0)
signal.signal(signal.SIGTERM, drain)
while True:
    time.sleep(60)
"""


class Up:
    """A running ``sonichaos up`` over the small services."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        output: tuple[str, ...] = ("--json", "--logs"),
        environment: dict[str, str] | None = None,
        stdout: int = subprocess.PIPE,
        stderr: int | None = None,
    ) -> None:
        self.errors = folder / "stderr.txt"
        paths = [str(folder), str(ROOT), str(ROOT / "clients" / "python" / "src")]
        listen = [f"--{name}-listen=127.0.0.1:0" for name in ("render", "separation", "url")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from hostctl.up import up; up()", *output, *listen, *options],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "SONICHAOS_DATA": str(folder / "data"),
                **(environment or {}),
            },
            stdout=stdout,
            stderr=self.errors.open("wb") if stderr is None else stderr,
            text=True,
        )

    def ready(self) -> dict[str, str]:
        """What it prints when it is ready."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer: dict[str, str] = json.loads(line)
            if "ready" in answer:
                return answer
        raise AssertionError(self.log())

    def log(self) -> str:
        """Its stderr."""
        return self.errors.read_text()

    def environment_of(self, service: str) -> dict[str, str]:
        """The environment of a service."""
        begin = f'{service} | {{"environment"'
        line = next(line for line in self.log().splitlines() if line.startswith(begin))
        given: dict[str, str] = json.loads(line.partition(" | ")[2])["environment"]
        return given

    def pid(self, service: str) -> int:
        """The process id of a service."""
        return self.pids(service)[0]

    def pids(self, service: str) -> list[int]:
        """The process ids of all starts of a service."""
        begin = f'{service} | {{"environment"'
        lines = [line for line in self.log().splitlines() if line.startswith(begin)]
        return [int(json.loads(line.partition(" | ")[2])["pid"]) for line in lines]


def services(folder: Path, *, extra: str = "", drain: str = "pass") -> Path:
    """A folder from which ``python -m`` runs the small services."""
    for name in ("render_service", "separation_service"):
        (folder / name).mkdir()
        (folder / name / "__main__.py").write_text(SERVICE.format(extra=extra, drain=drain))
        (folder / name / "__init__.py").touch()
    return folder


def ends(pid: int) -> bool:
    """Whether a process ends within 10 s."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def read_until(descriptor: int, end: bytes | None) -> str:
    """What a terminal shows until ``end``, or until its other side is closed."""
    shown = b""
    try:
        while end is None or end not in shown:
            shown += os.read(descriptor, 4096)
    except OSError:  # Linux: the other side was closed
        assert end is None, shown.decode()
    return shown.decode().replace("\r\n", "\n")


REAL_LOG = """
def log(event):
    print(json.dumps({"source": "servicekit.serving", "event": event, "level": "info"}), flush=True)
log("listening")
log("serving")
"""
