"""The exceptions of the client.

The tree, with the gRPC code of each::

    SonichaosError
      InvalidRequestError        INVALID_ARGUMENT, OUT_OF_RANGE   `violations` names each field
      NotFoundError              NOT_FOUND                        no such job, version, persona or file
      AlreadyExistsError         ALREADY_EXISTS                   the request id or persona id is in use
      FailedPreconditionError    FAILED_PRECONDITION              wrong state, switched off or unsupported
      ResourceExhaustedError     RESOURCE_EXHAUSTED               `retry_after_s` is set if a retry can succeed
      UnavailableError           UNAVAILABLE                      draining, warming up, or the store is down
        ConnectionFailedError    UNAVAILABLE                      no service answers at `address`
      UnauthenticatedError       UNAUTHENTICATED                  no valid key, token or certificate
      PermissionDeniedError      PERMISSION_DENIED                the caller lacks a scope, or the operator refused
      DataLossError              DATA_LOSS                        a stored file is missing or does not match its digest
        DigestMismatchError      DATA_LOSS                        the downloaded bytes do not match the stored digest
      DeadlineExceededError      DEADLINE_EXCEEDED                the call's timeout or the job's expiry
      CallCancelledError         CANCELLED
      UnimplementedError         UNIMPLEMENTED
      InternalError              INTERNAL, UNKNOWN and the rest
      JobFailedError             the job's own code               the job failed, not the call: `job`, `version`
        JobCancelledError        CANCELLED
      UntrustedServerError       UNAUTHENTICATED                  the server's certificate is not trusted, or for another host
      ConnectionSettingsError    INVALID_ARGUMENT                 an address or the credentials cannot be used as given
      DownloadError              UNAVAILABLE                      the file could not be downloaded
      LocalFileExistsError       ALREADY_EXISTS                   the local file exists and `overwrite` is off
      LocalWriteError            RESOURCE_EXHAUSTED               the local disk rejected the file
      LocalReadError             INVALID_ARGUMENT                 the local file to upload cannot be read
      InvalidSignatureError      UNAUTHENTICATED                  a request to a webhook is not from the service, or too old

``reason`` is a value of ``sonichaos.jobs.v1.ErrorReason`` without its prefix. It is empty for an error that did not come from
a SONICHAOS service, such as one of the transport.
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
    """A rejected field: its path in the request message, and why it was rejected."""

    field: str
    description: str


class SonichaosError(Exception):
    """Base class: a call, a job or a download failed.

    ``retry_after_s`` is set only if a retry can succeed.
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


class InvalidRequestError(SonichaosError):
    """The service rejected a field of the request, or the upload."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT


class NotFoundError(SonichaosError):
    """This caller has no such job, version, persona or file."""

    default_code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(SonichaosError):
    """Another request uses this request id, or another persona this id."""

    default_code = grpc.StatusCode.ALREADY_EXISTS


class FailedPreconditionError(SonichaosError):
    """The system is not in the state that the call requires. The message says what to change."""

    default_code = grpc.StatusCode.FAILED_PRECONDITION


class ResourceExhaustedError(SonichaosError):
    """A limit of the service or of its machine is reached."""

    default_code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(SonichaosError):
    """The service cannot answer now. Retry later."""

    default_code = grpc.StatusCode.UNAVAILABLE


class ConnectionFailedError(UnavailableError):
    """No gRPC server answers at the address."""

    def __init__(self, service: str, address: str, detail: str, advice: str = "") -> None:
        start = "Start both services with 'sonichaos up', or pass the address at which they run."
        super().__init__(f"Cannot connect to {service} at {address} ({detail}). {advice or start}")
        self.service = service
        self.address = address


class UnauthenticatedError(SonichaosError):
    """The service does not know the caller."""

    default_code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDeniedError(SonichaosError):
    """The caller is known and not allowed to make this call."""

    default_code = grpc.StatusCode.PERMISSION_DENIED


class UntrustedServerError(SonichaosError):
    """The TLS certificate of the server is not trusted, expired, or for another host. Nothing was sent."""

    default_code = grpc.StatusCode.UNAUTHENTICATED


class InvalidSignatureError(SonichaosError):
    """A request to a webhook was not signed with its secret, or too long ago."""

    default_code = grpc.StatusCode.UNAUTHENTICATED


class ConnectionSettingsError(SonichaosError):
    """An address or the credentials cannot be used as given. Nothing was sent."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT


