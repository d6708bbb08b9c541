"""What can go wrong, as a caller sees it.

The tree, with the gRPC code each stands for::

    SonichaosError
      RejectedInput            INVALID_ARGUMENT, OUT_OF_RANGE   `violations` names each field
      NotFound                 NOT_FOUND                        job, version, persona or file
      AlreadyExists            ALREADY_EXISTS                   request id or persona id taken
      FailedPrecondition       FAILED_PRECONDITION              wrong state, switched off, unsupported
      ResourceExhausted        RESOURCE_EXHAUSTED               `retry_after_s` where trying again can help
      Unavailable              UNAVAILABLE                      draining, warming, store down
        ServiceNotRunning      UNAVAILABLE                      nothing answers at `address`
      Unauthenticated          UNAUTHENTICATED
      PermissionDenied         PERMISSION_DENIED
      DataLoss                 DATA_LOSS                        a stored file is lost, or does not match its digest
        DownloadMismatch       DATA_LOSS                        the bytes that came are not the stored ones
      DeadlineExceeded         DEADLINE_EXCEEDED                the call's deadline or the brief's expiry
      CallCancelled            CANCELLED
      NotOffered               UNIMPLEMENTED
      ServiceFault             INTERNAL, UNKNOWN and the rest
      JobEndedBadly            the job's own code               the job, not the call, failed: `job`, `version`
        JobFailed
        JobCancelled           CANCELLED
      DownloadFailed           UNAVAILABLE                      the file could not be fetched in time
      LocalFileExists          ALREADY_EXISTS                   nothing is overwritten unless asked
      LocalFileUnwritten       RESOURCE_EXHAUSTED               this machine's disk did not take the file
      UnreadableInput          INVALID_ARGUMENT                 a local file that cannot be sent

``reason`` is a name of ``sonichaos.jobs.v1.ErrorReason`` without its prefix, empty where the error was not made by a
SONICHAOS service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from sonichaos.jobs.v1.job_pb2 import Job

Metadata = Iterable[tuple[str, str | bytes]]
_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {int(code.value[0]): code for code in grpc.StatusCode}


@dataclass(frozen=True)
class FieldViolation:
    """A field, as its path in the request message, and what is wrong with it."""

    field: str
    description: str


class SonichaosError(Exception):
    """Any failure of a call, a job or a download.

    ``retry_after_s`` is set only where trying again can help.
    """

    default_code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s


class RejectedInput(SonichaosError):
    """A field of the request, or the upload, was refused."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(SonichaosError):
    """No such job, version, persona or file for this caller."""

    default_code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(SonichaosError):
    """The request id or the persona id is taken by something else."""

    default_code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(SonichaosError):
    """The system is not in the state that the call needs; the message says what to change."""

    default_code = grpc.StatusCode.FAILED_PRECONDITION


class ResourceExhausted(SonichaosError):
    """A bound of the service or the machine is reached."""

    default_code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(SonichaosError):
    """Not now; try again."""

    default_code = grpc.StatusCode.UNAVAILABLE


class ServiceNotRunning(Unavailable):
    """Nothing that speaks gRPC answers at the address."""

    def __init__(self, service: str, address: str, detail: str) -> None:
        super().__init__(
            f"no {service} answers at {address} ({detail}). Start both services with: sonichaos up. "
            "If it runs elsewhere, name its address."
        )
        self.service = service
        self.address = address


class Unauthenticated(SonichaosError):
    """The service does not know who is calling."""

    default_code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(SonichaosError):
    """The service knows the caller and refuses."""

    default_code = grpc.StatusCode.PERMISSION_DENIED


class DataLoss(SonichaosError):
    """A stored file is lost, or no longer matches its digest."""

    default_code = grpc.StatusCode.DATA_LOSS


class DownloadMismatch(DataLoss):
    """The bytes that came are not those the service stored; nothing was kept."""


class DeadlineExceeded(SonichaosError):
    """The call's deadline or the brief's expiry passed."""

    default_code = grpc.StatusCode.DEADLINE_EXCEEDED


class CallCancelled(SonichaosError):
    """The call was cancelled."""

    default_code = grpc.StatusCode.CANCELLED


class NotOffered(SonichaosError):
    """This build of the service does not offer the call."""

    default_code = grpc.StatusCode.UNIMPLEMENTED


class ServiceFault(SonichaosError):
    """The service failed in a way it should not; its log has it."""

    default_code = grpc.StatusCode.INTERNAL


