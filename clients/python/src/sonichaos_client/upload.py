"""Uploads of local files: a WAV to separate or analyse, the clips of a persona."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from google.protobuf.message import Message

from sonichaos.jobs.v1 import job_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos_client import rpcs
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import InvalidRequestError, LocalReadError, SonichaosError, UnavailableError
from sonichaos_client.fields import AnalysisFields, SeparationFields, StrPath, message_of, new_request_id
from sonichaos_client.options import CallOptions
from sonichaos_client.retry import Backoff
from sonichaos_client.rpcs import Request, Response, Rpc
from sonichaos_client.sansio import Operation, Sleep, call_client_streaming, call_unary, reporting, run_blocking

CHUNK_BYTES = 1024 * 1024  # the services accept no larger chunk
CLIP_SUFFIXES = frozenset({".wav", ".flac", ".aif", ".aiff", ".ogg"})
_MAX_FILE_NAME = 255
_SEPARATION = OwningService.SEPARATION

M = TypeVar("M", bound=Message)


def separate_file(
    path: StrPath, request_id: str, fields: SeparationFields, options: CallOptions
) -> Operation[job_pb2.Job]:
    """Upload a WAV and separate it; returns once the job is durable.

    The header carries the file's digest, so that the service rejects a file that changes during the upload.
    """
    file = Path(path)
    header = _separation_header(request_id, fields)
    header.sha256, size_bytes = yield from run_blocking(lambda: _digest(file))
    # A file name may contain bytes that are not UTF-8. They are escaped: the name is only shown to people.
    header.file_name = file.name.encode("utf-8", "backslashreplace").decode("utf-8")[-_MAX_FILE_NAME:]

    def requests() -> Iterator[separation_pb2.CreateSeparationRequest]:
        yield separation_pb2.CreateSeparationRequest(header=header)
        for data in _chunks(file):
            yield separation_pb2.CreateSeparationRequest(data=data)

    timeout_s = options.timeout_s + size_bytes / options.min_bytes_per_s
    sending = _Sending(_SEPARATION, rpcs.CREATE_SEPARATION, timeout_s, options, header.request_id)
    return (yield from sending.repeated(requests)).job


def separate_stored(
    store_key: str, request_id: str, fields: SeparationFields, options: CallOptions
) -> Operation[job_pb2.Job]:
    """Separate a WAV that is already in the object store."""
    header = _separation_header(request_id, fields)
    header.store_key = store_key
    request = separation_pb2.CreateSeparationRequest(header=header)
    sending = _Sending(_SEPARATION, rpcs.CREATE_SEPARATION, options.timeout_s, options, header.request_id)
    return (yield from sending.repeated(lambda: iter([request]))).job


def _separation_header(request_id: str, fields: SeparationFields) -> separation_pb2.SeparationHeader:
    header = message_of(separation_pb2.SeparationHeader, fields, allowed=SeparationFields)
    header.request_id = request_id or new_request_id()
    return header


def analyze_file(
    path: StrPath, fields: AnalysisFields, options: CallOptions
) -> Operation[separation_pb2.AnalyzeAudioResponse]:
    """Upload a WAV and estimate its tempo map and key."""
    file = Path(path)
    header = message_of(separation_pb2.AnalysisHeader, fields, allowed=AnalysisFields)
    size_bytes = yield from run_blocking(lambda: _size_bytes(file))

    def requests() -> Iterator[separation_pb2.AnalyzeAudioRequest]:
        yield separation_pb2.AnalyzeAudioRequest(header=header)
        for data in _chunks(file):
            yield separation_pb2.AnalyzeAudioRequest(data=data)

    timeout_s = options.long_timeout_s + size_bytes / options.min_bytes_per_s
    return (yield from _Sending(_SEPARATION, rpcs.ANALYZE_AUDIO, timeout_s, options).repeated(requests))


def create_persona(
    persona_id: str, prefix: str, clips: Sequence[StrPath], options: CallOptions
) -> Operation[render_pb2.Persona]:
    """Create a persona from audio files, in the order given."""
    digests = yield from run_blocking(lambda: [_digest(Path(clip)) for clip in clips])

    def requests() -> Iterator[render_pb2.CreatePersonaRequest]:
        sha256 = [digest for digest, _ in digests]
        header = render_pb2.PersonaHeader(persona_id=persona_id, prefix=prefix, clip_sha256=sha256)
        yield render_pb2.CreatePersonaRequest(header=header)
        for index, clip in enumerate(clips):
            for data in _chunks(Path(clip)):
                chunk = render_pb2.ClipChunk(clip_index=index, data=data)
                yield render_pb2.CreatePersonaRequest(chunk=chunk)

    # The service computes the embedding before it answers.
    timeout_s = 4 * options.timeout_s + sum(size for _, size in digests) / options.min_bytes_per_s
    sending = _Sending(OwningService.RENDER, rpcs.CREATE_PERSONA, timeout_s, options)
    try:
        return (yield from sending.once(requests)).persona
    except InvalidRequestError as error:
        raise _naming_file(error, clips) from error


def _naming_file(error: InvalidRequestError, clips: Sequence[StrPath]) -> InvalidRequestError:
    """The error, with the local file where the service names a clip by its number, which is all that it knows of it."""
    number = re.fullmatch(r"clip ([0-9]{1,3})", error.metadata.get("detail", ""))
    if number is None or int(number[1]) >= len(clips):
        return error
    return InvalidRequestError(
        f"{clips[int(number[1])]}: {error.message}", code=error.code, reason=error.reason, metadata=error.metadata
    )


def get_separation_model(options: CallOptions) -> Operation[separation_pb2.GetModelInfoResponse]:
    """The loaded separator."""
    request = separation_pb2.GetModelInfoRequest()
    return (yield from call_unary(_SEPARATION, rpcs.GET_SEPARATION_MODEL, request, options))


def clips_in(folder: Path) -> list[Path]:
    """The audio files of a folder, by name. Raises LocalReadError if there are none."""
    try:
        clips = sorted(path for path in folder.iterdir() if path.suffix.lower() in CLIP_SUFFIXES and path.is_file())
    except OSError as error:
        raise LocalReadError(f"Cannot read the clips folder {folder}: {error.strerror}.") from error
    if not clips:
        suffixes = ", ".join(sorted(CLIP_SUFFIXES))
        raise LocalReadError(f"{folder} contains no clips. Expected files that end in {suffixes}.")
    return clips


@dataclass
class _Sending(Generic[Request, Response]):
    """A call with a stream of requests, made from a file."""

    service: OwningService
    rpc: Rpc[Request, Response]
    timeout_s: float
    options: CallOptions
    request_id: str = ""
    attempt: int = 0

    def once(self, requests: Callable[[], Iterator[Request]]) -> Operation[Response]:
        """Make the call. Raises LocalReadError if the file cannot be read."""
        self.attempt += 1
        upload = _Upload(requests())
        try:
            with reporting(self.options, self.service, self.rpc, attempt=self.attempt, request_id=self.request_id):
                return (yield from call_client_streaming(self.service, self.rpc, upload, self.timeout_s))
        except SonichaosError as error:
            if upload.read_error is None:
                raise
            raise upload.read_error from error

    def repeated(self, requests: Callable[[], Iterator[Request]]) -> Operation[Response]:
        """Make the call, from the start again after UNAVAILABLE: gRPC does not repeat a stream that is longer than its buffer.

        A service that asks for a longer wait than ``timeout_s`` is not waited for.
        """
        backoff = Backoff(self.options.retry, self.options.rng)
        while True:
            try:
                return (yield from self.once(requests))
            except UnavailableError as error:
                if self.attempt >= self.options.retry.max_attempts or (error.retry_after_s or 0) > self.timeout_s:
                    raise
                yield Sleep(backoff.next_wait_s(error))


class _Upload(Iterable[M]):
    """Remembers why reading the file failed, because gRPC only reports that the iterator raised."""

    def __init__(self, requests: Iterator[M]) -> None:
        self._requests = requests
        self.read_error: LocalReadError | None = None

    def __iter__(self) -> Iterator[M]:
        return self

    def __next__(self) -> M:
        try:
            return next(self._requests)
        except LocalReadError as error:
            self.read_error = (
                error  # re-raised so that gRPC cancels the call: half of the clips must not become a persona
            )
            raise


def _size_bytes(path: Path) -> int:
    try:
        if not path.is_file():
            raise LocalReadError(f"{path} does not exist or is not a regular file.")
        size_bytes = path.stat().st_size
    except OSError as error:
        raise LocalReadError(f"Cannot read {path}: {error.strerror}.") from error
    if size_bytes == 0:
        raise LocalReadError(f"{path} is empty.")
    return size_bytes


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                yield data
    except OSError as error:
        raise LocalReadError(f"Cannot read {path}: {error.strerror}.") from error


def _digest(path: Path) -> tuple[str, int]:
    """SHA-256 in hex, and the length in bytes."""
    size_bytes = _size_bytes(path)
    digest = hashlib.sha256()
    for data in _chunks(path):
        digest.update(data)
    return digest.hexdigest(), size_bytes
