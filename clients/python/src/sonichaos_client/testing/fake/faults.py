"""Scripted faults, and how each reason ends a version."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from sonichaos.jobs.v1 import error_reason_pb2, job_pb2
from sonichaos.testing.v1 import fake_pb2
from sonichaos_client.errors import FieldViolation
from sonichaos_client.testing.fake.clock import MAX_SKIP_S
from sonichaos_client.testing.fake.records import Owner
from sonichaos_client.testing.fake.refusals import Refusal, check

_MAX_TIMES = 1_000_000
_RETRY_AFTER_S = 1.0

# The code of each reason by docs/errors.md, and whether it carries RetryInfo.
_CODES: dict[StatusCode, tuple[str, ...]] = {
    StatusCode.INVALID_ARGUMENT: ("INVALID_FIELD", "INVALID_AUDIO", "INVALID_TENSOR", "INVALID_TOKEN"),
    StatusCode.NOT_FOUND: (
        "JOB_NOT_FOUND",
        "VERSION_NOT_FOUND",
        "PERSONA_NOT_FOUND",
        "FILE_NOT_FOUND",
        "WEBHOOK_NOT_FOUND",
        "WEBHOOK_DELIVERY_NOT_FOUND",
    ),
    StatusCode.ALREADY_EXISTS: ("REQUEST_ID_REUSED", "PERSONA_EXISTS"),
    StatusCode.FAILED_PRECONDITION: (
        "WRONG_STATE",
        "SWITCHED_OFF",
        "UNSUPPORTED_BY_RENDERER",
        "LEASE_LOST",
        "MODEL_UNUSABLE",
        "INPUT_MISSING",
        "TOO_MANY_ATTEMPTS",
        "DRIFT_EXCEEDED",
        "STEM_SILENT",
        "EXPIRY_TOO_SOON",
        "WEBHOOK_DISABLED",
    ),
    StatusCode.RESOURCE_EXHAUSTED: (
        "QUEUE_FULL",
        "TOO_LARGE",
        "DISK_FULL",
        "OUT_OF_MEMORY",
        "LOANS_EXHAUSTED",
        "DESCRIPTORS_EXHAUSTED",
        "TENANT_LIMIT",
        "FAILED_LOGINS",
    ),
    StatusCode.UNAVAILABLE: (
        "DRAINING",
        "WARMING",
        "STORE_UNAVAILABLE",
        "SEPARATION_UNAVAILABLE",
        "ADMISSION_UNAVAILABLE",
        "ISSUER_UNAVAILABLE",
    ),
    StatusCode.DATA_LOSS: ("DIGEST_MISMATCH",),
    StatusCode.DEADLINE_EXCEEDED: ("EXPIRED", "STREAM_TOO_SLOW"),
    StatusCode.CANCELLED: ("CANCELLED",),
    StatusCode.UNIMPLEMENTED: ("NOT_IMPLEMENTED",),
    StatusCode.INTERNAL: ("NOT_FINITE", "INTERNAL"),
    StatusCode.UNAUTHENTICATED: ("CREDENTIALS_MISSING", "CREDENTIALS_INVALID", "CREDENTIALS_EXPIRED"),
    StatusCode.PERMISSION_DENIED: ("SCOPE_MISSING", "ADMISSION_REFUSED"),
}
_RETRIED = {"QUEUE_FULL", "OUT_OF_MEMORY", "LOANS_EXHAUSTED", "DESCRIPTORS_EXHAUSTED", "TENANT_LIMIT", "FAILED_LOGINS"}


@dataclass(eq=False)
class _Scripted:
    """A fault and how often it still occurs; None: without end."""

    fault: fake_pb2.Fault
    left: int | None


class Faults:
    """The scripted faults of both services."""

    def __init__(self) -> None:
        self._scripted: list[_Scripted] = []

    def add(self, fault: fake_pb2.Fault) -> None:
        """Add a checked fault."""
        self._scripted.append(_Scripted(fault, fault.times or None))

    def clear(self) -> None:
        """Remove all."""
        self._scripted.clear()

    def take(
        self, kind: str, owner: Owner, *, stage: int | None = None, events: int | None = None
    ) -> fake_pb2.Fault | None:
        """The first fault of a kind that matches the service; it counts as occurred.

        It must match the stage if one is given, and a dropped stream the number of its events so far.
        """
        for scripted in self._scripted:
            fault = scripted.fault
            if fault.WhichOneof("kind") != kind or fault.service not in {job_pb2.OWNING_SERVICE_UNSPECIFIED, owner}:
                continue
            if stage is not None and getattr(fault, kind).stage not in {job_pb2.STAGE_UNSPECIFIED, stage}:
                continue
            if events is not None and fault.drop_stream.after_events > events:
                continue
            if scripted.left is not None:
                scripted.left -= 1
                if not scripted.left:
                    self._scripted.remove(scripted)
            return fault
        return None


def check_fault(fault: fake_pb2.Fault) -> None:
    """Raise INVALID_FIELD with everything that is wrong with a fault."""
    found = []
    kind = fault.WhichOneof("kind")
    if kind is None:
        kinds = ", ".join(field.name for field in fake_pb2.Fault.DESCRIPTOR.oneofs_by_name["kind"].fields)
        found.append(FieldViolation("fault", f"must have one of {kinds}, got none"))
    if fault.times > _MAX_TIMES:
        found.append(FieldViolation("fault.times", f"must be at most {_MAX_TIMES}, got {fault.times}"))
    if fault.service not in job_pb2.OwningService.values():
        found.append(FieldViolation("fault.service", f"must be an OwningService, got {fault.service}"))
    for field, value in getattr(fault, kind).ListFields() if kind else ():
        path = f"fault.{kind}.{field.name}"
        if isinstance(value, Duration) and not 0.0 <= seconds_of(value) <= MAX_SKIP_S:
            text = f"must be 0 to {MAX_SKIP_S:.0f} seconds, got {seconds_of(value):g}"
            found.append(FieldViolation(path, text))
        if field.enum_type is not None and value not in field.enum_type.values_by_number:
            found.append(FieldViolation(path, f"must be a value of {field.enum_type.name}, got {value}"))
    check(found)


def seconds_of(duration: Duration) -> float:
    """A duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def scripted_failure(reason: error_reason_pb2.ErrorReason.ValueType) -> Refusal:
    """The error of a version that is to fail."""
    name = error_reason_pb2.ErrorReason.Name(reason or error_reason_pb2.ERROR_REASON_INTERNAL)
    name = name.removeprefix("ERROR_REASON_")
    code = next((code for code, reasons in _CODES.items() if name in reasons), StatusCode.INTERNAL)
    retried = code is StatusCode.UNAVAILABLE or name in _RETRIED
    return Refusal(
        code,
        name,
        f"a scripted fault of the fake services: {name}; ClearFaults ends it",
        retry_after_s=_RETRY_AFTER_S if retried else None,
    )
