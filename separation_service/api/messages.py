"""Translates SeparateTensor, CreateSeparation and GetModelInfo, and what ReplaceStem shares with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from google.protobuf import json_format

from separation_service.calls import CallResult
from separation_service.engine import SeparatorInfo
from separation_service.receive import LoanedAudio
from separation_service.store import StoredPackage
from separation_service.timing.progress import ProgressUpdate, StageTime
from separation_service.uploads.header import UploadHeader
from servicekit.audio.loudness import Loudness
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import LicenceCoverage, StemMode
from servicekit.errors import FieldViolation, InvalidFields
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.separation.v1 import separation_pb2

_STEM_MODES: Mapping[int, StemMode] = {
    brief_pb2.STEM_MODE_UNSPECIFIED: StemMode.EXACT,
    brief_pb2.STEM_MODE_EXACT: StemMode.EXACT,
    brief_pb2.STEM_MODE_RAW: StemMode.RAW,
}
_COVERS: Mapping[int, LicenceCoverage] = {
    brief_pb2.LICENCE_COVERAGE_UNSPECIFIED: LicenceCoverage.BOUNCE_AND_STEMS,
    brief_pb2.LICENCE_COVERAGE_BOUNCE: LicenceCoverage.BOUNCE,
    brief_pb2.LICENCE_COVERAGE_BOUNCE_AND_STEMS: LicenceCoverage.BOUNCE_AND_STEMS,
}


def read_header(message: separation_pb2.SeparationHeader) -> UploadHeader:
    """The header's values. Raises `InvalidFields` with every field that is wrong."""
    return UploadHeader(
        request_id=message.request_id,
        stem_mode=_read_stem_mode(message.stem_mode, "header.stem_mode"),
        file_name=message.file_name,
        labels=dict(message.labels),
        licence=_read_licence(message.licence),
        sha256=message.sha256,
        store_key=message.store_key,
        expire_time=_read_time(message, "expire_time"),
    )


def read_tensor_request(
    request: separation_pb2.SeparateTensorRequest,
) -> tuple[LoanedAudio, StemMode]:
    """The loan and the stem mode. Raises `InvalidFields`."""
    if request.stem_mode == brief_pb2.STEM_MODE_UNSPECIFIED:
        raise InvalidFields([FieldViolation("stem_mode", "must be STEM_MODE_EXACT or STEM_MODE_RAW")])
    mode = _read_stem_mode(request.stem_mode, "stem_mode")
    bounce = StoredFile(key=request.bounce.key, size_bytes=request.bounce.size_bytes, sha256=request.bounce.sha256)
    loan = LoanedAudio(
        lease_id=request.lease_id,
        job_id=request.job_id,
        version=request.version,
        manifest_json=request.manifest_json,
        file=bounce,
    )
    return loan, mode


def _read_stem_mode(value: int, field: str) -> StemMode:
    mode = _STEM_MODES.get(value)
    if mode is None:
        raise InvalidFields([FieldViolation(field, f"must be STEM_MODE_EXACT or STEM_MODE_RAW, got {value}")])
    return mode


def _read_time(message: separation_pb2.SeparationHeader, field: Literal["expire_time"]) -> datetime | None:
    if not message.HasField(field):
        return None
    try:
        return message.expire_time.ToDatetime(tzinfo=UTC)
    except ValueError as error:
        raise InvalidFields([FieldViolation(f"header.{field}", f"must be a timestamp: {error}")]) from None


def _read_licence(message: brief_pb2.Licence) -> Licence:
    covers = _COVERS.get(message.covers)
    if covers is None:
        raise InvalidFields(
            [FieldViolation("header.licence.covers", f"must be a LicenceCoverage, got {message.covers}")]
        )
    return Licence(tier=message.tier, licensee=message.licensee, terms=message.terms, covers=covers)


def _coverage(covers: LicenceCoverage) -> brief_pb2.LicenceCoverage.ValueType:
    return brief_pb2.LicenceCoverage.Value(f"LICENCE_COVERAGE_{covers.name}")


