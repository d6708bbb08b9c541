"""Admission hooks of an operator: a real gRPC server on loopback, and commands that are shell scripts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from sonichaos.admission.v1 import admission_pb2, admission_pb2_grpc

Request = admission_pb2.CheckAdmissionRequest
Response = admission_pb2.CheckAdmissionResponse
THREADS = 16


@dataclass
class HookServer(admission_pb2_grpc.AdmissionServiceServicer):
    """Decides by ``decide`` and records what it was asked, with the metadata of the calls."""

    decide: Callable[[Request], Response]
    address: str = ""
    asked: list[Request] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    was_asked: threading.Event = field(default_factory=threading.Event)

    def CheckAdmission(self, request: Request, context: grpc.ServicerContext) -> Response:
        """One decision."""
        self.asked.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.was_asked.set()
        return self.decide(request)


@contextmanager
def hook_server(
    decide: Callable[[Request], Response],
    *,
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[HookServer]:
    """An operator's AdmissionService, serving."""
    hook = HookServer(decide)
    server = grpc.server(ThreadPoolExecutor(THREADS))
    admission_pb2_grpc.add_AdmissionServiceServicer_to_server(hook, server)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    hook.address = address if address.startswith("unix:") else f"127.0.0.1:{port}"
    server.start()
    try:
        yield hook
    finally:
        server.stop(None).wait()


def accept(_request: Request) -> Response:
    """Accepts everything."""
    return Response(accepted=True)


def refuse(reason: str) -> Callable[[Request], Response]:
    """Refuses everything."""
    return lambda _request: Response(accepted=False, reason=reason)


def script(folder: Path, text: str) -> str:
    """The setting of a command that runs ``text`` in a shell."""
    path = folder / "hook.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return f"command:{path}"
