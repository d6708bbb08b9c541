"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as jobs_pb
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos_client import download, jobs, takes, upload, watch
from sonichaos_client.errors import Metadata, SonichaosError, from_call
from sonichaos_client.options import RENDER_ADDRESS, SEPARATION_ADDRESS, Addresses, CallOptions, channel_options
from sonichaos_client.rpcs import Target
from sonichaos_client.steps import Ask, Block, Done, Emit, Flow, Handle, Open, Read, Send, Sleep, Step, Stream, advance

T = TypeVar("T")


class Client:
    """Both services from blocking code. Use it as ``with Client() as client``; it may be shared between threads.

    Every method raises SonichaosError. `AsyncClient` has the same methods.
    """

    def __init__(
        self,
        render_address: str = RENDER_ADDRESS,
        separation_address: str = SEPARATION_ADDRESS,
        *,
        options: CallOptions | None = None,
    ) -> None:
        self._addresses = Addresses(render_address, separation_address)
        self._options = options or CallOptions()
        self._channels = {target: self._connect(self._addresses.of(target)) for target in Target}

    @staticmethod
    def _connect(address: str) -> grpc.Channel:
        return grpc.insecure_channel(address, options=channel_options(address))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; calls under way end."""
        for channel in self._channels.values():
            channel.close()

    def create_render(self, brief: brief_pb2.Brief, *, request_id: str = "") -> job_pb2.Job:
        """Ask for a take; answers once the job is durable. With a request id a repeated call gives the same job."""
        return self._run(takes.create(brief, request_id, self._options))

    def rerender_stem(self, request: render_pb2.RerenderStemRequest) -> render_pb2.RerenderStemResponse:
        """Ask for one stem of a finished version again, as the job's next version."""
        return self._run(takes.rerender(request, self._options))

    def separate_file(self, path: Path, header: separation_pb2.SeparationHeader | None = None) -> job_pb2.Job:
        """Upload a 44.1 kHz WAV and have it separated. Digest and file name of the header are filled in."""
        return self._run(upload.separate(path, header or separation_pb2.SeparationHeader(), self._options))

    def separate_stored(self, header: separation_pb2.SeparationHeader) -> job_pb2.Job:
        """Separate the WAV in the store that ``header.store_key`` names."""
        return self._run(upload.separate_stored(header, self._options))

    def analyze_file(
        self, path: Path, header: separation_pb2.AnalysisHeader | None = None
    ) -> separation_pb2.AnalyzeAudioResponse:
        """Have a 44.1 kHz WAV listened to: its tempo map and key, with how sure they are. Nothing of it is kept."""
        return self._run(upload.analyze(path, header or separation_pb2.AnalysisHeader(), self._options))

    def get_job(self, job_id: str) -> job_pb2.Job:
        """One job's row, whichever service owns it."""
        return self._run(jobs.get(job_id, self._options))

    def list_jobs(self, wanted: jobs.JobFilter | None = None) -> Generator[job_pb2.Job, None, None]:
        """Jobs of both services, newest first, fetched page by page as they are taken."""
        return self._stream(jobs.list_all(wanted or jobs.JobFilter(), self._options))

    def watch(
        self, job: str | job_pb2.Job, *, version: int = 0, after_sequence: int = 0
    ) -> Generator[job_pb2.JobEvent, None, None]:
        """A job's events after a number, each once and in order, until the version (0: the newest) ends.

        Cuts are resumed. A job's row instead of its id saves a look-up.
        """
        return self._stream(watch.watch(job, version, after_sequence, self._options))

    def follow(self, target: Target = Target.RENDER, *, cursor: str = "") -> Generator[job_pb2.JobEvent, None, None]:
        """Events of all of the caller's jobs at one service after a cursor (empty: from now on), without end; cuts are resumed."""
        return self._stream(watch.follow(target, cursor, self._options))

    def wait(self, job: str | job_pb2.Job, *, version: int = 0) -> job_pb2.Job:
        """The job once the version is done. Raises JobFailed or JobCancelled where it ended otherwise."""
        return self._run(watch.wait(job, version, self._options))

    def cancel(self, job_id: str, *, version: int = 0) -> job_pb2.Job:
        """Ask a version (0: all) to stop."""
        return self._run(jobs.cancel(job_id, version, self._options))

    def delete(self, job_id: str) -> None:
        """Delete an ended job's row and files."""
        self._run(jobs.delete(job_id, self._options))

    def add_stems(
        self,
        job_id: str,
        *,
        version: int = 0,
        stem_mode: brief_pb2.StemMode.ValueType = brief_pb2.STEM_MODE_UNSPECIFIED,
    ) -> job_pb2.Job:
        """Ask for the stems of a version (0: v1) that has none, or whose stems failed."""
        return self._run(jobs.add_stems(job_id, version, stem_mode, self._options))

    def sign_url(
        self,
        job_id: str,
        *,
        version: int = 0,
        kind: jobs_pb.FileKind.ValueType = jobs_pb.FILE_KIND_UNSPECIFIED,
        lifetime: timedelta | None = None,
    ) -> jobs_pb.CreateSignedUrlResponse:
        """A URL that fetches one stored file of a version (0: v1) with GET until it expires."""
        return self._run(jobs.sign(job_id, version, kind, lifetime, self._options))

    def download(
        self,
        job_id: str,
        folder: Path,
        *,
        version: int = 0,
        kind: jobs_pb.FileKind.ValueType = jobs_pb.FILE_KIND_UNSPECIFIED,
        overwrite: bool = False,
    ) -> download.SavedFile:
        """Fetch a file of a version (0: the newest) into a folder: complete and checked, or not at all."""
        return self._run(download.download(job_id, folder, version, kind, overwrite=overwrite, options=self._options))

    def list_personas(self) -> Generator[render_pb2.Persona, None, None]:
        """All personas, by id."""
        return self._stream(takes.personas(self._options))

    def get_persona(self, persona_id: str) -> render_pb2.Persona:
        """One persona."""
        return self._run(takes.persona(persona_id, self._options))

    def add_persona(self, persona_id: str, prefix: str, clips: Sequence[Path]) -> render_pb2.Persona:
        """Make a persona from audio files."""
        return self._run(upload.add_persona(persona_id, prefix, clips, self._options))

    def delete_persona(self, persona_id: str) -> None:
        """Remove an added persona."""
        self._run(takes.delete_persona(persona_id, self._options))

    def audit_rows(self, job_id: str = "") -> Generator[render_pb2.AuditRow, None, None]:
        """Audit rows of one job, or of all, oldest first."""
        return self._stream(takes.audit(job_id, self._options))

    def verify_audit_chain(
        self, *, head_sequence: int = 0, head_digest: str = ""
    ) -> render_pb2.VerifyAuditChainResponse:
        """Have the audit chain checked, against an exported head where one is given."""
        return self._run(takes.verify_chain(head_sequence, head_digest, self._options))

    def replay(self, job_id: str, *, version: int = 0) -> render_pb2.ReplayTakeResponse:
        """Have a version (0: v1) rendered again from its audit row and compared."""
        return self._run(takes.replay(job_id, version, self._options))

    def drift_report(
        self, stem: brief_pb2.Stem.ValueType = brief_pb2.STEM_UNSPECIFIED
    ) -> render_pb2.GetDriftReportResponse:
        """How far re-renders of a stem (default: drums) were from their grids so far, and whether that is near enough."""
        return self._run(takes.drift_report(stem, self._options))

    def render_model(self) -> render_pb2.GetModelInfoResponse:
        """What renders."""
        return self._run(takes.render_model(self._options))

    def separation_model(self) -> separation_pb2.GetModelInfoResponse:
        """What separates."""
        return self._run(takes.separation_model(self._options))

    def _run(self, flow: Flow[T]) -> T:
        with closing(flow):
            step = advance(flow, None)
            while not isinstance(step, Done):
                step = advance(flow, self._outcome(step, []))
            value: T = step.value
            return value

    def _stream(self, flow: Stream[T]) -> Generator[T, None, None]:
        opened: list[Any] = []
        try:
            with closing(flow):
                step = advance(flow, None)
                while not isinstance(step, Done):
                    outcome = None
                    if isinstance(step, Emit):
                        yield step.value
                    else:
                        outcome = self._outcome(step, opened)
                    step = advance(flow, outcome)
        finally:
            for call in opened:
                call.cancel()

    def _outcome(self, step: Step, opened: list[Any]) -> object:
        """Carry one step out; an error is returned, for the flow to decide upon."""
        try:
            return self._carry_out(step, opened)
        except SonichaosError as error:
            return error
        except grpc.RpcError as error:
            return self._error(error, step)

    def _carry_out(self, step: Step, opened: list[Any]) -> object:
        match step:
            case Ask(target, rpc, request, deadline_s):
                return self._channels[target].unary_unary(*rpc.signature)(request, timeout=deadline_s)
            case Send(target, rpc, requests, deadline_s):
                return self._channels[target].stream_unary(*rpc.signature)(iter(requests), timeout=deadline_s)
            case Open(target, rpc, request):
                opened.append(self._channels[target].unary_stream(*rpc.signature)(request))
                return Handle(target, opened[-1])
            case Read(handle):
                return next(handle.call, None)
            case Sleep(seconds_s):
                time.sleep(seconds_s)
                return None
            case Block(function):
                return function()

    def _error(self, error: grpc.RpcError, step: Step) -> SonichaosError:
        target = Target.RENDER if isinstance(step, Sleep | Block) else step.target
        return from_call(
            error.code(),
            error.details() or "",
            cast("Metadata", error.trailing_metadata() or ()),
            service=target.value,
            address=self._addresses.of(target),
        )
