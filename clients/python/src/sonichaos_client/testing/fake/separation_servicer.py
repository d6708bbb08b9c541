"""SeparationService of the fake."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any, NoReturn

from grpc import StatusCode

from sonichaos.handoff.v1 import handoff_pb2, handoff_pb2_grpc
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc
from sonichaos_client.errors import FieldViolation
from sonichaos_client.testing.fake import manifests, music
from sonichaos_client.testing.fake.boundary import Context
from sonichaos_client.testing.fake.briefs import filled_licence
from sonichaos_client.testing.fake.checks import (
    check_coverage,
    check_labels,
    check_licence,
    check_priority,
    check_request_id,
    check_stem_mode,
    check_text,
)
from sonichaos_client.testing.fake.jobs_servicer import job_message
from sonichaos_client.testing.fake.records import JobRecord, VersionRecord, timestamp
from sonichaos_client.testing.fake.refusals import Refusal, check, invalid, peers_only
from sonichaos_client.testing.fake.requests import Accepted, Requests, Usage, digest_of
from sonichaos_client.testing.fake.sounds import UploadedSound
from sonichaos_client.testing.fake.studio import Studio
from sonichaos_client.testing.fake.tones import RATE_HZ, STEMS, Pcm
from sonichaos_client.testing.fake.upload_audio import MAX_ANALYSED_SECONDS, MAX_UPLOAD_BYTES, read_upload
from sonichaos_client.testing.fake.workers import Workers

GATED = tuple(f"/sonichaos.separation.v1.SeparationService/{name}" for name in ("CreateSeparation", "AnalyzeAudio"))
_MAX_CHUNK_BYTES = 1 << 20
_MAX_FILE_NAME_CHARACTERS = 255
_UPLOADS = "uploads/"
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}(/[A-Za-z0-9][A-Za-z0-9._-]{0,199})*")
_MAX_KEY_CHARACTERS = 512
_MIN_BPM, _MAX_BPM = 30.0, 300.0
_MAX_BEATS_PER_BAR = 16
_GUESSED_BPM = 120.0
_GUESSED_KEY = "A minor"
_CONFIDENCE = 0.5

Upload = separation_pb2.CreateSeparationRequest | separation_pb2.AnalyzeAudioRequest


@dataclass(frozen=True, kw_only=True)
class SeparationServicer(separation_pb2_grpc.SeparationServiceServicer):
    """Uploads and their analysis. ``workers`` are those of separation_service."""

    studio: Studio
    workers: Workers
    requests: Requests
    usage: Usage

    async def CreateSeparation(
        self, request_iterator: AsyncIterator[separation_pb2.CreateSeparationRequest], context: Context
    ) -> separation_pb2.CreateSeparationResponse:
        header = (await _first(request_iterator)).header
        check_header(header)
        data = await self._received(request_iterator, header.store_key)
        return separation_pb2.CreateSeparationResponse(job=job_message(self._accept(header, data)))

    async def AnalyzeAudio(
        self, request_iterator: AsyncIterator[separation_pb2.AnalyzeAudioRequest], context: Context
    ) -> separation_pb2.AnalyzeAudioResponse:
        header = (await _first(request_iterator)).header
        check_analysis(header)
        data = await self._received(request_iterator, header.store_key)
        recording = read_upload(data, max_seconds=MAX_ANALYSED_SECONDS, resample=header.resample)
        return _analysis(header, recording.pcm)

    async def GetModelInfo(
        self, request: separation_pb2.GetModelInfoRequest, context: Context
    ) -> separation_pb2.GetModelInfoResponse:
        return separation_pb2.GetModelInfoResponse(
            name=manifests.SEPARATOR["name"],
            weights_sha256=manifests.MODEL_SHA256,
            licence=manifests.LICENCE,
            sources=STEMS,
            models=1,
            fingerprint=manifests.FINGERPRINT,
        )

    def SeparateTensor(self, request: separation_pb2.SeparateTensorRequest, context: Context) -> NoReturn:
        raise peers_only("SeparateTensor")

    def ReplaceStem(self, request: separation_pb2.ReplaceStemRequest, context: Context) -> NoReturn:
        raise peers_only("ReplaceStem")

    async def _received(self, requests: AsyncIterator[Upload], store_key: str) -> bytes:
        """The bytes that follow the header. The fake's store has no upload folder."""
        data = bytearray()
        async for request in requests:
            if store_key:
                raise invalid("data", "must not follow where header.store_key is set")
            if request.WhichOneof("part") != "data":
                raise invalid("header", "the stream must be one header, then data only")
            if len(request.data) > _MAX_CHUNK_BYTES:
                text = f"must be at most {_MAX_CHUNK_BYTES} bytes in a message, got {len(request.data)}"
                raise invalid("data", text)
            data += request.data
            if len(data) > MAX_UPLOAD_BYTES:
                raise Refusal(
                    StatusCode.RESOURCE_EXHAUSTED,
                    "TOO_LARGE",
                    f"an upload must be at most {MAX_UPLOAD_BYTES} bytes; split it",
                    metadata={"limit_bytes": str(MAX_UPLOAD_BYTES)},
                )
        if store_key:
            raise Refusal(
                StatusCode.NOT_FOUND,
                "FILE_NOT_FOUND",
                f"the store has no file {store_key} that this caller may name; the caller's files lie under {_UPLOADS!r}",
                metadata={"key": store_key},
            )
        self.usage.of_day(self.studio.clock.now().date().isoformat()).upload_bytes += len(data)
        return bytes(data)

    def _accept(self, header: separation_pb2.SeparationHeader, data: bytes) -> JobRecord:
        sha256 = hashlib.sha256(data).hexdigest()
        if header.sha256 and header.sha256 != sha256:
            detail = f"SHA-256 must be {header.sha256}, but the {len(data)} bytes received have {sha256}"
            raise Refusal(
                StatusCode.INVALID_ARGUMENT,
                "INVALID_AUDIO",
                f"the upload was damaged: {detail}; send it again",
                metadata={"detail": detail},
            )
        content = separation_pb2.SeparationHeader()
        content.CopyFrom(header)
        content.request_id, content.sha256, content.priority = "", sha256, 0
        content.stem_mode = header.stem_mode or brief_pb2.STEM_MODE_EXACT
        digest = digest_of("CreateSeparation", content)
        earlier = self.requests.find("CreateSeparation", header.request_id, digest)
        if earlier is not None:
            return earlier.job
        now = self.studio.clock.now()
        if header.HasField("expire_time") and header.expire_time.ToDatetime(tzinfo=UTC) <= now:
            raise invalid("header.expire_time", "must be in the future, or not set")
        recording = read_upload(data, resample=header.resample)
        self.workers.check_room()
        seconds = recording.pcm.shape[1] / RATE_HZ
        brief = brief_pb2.ResolvedBrief(
            seconds=seconds,
            stems=True,
            stem_mode=content.stem_mode,
            labels=header.labels,
            licence=filled_licence(header.licence),
            file_name=header.file_name,
        )
        if header.HasField("expire_time"):
            brief.expire_time.CopyFrom(header.expire_time)
        message = job_pb2.Version(
            number=1,
            brief=brief,
            stems_wanted=True,
            create_time=timestamp(now),
            priority=header.priority,
            files=job_pb2.VersionFiles(),
        )
        version = VersionRecord(message, UploadedSound(recording.pcm), seconds)
        job = JobRecord(
            self.studio.records.job_ids.new(self.studio.clock.now_us()),
            self.workers.owner,
            header.request_id,
            now,
            [version],
            digest=sha256,
            size_bytes=len(data),
            processing=recording.processing,
        )
        self.studio.records.add(job)
        self.requests.record("CreateSeparation", header.request_id, digest, Accepted(job, 1))
        self.usage.of_day(now.date().isoformat()).audio_s += seconds
        self.workers.enqueue(job, version)
        return job