def brief_json(header: UploadHeader, seconds: float) -> dict[str, Any]:
    """ResolvedBrief of an upload as proto-JSON, as the journal stores it."""
    licence = header.licence
    message = brief_pb2.ResolvedBrief(
        seconds=seconds,
        stems=True,
        stem_mode=brief_pb2.StemMode.Value(f"STEM_MODE_{header.stem_mode.name}"),
        labels=header.labels,
        licence=brief_pb2.Licence(
            tier=licence.tier, licensee=licence.licensee, terms=licence.terms, covers=_coverage(licence.covers)
        ),
    )
    if header.expire_time is not None:
        message.expire_time.FromDatetime(header.expire_time)
    return json_format.MessageToDict(message)


def bounce_files_json(bounce: StoredFile, manifest: StoredFile) -> dict[str, Any]:
    """VersionFiles of a stored bounce as proto-JSON."""
    file = job_pb2.StoredFile(key=bounce.key, size_bytes=bounce.size_bytes, sha256=bounce.sha256)
    return json_format.MessageToDict(job_pb2.VersionFiles(bounce=file, manifest=stored_file(manifest)))


def stems_files_json(stored: StoredPackage) -> dict[str, Any]:
    """VersionFiles of stored stems as proto-JSON."""
    files = job_pb2.VersionFiles(
        zip=stored_file(stored.zip), zip_entries=entries_of(stored), manifest=stored_file(stored.manifest)
    )
    return json_format.MessageToDict(files)


def loudness_json(loudness: Loudness) -> dict[str, Any]:
    """Loudness as proto-JSON."""
    return json_format.MessageToDict(job_pb2.Loudness(lufs=loudness.lufs, true_peak_dbtp=loudness.true_peak_dbtp))


def progress_message(update: ProgressUpdate) -> separation_pb2.SeparationProgress:
    """Progress of a call."""
    progress = separation_pb2.SeparationProgress(
        stage=job_pb2.Stage.Value(f"STAGE_{update.stage}"), steps_done=update.steps_done, steps_total=update.steps_total
    )
    if update.time_left_s is not None:
        progress.estimated_time_left.FromMicroseconds(round(update.time_left_s * 1e6))
    return progress


def result_message(result: CallResult[StoredPackage], info: SeparatorInfo) -> separation_pb2.SeparateTensorResponse:
    """The last message of a call."""
    stored = result.value
    message = separation_pb2.SeparationResult(
        zip=stored_file(stored.zip),
        zip_entries=entries_of(stored),
        manifest=stored_file(stored.manifest),
        manifest_json=stored.manifest_json,
        separator=info.name,
        weights_sha256=info.weights_sha256,
        fingerprint=stored.fingerprint,
    )
    message.timings.extend(timings(result.stage_times))
    return separation_pb2.SeparateTensorResponse(result=message)


def timings(times: Sequence[StageTime]) -> list[job_pb2.StageTiming]:
    """How long each stage of a call took."""
    messages = []
    for time in times:
        message = job_pb2.StageTiming(stage=job_pb2.Stage.Value(f"STAGE_{time.stage}"), attempt=1)
        message.duration.FromMicroseconds(round(time.seconds * 1e6))
        messages.append(message)
    return messages


def model_info_message(
    info: SeparatorInfo, fingerprint: Mapping[str, str], realtime_factor: float
) -> separation_pb2.GetModelInfoResponse:
    """What is loaded."""
    return separation_pb2.GetModelInfoResponse(
        name=info.name,
        weights_sha256=info.weights_sha256,
        licence=info.licence,
        sources=info.sources,
        models=info.models,
        fingerprint=fingerprint,
        realtime_factor=realtime_factor,
    )


def entries_of(stored: StoredPackage) -> list[job_pb2.ZipEntry]:
    """Where each file lies in the ZIP."""
    return [
        job_pb2.ZipEntry(
            name=entry.name, offset_bytes=entry.offset_bytes, size_bytes=entry.size_bytes, sha256=entry.sha256
        )
        for entry in stored.entries
    ]


def stored_file(stored: StoredFile) -> job_pb2.StoredFile:
    """A stored file as messages name it."""
    return job_pb2.StoredFile(key=stored.key, size_bytes=stored.size_bytes, sha256=stored.sha256)
