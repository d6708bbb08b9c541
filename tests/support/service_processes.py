"""Service processes that start quickly.

Importing torch and transformers takes seconds, and tests that kill services start them a dozen times. So one process imports
both services once and forks for each start; from there on the child is ``python -m render_service`` or ``-m separation_service``:
own session, own environment, own log, its ``main()``. `sonichaos up` starts them the usual way, which other tests use.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import NoReturn

SERVICES = ("separation_service", "render_service")
WHEN_USED = ("pyloudnorm", "scipy.fft", "scipy.ndimage", "scipy.signal", "transformers.models.bert.tokenization_bert")
"""What the services import when they first use it: here once, not in each child."""
_PR_SET_PDEATHSIG = 1  # prctl(2)
ROOT = Path(__file__).resolve().parents[2]


class ServiceForker:
    """The process that forks; use it as a ``with``."""

    def __init__(self) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "clients" / "python" / "src")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.service_processes"],
            cwd=ROOT,
            env={**plain_environment(), "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, service: str, environment: Mapping[str, str], log: Path, gate: Path | None = None) -> int:
        """Start a service; gives its process id. What it writes is appended to ``log``; ``gate`` is the folder of a `StageGate`."""
        return self._send(service, environment, log, **({} if gate is None else {"gate": str(gate)}))

    def run(self, service: str, environment: Mapping[str, str], log: Path) -> int:
        """Start a service that ends by itself; gives its exit status."""
        return self._send(service, environment, log, wait=True)

    def _send(self, service: str, environment: Mapping[str, str], log: Path, **more: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"service": service, "environment": {**plain_environment(), **environment}, "log": str(log), **more}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Stop forking; started services keep running."""
        self._process.kill()
        self._process.wait()


def plain_environment() -> dict[str, str]:
    """This process's environment without settings of an installation or of gRPC."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SONICHAOS_", "GRPC_"))}


def _serve(orders: list[str] | None = None) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps children
    mains = {service: import_module(f"{service}.__main__").main for service in SERVICES}
    for name in WHEN_USED:
        import_module(name)
    gates = import_module("tests.support.stage_gate")
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if "gate" in order:
                gates.install(gates.StageGate(Path(order["gate"])), order["service"])
            _become(order, mains[order["service"]])
        answer = pid
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _become(order: Mapping[str, object], main: object) -> NoReturn:
    """Runs in the child."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # children die with the test session
    log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, 64)
    os.environ.clear()
    os.environ.update(order["environment"])  # type: ignore[call-overload]
    # Imported here: gRPC reads how much to log when it is imported, and the services say it first.
    from servicekit.serving import end_process

    end_process(main())  # type: ignore[operator]


if __name__ == "__main__":
    _serve()