class HandoffServicer(handoff_pb2_grpc.HandoffServiceServicer):
    """The handoff between the services, which callers may not use."""

    def SendTensor(self, request_iterator: AsyncIterator[handoff_pb2.SendTensorRequest], context: Context) -> NoReturn:
        raise peers_only("SendTensor")

    def WithdrawTensor(self, request: handoff_pb2.WithdrawTensorRequest, context: Context) -> NoReturn:
        raise peers_only("WithdrawTensor")


async def _first(requests: AsyncIterator[Any]) -> Any:  # noqa: ANN401  a message of the stream
    """The first message, which has the header. Raises INVALID_FIELD for any other."""
    first = await anext(requests, None)
    if first is None or first.WhichOneof("part") != "header":
        raise invalid("header", "the first message of the stream must be a header")
    return first


def check_header(header: separation_pb2.SeparationHeader) -> None:
    """Raise INVALID_FIELD with the fields of an upload that are wrong."""
    found = [
        *check_stem_mode(header.stem_mode, "header.stem_mode"),
        *check_coverage(header.licence, "header.licence"),
        *check_request_id(header.request_id, "header.request_id"),
        *check_text(header.file_name, "header.file_name", max_characters=_MAX_FILE_NAME_CHARACTERS),
        *check_labels(header.labels, "header.labels"),
        *check_licence(header.licence, "header.licence"),
        *check_priority(header.priority, "header.priority"),
    ]
    if not _SHA256.fullmatch(header.sha256):
        text = f"must be 64 lower-case hex digits, got {header.sha256[:80]!r}"
        found.append(FieldViolation("header.sha256", text))
    check([*found, *_check_key(header.store_key)])


