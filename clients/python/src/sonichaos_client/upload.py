"""Uploads of local files: a WAV to separate or analyse, the clips of a persona."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message

from sonichaos.jobs.v1 import job_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos_client import rpcs
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import InvalidRequestError, LocalReadError, SonichaosError
from sonichaos_client.fields import AnalysisFields, SeparationFields, StrPath, message_of
from sonichaos_client.options import CallOptions
from sonichaos_client.sansio import Operation, call_client_streaming, call_unary, run_blocking

CHUNK_BYTES = 1024 * 1024  # the services accept no larger chunk
CLIP_SUFFIXES = frozenset({".wav", ".rf64", ".w64", ".flac", ".aif", ".aiff"})
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

    upload = _Upload(requests())
    timeout_s = options.timeout_s + size_bytes / options.min_bytes_per_s
    try:
        response = yield from call_client_streaming(_SEPARATION, rpcs.CREATE_SEPARATION, upload, timeout_s)
    except SonichaosError as error:
        raise upload.read_error or error from error
    return response.job


def separate_stored(
    store_key: str, request_id: str, fields: SeparationFields, options: CallOptions
) -> Operation[job_pb2.Job]:
    """Separate a WAV that is already in the object store."""
    header = _separation_header(request_id, fields)
    header.store_key = store_key
    requests = [separation_pb2.CreateSeparationRequest(header=header)]
    response = yield from call_client_streaming(_SEPARATION, rpcs.CREATE_SEPARATION, requests, options.timeout_s)
    return response.job


def _separation_header(request_id: str, fields: SeparationFields) -> separation_pb2.SeparationHeader:
    header = message_of(separation_pb2.SeparationHeader, fields, allowed=SeparationFields)
    header.request_id = request_id
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

    upload = _Upload(requests())
    timeout_s = options.long_timeout_s + size_bytes / options.min_bytes_per_s
    try:
        return (yield from call_client_streaming(_SEPARATION, rpcs.ANALYZE_AUDIO, upload, timeout_s))
    except SonichaosError as error:
        raise upload.read_error or error from error


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

    upload = _Upload(requests())
    # The service computes the embedding before it answers.
    timeout_s = 4 * options.timeout_s + sum(size for _, size in digests) / options.min_bytes_per_s
    try:
        response = yield from call_client_streaming(OwningService.RENDER, rpcs.CREATE_PERSONA, upload, timeout_s)
    except SonichaosError as error:
        raise upload.read_error or _naming_file(error, clips) from error
    return response.persona


def _naming_file(error: SonichaosError, clips: Sequence[StrPath]) -> SonichaosError:
    """The error, with the local file where the service names a clip by its number, which is all that it knows of it."""
    number = re.fullmatch(r"clip ([0-9]{1,3})", error.metadata.get("detail", ""))
    if not isinstance(error, InvalidRequestError) or number is None or int(number[1]) >= len(clips):
        return error
    return InvalidRequestError(
        f"{clips[int(number[1])]}: {error.message}", code=error.code, reason=error.reason, metadata=error.metadata
    )


def get_separation_model(options: CallOptions) -> Operation[separation_pb2.GetModelInfoResponse]:
    """The loaded separator."""
    request = separation_pb2.GetModelInfoRequest()
    return (yield from call_unary(_SEPARATION, rpcs.GET_SEPARATION_MODEL, request, options.timeout_s))


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