class DataLossError(SonichaosError):
    """A stored file is missing or no longer matches its digest."""

    default_code = grpc.StatusCode.DATA_LOSS


class DigestMismatchError(DataLossError):
    """The downloaded bytes do not match the stored digest. No file was written."""


class DeadlineExceededError(SonichaosError):
    """The call's timeout or the job's expiry passed."""

    default_code = grpc.StatusCode.DEADLINE_EXCEEDED


class CallCancelledError(SonichaosError):
    """The call was cancelled."""

    default_code = grpc.StatusCode.CANCELLED


class UnimplementedError(SonichaosError):
    """The service does not implement the call."""

    default_code = grpc.StatusCode.UNIMPLEMENTED


class InternalError(SonichaosError):
    """The service failed unexpectedly. Its log has the details."""

    default_code = grpc.StatusCode.INTERNAL


class JobFailedError(SonichaosError):
    """A version failed. What it stored before stays. Code, reason and details are those of ``Version.error``."""

    _verb: ClassVar[str] = "failed"

    def __init__(self, job: Job, version: int, cause: SonichaosError) -> None:
        super().__init__(
            f"{job.job_id} v{version} {self._verb}: {cause.message}",
            code=cause.code,
            reason=cause.reason,
            metadata=cause.metadata,
            violations=cause.violations,
            retry_after_s=cause.retry_after_s,
        )
        self.job = job
        self.version = version


class JobCancelledError(JobFailedError):
    """A version was cancelled. What it stored before stays."""

    _verb = "was cancelled"


class DownloadError(SonichaosError):
    """The file could not be downloaded. No file was written."""

    default_code = grpc.StatusCode.UNAVAILABLE


class LocalFileExistsError(SonichaosError):
    """The local file exists and may not be overwritten."""

    default_code = grpc.StatusCode.ALREADY_EXISTS


class LocalWriteError(SonichaosError):
    """The local file could not be written, for example because the disk is full. No partial file remains."""

    default_code = grpc.StatusCode.RESOURCE_EXHAUSTED