def _check_key(key: str) -> list[FieldViolation]:
    valid = len(key) <= _MAX_KEY_CHARACTERS and _KEY.fullmatch(key) and key.startswith(_UPLOADS)
    if not key or valid:
        return []
    return [FieldViolation("header.store_key", f"must be a key under {_UPLOADS!r}, got {key[:80]!r}")]


def check_analysis(header: separation_pb2.AnalysisHeader) -> None:
    """Raise INVALID_FIELD with the fields of an analysis that are wrong."""
    found = []
    low, high = header.min_bpm, header.max_bpm
    if (low or high) and not _MIN_BPM <= low < high <= _MAX_BPM:
        wanted = f"must be below max_bpm, both between {_MIN_BPM:g} and {_MAX_BPM:g}"
        found.append(FieldViolation("header.min_bpm", f"{wanted}, got {low:g} and {high:g}"))
    if header.beats_per_bar > _MAX_BEATS_PER_BAR:
        wanted = f"must be between 1 and {_MAX_BEATS_PER_BAR}"
        found.append(FieldViolation("header.beats_per_bar", f"{wanted}, got {header.beats_per_bar}"))
    check([*found, *_check_key(header.store_key)])


def _analysis(header: separation_pb2.AnalysisHeader, pcm: Pcm) -> separation_pb2.AnalyzeAudioResponse:
    """The same guess for every file: 120 bpm, or the middle of what the caller allows, and A minor. Silence has neither."""
    seconds = pcm.shape[1] / RATE_HZ
    if not pcm.any():
        return separation_pb2.AnalyzeAudioResponse(seconds=seconds)
    low, high = header.min_bpm or _MIN_BPM, header.max_bpm or _MAX_BPM
    tempo_map = music.constant(_GUESSED_BPM if low <= _GUESSED_BPM <= high else (low + high) / 2.0)
    tempo_map.points[0].beats_per_bar = header.beats_per_bar or 4
    return separation_pb2.AnalyzeAudioResponse(
        tempo_map=tempo_map,
        tempo_confidence=_CONFIDENCE,
        downbeat_confidence=_CONFIDENCE,
        key=_GUESSED_KEY,
        key_confidence=_CONFIDENCE,
        seconds=seconds,
    )
