"""What a scripted service stores, and how it behaves."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from servicekit.errors import NotFound, ServiceError
from servicekit.rpc.status import retry_pushback, to_status
from sonichaos.jobs.v1 import job_pb2
from sonichaos.render.v1 import render_pb2
from tests.support.scripted_file_server import ScriptedFileServer

BOUNCE = b"RIFF" + bytes(range(256)) * 64
ZIP = b"PK\x03\x04" + bytes(reversed(range(256))) * 12000
VOCALS = job_pb2.ZipEntry(
    name="vocals.wav", offset_bytes=4, size_bytes=2560, sha256=hashlib.sha256(ZIP[4:2564]).hexdigest()
)


@dataclass(frozen=True)
class Caller:
    """What a call said of its caller: ``authorization``, the client certificate's common name, and the header ``traceparent``."""

    authorization: tuple[str, ...]
    common_name: str
    traceparent: tuple[str, ...] = ()

    @classmethod
    def of(cls, context: grpc.ServicerContext) -> Caller:
        """The caller of a running call."""
        metadata = [(key, str(value)) for key, value in context.invocation_metadata()]
        names = context.auth_context().get("x509_common_name", [b""])
        bearers, traces = (
            tuple(value for key, value in metadata if key == name) for name in ("authorization", "traceparent")
        )
        return cls(bearers, names[0].decode(), traces)


@dataclass
class ScriptedService:
    """The state and behaviour of one service. Each call takes the next item of the lists of behaviour."""

    owner: job_pb2.OwningService.ValueType
    files: ScriptedFileServer
    jobs: dict[str, job_pb2.Job] = field(default_factory=dict)
    events: dict[str, list[job_pb2.JobEvent]] = field(default_factory=dict)
    personas: dict[str, render_pb2.Persona] = field(default_factory=dict)
    rows: list[render_pb2.AuditRow] = field(default_factory=list)
    errors: dict[str, list[ServiceError]] = field(default_factory=dict)
    disconnects: list[int] = field(default_factory=list)
    disconnect_code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    heartbeats: int = 0
    ending: job_pb2.JobState.ValueType = job_pb2.JOB_STATE_DONE
    ending_error: ServiceError | None = None
    chain: render_pb2.VerifyAuditChainResponse = field(
        default_factory=lambda: render_pb2.VerifyAuditChainResponse(intact=True, head_sequence=2, head_digest="ab" * 32)
    )
    replayed: render_pb2.ReplayTakeResponse = field(
        default_factory=lambda: render_pb2.ReplayTakeResponse(outcome=render_pb2.REPLAY_OUTCOME_EXACT)
    )
    page_size: int = 3
    awaits_cancel: bool = False
    pause_after: int | None = None
    stalled: set[str] = field(default_factory=set)
    resumed: threading.Event = field(default_factory=threading.Event)
    calls: list[tuple[str, Message]] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    def requests(self, method: str) -> list[Any]:
        """The requests to one method, in order."""
        return [request for name, request in self.calls if name == method]

    def receive(self, method: str, request: Message, context: grpc.ServicerContext) -> None:
        """Record a call, and fail it if the script says so."""
        self.times_s.append(time.monotonic())
        self.calls.append((method, request))
        self.callers.append(Caller.of(context))
        if method in self.stalled:
            self.resumed.wait(30)
        if self.errors.get(method):
            abort_with(self.errors[method].pop(0), context)

    def find(self, job_id: str, context: grpc.ServicerContext) -> job_pb2.Job:
        """A job; fails the call with JOB_NOT_FOUND."""
        if job_id not in self.jobs:
            abort_with(NotFound(f"no job {job_id}", metadata={"job_id": job_id}), context)
        return self.jobs[job_id]

    def accept(self, job_id: str, *, stems: bool, prompt: str = "", request_id: str = "") -> job_pb2.Job:
        """Create a job and all of its future events."""
        job = job_pb2.Job(
            job_id=job_id, owner=self.owner, state=job_pb2.JOB_STATE_QUEUED, request_id=request_id, tenant="local"
        )
        job.brief.prompt = prompt
        job.create_time.FromSeconds(1_700_000_000 + len(self.jobs))
        job.versions.add(number=1, state=job_pb2.JOB_STATE_QUEUED, stems_wanted=stems)
        job.latest.number, job.latest.state = 1, job_pb2.JOB_STATE_QUEUED
        self.jobs[job_id] = job
        self.events[job_id] = list(events_of_take(job_id, stems=stems, ending=self.ending))
        if self.ending_error is not None:
            self.events[job_id][-1].error.CopyFrom(to_status(self.ending_error, stage="DENOISE"))
        return job

    def finish(self, job_id: str) -> None:
        """Put the job in its final state."""
        job = self.jobs[job_id]
        version = job.versions[0]
        job.state = version.state = self.ending
        job.last_sequence = self.events[job_id][-1].sequence
        version.files.bounce.CopyFrom(stored(f"jobs/{job_id}/bounce.wav", BOUNCE))
        if self.ending_error is not None:
            version.error.CopyFrom(to_status(self.ending_error, stage="DENOISE"))
        elif version.stems_wanted:
            version.files.zip.CopyFrom(stored(f"jobs/{job_id}/v1.zip", ZIP))
            del version.files.zip_entries[:]
            version.files.zip_entries.append(VOCALS)