class LocalReadError(SonichaosError):
    """The local file to upload is missing, empty, unreadable or changed during the upload."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT


_BY_CODE: dict[grpc.StatusCode, type[SonichaosError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.DATA_LOSS: DataLossError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.CANCELLED: CallCancelledError,
    grpc.StatusCode.UNIMPLEMENTED: UnimplementedError,
}


def from_status(status: status_pb2.Status) -> SonichaosError:
    """Convert a ``google.rpc.Status``, such as ``Version.error``."""
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
    return _BY_CODE.get(code, InternalError)(
        status.message or code.name,
        code=code,
        reason=reason,
        metadata=metadata,
        violations=violations,
        retry_after_s=retry_after_s,
    )


def from_rpc_error(
    code: grpc.StatusCode,
    details: str,
    trailing_metadata: Metadata,
    *,
    service: str,
    address: str,
) -> SonichaosError:
    """Convert a failed gRPC call, using its status details if there are any.

    An error without details comes from the transport. Its messages are rewritten where gRPC's own do not help: UNAVAILABLE
    means that no server answers; RESOURCE_EXHAUSTED that a message exceeds the size limit; UNKNOWN and INTERNAL may mean that
    a message could not be parsed.
    """
    for key, value in trailing_metadata:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return from_status(status_pb2.Status.FromString(value))
            except DecodeError:
                break
    if code is grpc.StatusCode.UNAVAILABLE:
        return _connection_error(details, service, address)
    transport_error = _message_error(code, details, service)
    if transport_error is not None:
        return transport_error
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        details = f"{service} at {address} did not answer before the call's timeout."
    return _BY_CODE.get(code, InternalError)(details or code.name, code=code)


_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED: (?P<why>[^:]+)")
_OTHER_HOST = "Hostname Verification Check failed"
_NOT_TLS = "WRONG_VERSION_NUMBER"
_UNUSABLE_PEM = "Failed to create security handshaker"
_CLOSED = "Socket closed"


def _connection_error(details: str, service: str, address: str) -> SonichaosError:
    """The error if no call could be made. gRPC reports a failed TLS handshake only in the text of UNAVAILABLE."""
    untrusted = _UNTRUSTED.search(details)
    if untrusted is not None:
        return UntrustedServerError(untrusted_message(f"{service} at {address}", untrusted["why"]))
    if _OTHER_HOST in details:
        return UntrustedServerError(untrusted_message(f"{service} at {address}", "hostname mismatch"))
    if _UNUSABLE_PEM in details:
        return ConnectionSettingsError(
            "The client certificate and its private key must be PEM, and the key must belong to the certificate."
        )
    if _NOT_TLS in details:
        advice = "The server does not use TLS there: write the address without https://."
        return ConnectionFailedError(service, address, "no TLS", advice)
    # The transport lists addresses and causes; the last cause is the useful one.
    cause = details.rpartition(": ")[2].strip("[]") or "no answer"
    return ConnectionFailedError(service, address, cause, _advice(cause, address))


def _advice(cause: str, address: str) -> str:
    """What may be wrong if a server accepted the connection and closed it at once; empty for other causes."""
    if _CLOSED not in cause or address.startswith("unix"):
        return ""
    if address.startswith("https://"):
        return (
            "If the server requires a client certificate there, pass one of an authority that it trusts: --certificate and "
            "--certificate-key (Credentials.certificate and private_key). Otherwise retry."
        )
    return f"If the server uses TLS there, write https://{address}. Otherwise retry."


def untrusted_message(server: str, why: str) -> str:
    """What to do about the certificate of a server. ``why`` is OpenSSL's or BoringSSL's reason."""
    if "hostname mismatch" in why.lower() or "ip address mismatch" in why.lower():
        advice = "It is for another host: connect to a name that is in the certificate."
    elif "expired" in why or "not yet valid" in why:
        advice = "Check this machine's clock; the operator of the server has to renew the certificate."
    else:
        advice = "Pass the authority that signed it: --ca FILE, SONICHAOS_CA or Credentials.ca."
    return f"The certificate of {server} is not trusted ({why}). {advice}"


_TOO_LARGE = re.compile(r"(?P<side>SERVER|CLIENT): Received message larger than max \((?P<sizes>\d+ vs\. \d+)\)")
_UNPARSED = re.compile(r"\.DecodeError'>: (?P<why>.+)|Exception deserializing request")


def _message_error(code: grpc.StatusCode, details: str, service: str) -> SonichaosError | None:
    """The error if gRPC itself rejected a message, recognised by gRPC's own wording; None for any other error."""
    large = _TOO_LARGE.search(details) if code is grpc.StatusCode.RESOURCE_EXHAUSTED else None
    if large is not None:
        size_bytes, limit_bytes = large["sizes"].split(" vs. ")
        metadata = {"size_bytes": size_bytes, "limit_bytes": limit_bytes}
        if large["side"] == "SERVER":
            message = (
                f"{service} accepts at most {limit_bytes} bytes per message, got {size_bytes}. Shorten the request."
            )
            return InvalidRequestError(message, metadata=metadata)
        message = f"This client accepts at most {limit_bytes} bytes per message, got {size_bytes} from {service}."
        return ResourceExhaustedError(message, metadata=metadata)
    if code not in {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}:
        return None
    unparsed = _UNPARSED.search(details)
    if unparsed is None:
        return None
    why = unparsed["why"] or "no further details. Text that is not valid UTF-8 is one possible cause"
    return InvalidRequestError(f"{service} could not parse the request: {why}.")
