"""Client of SONICHAOS AI Studio: `Client` for blocking code, `AsyncClient` for asyncio.

Requests take keyword arguments, `JobEvent` is a dataclass, jobs and other responses are protobuf messages. Enumerations print by
name; ``JobState(job.state)`` converts a number of a protobuf message.
"""

from sonichaos.jobs.v1.brief_pb2 import Brief, Licence, Score, TempoMap, TempoPoint
from sonichaos.jobs.v1.erasure_pb2 import ErasureReport
from sonichaos.jobs.v1.job_pb2 import Job, StoredFile, Version
from sonichaos.jobs.v1.job_pb2 import JobEvent as JobEventMessage
from sonichaos.jobs.v1.jobs_service_pb2 import CreateSignedUrlResponse, GetUsageResponse, GetWaveformsResponse, Waveform
from sonichaos.operations.v1.operations_pb2 import DrainResponse, EraseTenantResponse
from sonichaos.render.v1.render_pb2 import (
    AnalyzePromptResponse,
    AuditRow,
    ErasePromptResponse,
    EstimateRenderResponse,
    GetDriftReportResponse,
    Persona,
    ReplayTakeResponse,
    VerifyAuditChainResponse,
)
from sonichaos.render.v1.render_pb2 import GetModelInfoResponse as RenderModelInfo
from sonichaos.separation.v1.separation_pb2 import AnalyzeAudioResponse
from sonichaos.separation.v1.separation_pb2 import GetModelInfoResponse as SeparationModelInfo
from sonichaos.webhooks.v1.webhooks_pb2 import CreateWebhookResponse, Webhook, WebhookDelivery
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
    WebhookDeliveryState,
    WebhookEventKind,
    WebhookProblem,
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
    InvalidSignatureError,
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
from sonichaos_client.fields import AnalysisFields, BriefFields, RerenderFields, SeparationFields, StrPath
from sonichaos_client.job_handle import AsyncJobHandle, JobHandle
from sonichaos_client.job_reference import JobLike, JobReference
from sonichaos_client.jobs import JobFilter
from sonichaos_client.options import CallOptions
from sonichaos_client.persona_clips import PersonaClip
from sonichaos_client.retry import RetryPolicy
from sonichaos_client.webhooks import verify_signature

__all__ = [
    "Addresses",
    "AlreadyExistsError",
    "AnalysisFields",
    "AnalyzeAudioResponse",
    "AnalyzePromptResponse",
    "AsyncClient",
    "AsyncJobHandle",
    "AuditRow",
    "Brief",
    "BriefFields",
    "CallCancelledError",
    "CallOptions",
    "CallReport",
    "Client",
    "ConnectionFailedError",
    "ConnectionSettingsError",
    "CreateSignedUrlResponse",
    "CreateWebhookResponse",
    "Credentials",
    "DataLossError",
    "DeadlineExceededError",
    "DigestMismatchError",
    "DownloadError",
    "DrainResponse",
    "ErasePromptResponse",
    "EraseTenantResponse",
    "ErasureReport",
    "EstimateRenderResponse",
    "EventKind",
    "FailedPreconditionError",
    "FieldViolation",
    "FileKind",
    "GetDriftReportResponse",
    "GetUsageResponse",
    "GetWaveformsResponse",
    "InternalError",
    "InvalidRequestError",
    "InvalidSignatureError",
    "Job",
    "JobCancelledError",
    "JobEvent",
    "JobEventMessage",
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
    "Persona",
    "PersonaClip",
    "ProgressTrack",
    "RenderModelInfo",
    "ReplayOutcome",
    "ReplayTakeResponse",
    "RerenderFields",
    "ResourceExhaustedError",
    "RetryPolicy",
    "SavedFile",
    "Score",
    "SeparationFields",
    "SeparationModelInfo",
    "SonichaosError",
    "Stage",
    "Stem",
    "StemMode",
    "StemName",
    "StoredFile",
    "StrPath",
    "TempoMap",
    "TempoPoint",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UntrustedServerError",
    "VerifyAuditChainResponse",
    "Version",
    "Waveform",
    "Webhook",
    "WebhookDelivery",
    "WebhookDeliveryState",
    "WebhookEventKind",
    "WebhookProblem",
    "verify_signature",
]
