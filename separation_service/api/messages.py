"""Translates SeparateTensor, CreateSeparation and GetModelInfo, and what ReplaceStem shares with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from jobs_service.value_messages import (
    read_licence,
    read_requested_stem_mode,
    read_stem_mode,
    read_stored_file,
    read_time,
    stage_message,
    stage_timing_message,
    stored_file_message,
    zip_entry_messages,
)
from separation_service.calls import CallResult
from separation_service.engine import SeparatorInfo
from separation_service.package import AllStems
from separation_service.receive import LoanedAudio
from separation_service.store import StoredPackage
from separation_service.timing.progress import ProgressUpdate, StageTime
from separation_service.uploads.header import UploadHeader
from servicekit.errors import FieldViolation, InvalidFields
from sonichaos.jobs.v1 import job_pb2
from sonichaos.separation.v1 import separation_pb2


def read_header(message: separation_pb2.SeparationHeader) -> UploadHeader:
    """The header's values. Raises `InvalidFields` with every field that is wrong."""
    violations: list[FieldViolation] = []
    stem_mode = read_requested_stem_mode(message.stem_mode, violations, field="header.stem_mode")
    licence = read_licence(message.licence, violations, field="header.licence")
    expire_time = _read_time(message, violations)
    try:
        header = UploadHeader(
            request_id=message.request_id,
            stem_mode=stem_mode,
            file_name=message.file_name,
            labels=dict(message.labels),
            licence=licence,
            sha256=message.sha256,
            store_key=message.store_key,
            expire_time=expire_time,
            priority=message.priority,
            resample=message.resample,
        )
    except InvalidFields as error:
        raise InvalidFields([*violations, *error.all_violations]) from None
    if violations:
        raise InvalidFields(violations)
    return header


def read_tensor_request(
    request: separation_pb2.SeparateTensorRequest,
) -> tuple[LoanedAudio, AllStems]:
    """The loan and the stems that are wanted. Raises `InvalidFields`."""
    mode = read_stem_mode(request.stem_mode)
    if mode is None:
        text = f"must be STEM_MODE_EXACT or STEM_MODE_RAW, got {request.stem_mode}"
        raise InvalidFields([FieldViolation("stem_mode", text)])
    loan = LoanedAudio(
        lease_id=request.lease_id,
        job_id=request.job_id,
        version=request.version,
        attempt=request.attempt,
        manifest_json=request.manifest_json,
        file=read_stored_file(request.bounce),
    )
    return loan, AllStems(mode=mode, loop=request.loop)


def _read_time(message: separation_pb2.SeparationHeader, violations: list[FieldViolation]) -> datetime | None:
    if not message.HasField("expire_time"):
        return None
    moment = read_time(message.expire_time)
    if moment is None:
        violations.append(FieldViolation("header.expire_time", "must be a time between the years 1 and 9999"))
    return moment


def progress_message(update: ProgressUpdate) -> separation_pb2.SeparationProgress:
    """Progress of a call."""
    progress = separation_pb2.SeparationProgress(
        stage=stage_message(update.stage), steps_done=update.steps_done, steps_total=update.steps_total
    )
    if update.time_left_s is not None:
        progress.estimated_time_left.FromMicroseconds(round(update.time_left_s * 1e6))
    return progress


def result_message(result: CallResult[StoredPackage], info: SeparatorInfo) -> separation_pb2.SeparateTensorResponse:
    """The last message of a call."""
    stored = result.value
    message = separation_pb2.SeparationResult(
        zip=stored_file_message(stored.zip),
        zip_entries=zip_entry_messages(stored.entries),
        manifest=stored_file_message(stored.manifest),
        manifest_json=stored.manifest_json,
        separator=info.name,
        weights_sha256=info.weights_sha256,
        fingerprint=stored.fingerprint,
    )
    message.timings.extend(timings(result.stage_times))
    return separation_pb2.SeparateTensorResponse(result=message)


def timings(times: Sequence[StageTime]) -> list[job_pb2.StageTiming]:
    """How long each stage of a call took."""
    return [stage_timing_message(time.stage, time.seconds, attempt=1) for time in times]


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
