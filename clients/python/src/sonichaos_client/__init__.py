"""Client of SONICHAOS AI Studio: `Client` for blocking code, `AsyncClient` for asyncio.

Requests take keyword arguments, `JobEvent` is a dataclass, jobs and other responses are protobuf messages. Enumerations print by
name; ``JobState(job.state)`` converts a number of a protobuf message.
"""

from sonichaos.jobs.v1.brief_pb2 import Brief, Licence, Score, TempoMap, TempoPoint
from sonichaos.jobs.v1.job_pb2 import Job, Version
from sonichaos_client.addresses import Addresses
from sonichaos_client.aio import AsyncClient
from sonichaos_client.call_report import CallReport
from sonichaos_client.client import Client
from sonichaos_client.credentials import Credentials
from sonichaos_client.download import SavedFile
from sonichaos_client.enums import (
    EventKind,
    FileKind,
    JobState,
    LicenceCoverage,
    OwningService,
    ProgressTrack,
    ReplayOutcome,
    Stage,
    Stem,
    StemMode,
    StemName,
)
from sonichaos_client.errors import (
    AlreadyExistsError,
    CallCancelledError,
    ConnectionFailedError,
    ConnectionSettingsError,
    DataLossError,
    DeadlineExceededError,
    DigestMismatchError,
    DownloadError,
    FailedPreconditionError,
    FieldViolation,
    InternalError,
    InvalidRequestError,
    JobCancelledError,
    JobFailedError,
    LocalFileExistsError,
    LocalReadError,
    LocalWriteError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    SonichaosError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UntrustedServerError,
)
from sonichaos_client.events import JobEvent
from sonichaos_client.fields import AnalysisFields, BriefFields, RerenderFields, SeparationFields
from sonichaos_client.job_handle import AsyncJobHandle, JobHandle
from sonichaos_client.job_reference import JobLike, JobReference
from sonichaos_client.jobs import JobFilter
from sonichaos_client.options import CallOptions
from sonichaos_client.retry import RetryPolicy

__all__ = [
    "Addresses",
    "AlreadyExistsError",
    "AnalysisFields",
    "AsyncClient",
    "AsyncJobHandle",
    "Brief",
    "BriefFields",
    "CallCancelledError",
    "CallOptions",
    "CallReport",
    "Client",
    "ConnectionFailedError",
    "ConnectionSettingsError",
    "Credentials",
    "DataLossError",
    "DeadlineExceededError",
    "DigestMismatchError",
    "DownloadError",
    "EventKind",
    "FailedPreconditionError",
    "FieldViolation",
    "FileKind",
    "InternalError",
    "InvalidRequestError",
    "Job",
    "JobCancelledError",
    "JobEvent",
    "JobFailedError",
    "JobFilter",
    "JobHandle",
    "JobLike",
    "JobReference",
    "JobState",
    "Licence",
    "LicenceCoverage",
    "LocalFileExistsError",
    "LocalReadError",
    "LocalWriteError",
    "NotFoundError",
    "OwningService",
    "PermissionDeniedError",
    "ProgressTrack",
    "ReplayOutcome",
    "RerenderFields",
    "ResourceExhaustedError",
    "RetryPolicy",
    "SavedFile",
    "Score",
    "SeparationFields",
    "SonichaosError",
    "Stage",
    "Stem",
    "StemMode",
    "StemName",
    "TempoMap",
    "TempoPoint",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UntrustedServerError",
    "Version",
]
