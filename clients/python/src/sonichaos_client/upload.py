"""Send local files: a WAV to be separated, the clips of a persona."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message

from sonichaos.jobs.v1 import job_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos_client import rpcs
from sonichaos_client.errors import SonichaosError, UnreadableInput
from sonichaos_client.options import CallOptions
from sonichaos_client.rpcs import Target
from sonichaos_client.steps import Flow, block, send

CHUNK_BYTES = 1024 * 1024  # the most that the services accept in one message
CLIP_SUFFIXES = frozenset({".wav", ".flac", ".aif", ".aiff", ".ogg"})

M = TypeVar("M", bound=Message)


def separate(path: Path, header: separation_pb2.SeparationHeader, options: CallOptions) -> Flow[job_pb2.Job]:
    """Upload a WAV; the answer comes once the job is durable.

    The header's file name and digest are filled in from the file; a file that changes between the digest and the upload
    is refused by the service.
    """
    digest, size_bytes = yield from block(lambda: _digest(path))
    filled = separation_pb2.SeparationHeader()
    filled.CopyFrom(header)
    filled.sha256 = digest
    filled.file_name = filled.file_name or path.name[-255:]

    def requests() -> Iterator[separation_pb2.CreateSeparationRequest]:
        yield separation_pb2.CreateSeparationRequest(header=filled)
        for data in _chunks(path):
            yield separation_pb2.CreateSeparationRequest(data=data)

    upload = _Upload(requests())
    deadline_s = options.deadline_s + size_bytes / options.slowest_bytes_per_s
    try:
        response = yield from send(Target.SEPARATION, rpcs.CREATE_SEPARATION, upload, deadline_s)
    except SonichaosError as error:
        raise upload.failure or error from error
    return response.job


def separate_stored(header: separation_pb2.SeparationHeader, options: CallOptions) -> Flow[job_pb2.Job]:
    """Separate a WAV that lies in the store already, as the header's ``store_key`` names it."""
    requests = [separation_pb2.CreateSeparationRequest(header=header)]
    return (yield from send(Target.SEPARATION, rpcs.CREATE_SEPARATION, requests, options.deadline_s)).job


def analyze(
    path: Path, header: separation_pb2.AnalysisHeader, options: CallOptions
) -> Flow[separation_pb2.AnalyzeAudioResponse]:
    """Have a WAV listened to for its tempo map and key."""
    size_bytes = yield from block(lambda: _size_bytes(path))

    def requests() -> Iterator[separation_pb2.AnalyzeAudioRequest]:
        yield separation_pb2.AnalyzeAudioRequest(header=header)
        for data in _chunks(path):
            yield separation_pb2.AnalyzeAudioRequest(data=data)

    upload = _Upload(requests())
    deadline_s = options.replay_deadline_s + size_bytes / options.slowest_bytes_per_s
    try:
        return (yield from send(Target.SEPARATION, rpcs.ANALYZE_AUDIO, upload, deadline_s))
    except SonichaosError as error:
        raise upload.failure or error from error


def add_persona(persona_id: str, prefix: str, clips: Sequence[Path], options: CallOptions) -> Flow[render_pb2.Persona]:
    """Make a persona from audio files, in the order given."""
    digests = yield from block(lambda: [_digest(clip) for clip in clips])

    def requests() -> Iterator[render_pb2.CreatePersonaRequest]:
        sha256 = [digest for digest, _ in digests]
        header = render_pb2.PersonaHeader(persona_id=persona_id, prefix=prefix, clip_sha256=sha256)
        yield render_pb2.CreatePersonaRequest(header=header)
        for index, clip in enumerate(clips):
            for data in _chunks(clip):
                chunk = render_pb2.ClipChunk(clip_index=index, data=data)
                yield render_pb2.CreatePersonaRequest(chunk=chunk)

    upload = _Upload(requests())
    # The service computes the embedding before it answers.
    deadline_s = 4 * options.deadline_s + sum(size for _, size in digests) / options.slowest_bytes_per_s
    try:
        response = yield from send(Target.RENDER, rpcs.CREATE_PERSONA, upload, deadline_s)
    except SonichaosError as error:
        raise upload.failure or error from error
    return response.persona


def clips_in(folder: Path) -> list[Path]:
    """The audio files of a folder, by name. Raises UnreadableInput where there is none."""
    try:
        clips = sorted(path for path in folder.iterdir() if path.suffix.lower() in CLIP_SUFFIXES and path.is_file())
    except OSError as error:
        raise UnreadableInput(f"the clips' folder {folder} cannot be read: {error.strerror}") from error
    if not clips:
        raise UnreadableInput(f"{folder} holds no clip; wanted files ending in {', '.join(sorted(CLIP_SUFFIXES))}")
    return clips


class _Upload(Iterable[M]):
    """Remembers why reading a file failed: gRPC itself reports only that an iterator raised."""

    def __init__(self, requests: Iterator[M]) -> None:
        self._requests = requests
        self.failure: UnreadableInput | None = None

    def __iter__(self) -> Iterator[M]:
        return self

    def __next__(self) -> M:
        try:
            return next(self._requests)
        except UnreadableInput as error:
            self.failure = error  # raised on, it makes gRPC cancel the call: half a clip must not become a persona
            raise


def _size_bytes(path: Path) -> int:
    try:
        if not path.is_file():
            raise UnreadableInput(f"{path} is not a file that can be sent")
        size_bytes = path.stat().st_size
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be read: {error.strerror}") from error
    if size_bytes == 0:
        raise UnreadableInput(f"{path} is empty")
    return size_bytes


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                yield data
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be read: {error.strerror}") from error


def _digest(path: Path) -> tuple[str, int]:
    """SHA-256 in hex, and the length in bytes."""
    size_bytes = _size_bytes(path)
    digest = hashlib.sha256()
    for data in _chunks(path):
        digest.update(data)
    return digest.hexdigest(), size_bytes