class JobEndedBadly(SonichaosError):
    """A version ended without what was asked for; the error's parts are the version's own."""

    def __init__(self, job: Job, version: int, cause: SonichaosError) -> None:
        super().__init__(
            f"{job.job_id} v{version} {self._ended()}: {cause.message}",
            code=cause.code,
            reason=cause.reason,
            metadata=cause.metadata,
            violations=cause.violations,
            retry_after_s=cause.retry_after_s,
        )
        self.job = job
        self.version = version

    @staticmethod
    def _ended() -> str:
        return "ended"


class JobFailed(JobEndedBadly):
    """A version failed. What was stored before it stays."""

    @staticmethod
    def _ended() -> str:
        return "failed"


class JobCancelled(JobEndedBadly):
    """A version was cancelled. What was stored before it stays."""

    @staticmethod
    def _ended() -> str:
        return "was cancelled"


class DownloadFailed(SonichaosError):
    """The file could not be fetched; nothing was kept."""

    default_code = grpc.StatusCode.UNAVAILABLE


class LocalFileExists(SonichaosError):
    """The file to be written exists and was not to be overwritten."""

    default_code = grpc.StatusCode.ALREADY_EXISTS


class LocalFileUnwritten(SonichaosError):
    """The file could not be written on this machine, as where its disk is full; nothing was kept."""

    default_code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnreadableInput(SonichaosError):
    """A local file that was to be sent is missing, empty, unreadable or changed while it was read."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT


_BY_CODE: dict[grpc.StatusCode, type[SonichaosError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: RejectedInput,
    grpc.StatusCode.OUT_OF_RANGE: RejectedInput,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.DATA_LOSS: DataLoss,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: CallCancelled,
    grpc.StatusCode.UNIMPLEMENTED: NotOffered,
}


def from_status(status: status_pb2.Status) -> SonichaosError:
    """The error that a ``google.rpc.Status`` describes, such as ``Version.error``."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    reason = ""
    metadata: dict[str, str] = {}
    violations: list[FieldViolation] = []
    retry_after_s: float | None = None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad_request):
            violations += [FieldViolation(v.field, v.description) for v in bad_request.field_violations]
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    return _BY_CODE.get(code, ServiceFault)(
        status.message or code.name,
        code=code,
        reason=reason,
        metadata=metadata,
        violations=violations,
        retry_after_s=retry_after_s,
    )


def from_call(
    code: grpc.StatusCode,
    details: str,
    trailing_metadata: Metadata,
    *,
    service: str,
    address: str,
) -> SonichaosError:
    """The error of a failed gRPC call, from its status details where it has them.

    What has no details comes from the transport, not from a SONICHAOS service. ``UNAVAILABLE``: nothing answers.
    RESOURCE_EXHAUSTED for a message beyond a limit, and UNKNOWN or INTERNAL for one that could not be parsed, are told
    as what they are, for gRPC's own words and codes do not.
    """
    for key, value in trailing_metadata:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return from_status(status_pb2.Status.FromString(value))
            except DecodeError:
                break
    if code is grpc.StatusCode.UNAVAILABLE:
        # The transport tells a long story of addresses and causes; the last cause is the one that helps.
        return ServiceNotRunning(service, address, details.rpartition(": ")[2].strip("[]") or "no answer")
    unfit = _unfit_message(code, details, service)
    if unfit is not None:
        return unfit
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        details = f"{service} at {address} did not answer before the call's deadline"
    return _BY_CODE.get(code, ServiceFault)(details or code.name, code=code)


_TOO_LARGE = re.compile(r"(?P<side>SERVER|CLIENT): Received message larger than max \((?P<sizes>\d+ vs\. \d+)\)")
_UNPARSED = re.compile(r"\.DecodeError'>: (?P<why>.+)|Exception deserializing request")


def _unfit_message(code: grpc.StatusCode, details: str, service: str) -> SonichaosError | None:
    """The error where gRPC itself refused a message, by the words that it has for that; None where it is another."""
    large = _TOO_LARGE.search(details) if code is grpc.StatusCode.RESOURCE_EXHAUSTED else None
    if large is not None:
        size_bytes, limit_bytes = large["sizes"].split(" vs. ")
        metadata = {"size_bytes": size_bytes, "limit_bytes": limit_bytes}
        if large["side"] == "SERVER":
            message = (
                f"the request has {size_bytes} bytes, but {service} takes {limit_bytes} in one message; shorten it"
            )
            return RejectedInput(message, metadata=metadata)
        message = f"{service} answered with {size_bytes} bytes, but this client takes {limit_bytes} in one message"
        return ResourceExhausted(message, metadata=metadata)
    if code not in {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}:
        return None
    unparsed = _UNPARSED.search(details)
    if unparsed is None:
        return None
    why = unparsed["why"] or "it says no more; text that is no UTF-8 is one cause"
    return RejectedInput(f"{service} cannot read the request: {why}")