def stored(key: str, data: bytes) -> job_pb2.StoredFile:
    """The description of a stored file."""
    return job_pb2.StoredFile(key=key, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def events_of_take(job_id: str, *, stems: bool, ending: job_pb2.JobState.ValueType) -> Iterator[job_pb2.JobEvent]:
    """The events of a take from acceptance to its end."""
    fields_of_events: list[dict[str, Any]] = [{"kind": job_pb2.EVENT_KIND_STATE, "state": job_pb2.JOB_STATE_RUNNING}]
    fields_of_events += [
        {
            "kind": job_pb2.EVENT_KIND_PROGRESS,
            "track": job_pb2.PROGRESS_TRACK_RENDER,
            "stage": job_pb2.STAGE_DENOISE,
            "steps_done": step,
            "steps_total": 4,
            "fraction": step / 4,
        }
        for step in range(1, 5)
    ]
    fields_of_events.append(
        {"kind": job_pb2.EVENT_KIND_BOUNCE_READY, "track": job_pb2.PROGRESS_TRACK_RENDER, "fraction": 1.0}
    )
    if stems:
        fields_of_events += [
            {
                "kind": job_pb2.EVENT_KIND_PROGRESS,
                "track": job_pb2.PROGRESS_TRACK_STEMS,
                "stage": job_pb2.STAGE_SEPARATE,
                "steps_done": step,
                "steps_total": 2,
                "fraction": step / 2,
            }
            for step in range(1, 3)
        ]
        fields_of_events.append(
            {"kind": job_pb2.EVENT_KIND_STEMS_READY, "track": job_pb2.PROGRESS_TRACK_STEMS, "fraction": 1.0}
        )
    fields_of_events.append({"kind": job_pb2.EVENT_KIND_STATE, "state": ending})
    for sequence, fields in enumerate(fields_of_events, start=1):
        yield job_pb2.JobEvent(job_id=job_id, sequence=sequence, version=1, attempt=1, cursor=f"c{sequence}", **fields)


def abort_with(error: ServiceError, context: grpc.ServicerContext) -> NoReturn:
    """End the call with an error, as a service does."""
    status = rpc_status.to_status(to_status(error))
    pushback = ("grpc-retry-pushback-ms", retry_pushback(error, context.time_remaining()))
    context.set_trailing_metadata((*status.trailing_metadata, pushback))
    context.abort(status.code, status.details)
    raise AssertionError
