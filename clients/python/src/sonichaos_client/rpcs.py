"""The RPCs that the client calls, with the types of their messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from sonichaos.jobs.v1 import jobs_service_pb2 as jobs
from sonichaos.operations.v1 import operations_pb2 as operations
from sonichaos.render.v1 import render_pb2 as render
from sonichaos.separation.v1 import separation_pb2 as separation
from sonichaos.webhooks.v1 import webhooks_pb2 as webhooks

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True)
class Rpc(Generic[Request, Response]):
    """A method of a protobuf service."""

    service: str
    method: str
    request: type[Request]
    response: type[Response]

    @property
    def signature(self) -> tuple[str, Callable[[Request], bytes], Callable[[bytes], Response]]:
        """What a gRPC channel needs to call it: path, request serializer, response deserializer."""
        return f"/{self.service}/{self.method}", self.request.SerializeToString, self.response.FromString


_JOBS = "sonichaos.jobs.v1.JobsService"
GET_JOB = Rpc(_JOBS, "GetJob", jobs.GetJobRequest, jobs.GetJobResponse)
LIST_JOBS = Rpc(_JOBS, "ListJobs", jobs.ListJobsRequest, jobs.ListJobsResponse)
WATCH_JOB = Rpc(_JOBS, "WatchJob", jobs.WatchJobRequest, jobs.WatchJobResponse)
WATCH_JOBS = Rpc(_JOBS, "WatchJobs", jobs.WatchJobsRequest, jobs.WatchJobsResponse)
CANCEL_JOB = Rpc(_JOBS, "CancelJob", jobs.CancelJobRequest, jobs.CancelJobResponse)
DELETE_JOB = Rpc(_JOBS, "DeleteJob", jobs.DeleteJobRequest, jobs.DeleteJobResponse)
DELETE_VERSION = Rpc(_JOBS, "DeleteVersion", jobs.DeleteVersionRequest, jobs.DeleteVersionResponse)
ERASE_JOB = Rpc(_JOBS, "EraseJob", jobs.EraseJobRequest, jobs.EraseJobResponse)
ADD_STEMS = Rpc(_JOBS, "AddStems", jobs.AddStemsRequest, jobs.AddStemsResponse)
RETRY_VERSION = Rpc(_JOBS, "RetryVersion", jobs.RetryVersionRequest, jobs.RetryVersionResponse)
CREATE_SIGNED_URL = Rpc(_JOBS, "CreateSignedUrl", jobs.CreateSignedUrlRequest, jobs.CreateSignedUrlResponse)
GET_USAGE = Rpc(_JOBS, "GetUsage", jobs.GetUsageRequest, jobs.GetUsageResponse)
GET_WAVEFORMS = Rpc(_JOBS, "GetWaveforms", jobs.GetWaveformsRequest, jobs.GetWaveformsResponse)

_RENDER = "sonichaos.render.v1.RenderService"
CREATE_RENDER = Rpc(_RENDER, "CreateRender", render.CreateRenderRequest, render.CreateRenderResponse)
RERENDER_STEM = Rpc(_RENDER, "RerenderStem", render.RerenderStemRequest, render.RerenderStemResponse)
LIST_PERSONAS = Rpc(_RENDER, "ListPersonas", render.ListPersonasRequest, render.ListPersonasResponse)
GET_PERSONA = Rpc(_RENDER, "GetPersona", render.GetPersonaRequest, render.GetPersonaResponse)
DOWNLOAD_PERSONA_CLIP = Rpc(
    _RENDER, "DownloadPersonaClip", render.DownloadPersonaClipRequest, render.DownloadPersonaClipResponse
)
ANALYZE_PROMPT = Rpc(_RENDER, "AnalyzePrompt", render.AnalyzePromptRequest, render.AnalyzePromptResponse)
ESTIMATE_RENDER = Rpc(_RENDER, "EstimateRender", render.EstimateRenderRequest, render.EstimateRenderResponse)
CREATE_PERSONA = Rpc(_RENDER, "CreatePersona", render.CreatePersonaRequest, render.CreatePersonaResponse)
DELETE_PERSONA = Rpc(_RENDER, "DeletePersona", render.DeletePersonaRequest, render.DeletePersonaResponse)
LIST_AUDIT_ROWS = Rpc(_RENDER, "ListAuditRows", render.ListAuditRowsRequest, render.ListAuditRowsResponse)
VERIFY_AUDIT_CHAIN = Rpc(_RENDER, "VerifyAuditChain", render.VerifyAuditChainRequest, render.VerifyAuditChainResponse)
GET_DRIFT_REPORT = Rpc(_RENDER, "GetDriftReport", render.GetDriftReportRequest, render.GetDriftReportResponse)
REPLAY_TAKE = Rpc(_RENDER, "ReplayTake", render.ReplayTakeRequest, render.ReplayTakeResponse)
ERASE_PROMPT = Rpc(_RENDER, "ErasePrompt", render.ErasePromptRequest, render.ErasePromptResponse)
GET_RENDER_MODEL = Rpc(_RENDER, "GetModelInfo", render.GetModelInfoRequest, render.GetModelInfoResponse)

_SEPARATION = "sonichaos.separation.v1.SeparationService"
CREATE_SEPARATION = Rpc(
    _SEPARATION, "CreateSeparation", separation.CreateSeparationRequest, separation.CreateSeparationResponse
)
ANALYZE_AUDIO = Rpc(_SEPARATION, "AnalyzeAudio", separation.AnalyzeAudioRequest, separation.AnalyzeAudioResponse)
GET_SEPARATION_MODEL = Rpc(_SEPARATION, "GetModelInfo", separation.GetModelInfoRequest, separation.GetModelInfoResponse)

_OPERATIONS = "sonichaos.operations.v1.OperationsService"
ERASE_TENANT = Rpc(_OPERATIONS, "EraseTenant", operations.EraseTenantRequest, operations.EraseTenantResponse)
DRAIN = Rpc(_OPERATIONS, "Drain", operations.DrainRequest, operations.DrainResponse)

_WEBHOOKS = "sonichaos.webhooks.v1.WebhooksService"
CREATE_WEBHOOK = Rpc(_WEBHOOKS, "CreateWebhook", webhooks.CreateWebhookRequest, webhooks.CreateWebhookResponse)
LIST_WEBHOOKS = Rpc(_WEBHOOKS, "ListWebhooks", webhooks.ListWebhooksRequest, webhooks.ListWebhooksResponse)
DELETE_WEBHOOK = Rpc(_WEBHOOKS, "DeleteWebhook", webhooks.DeleteWebhookRequest, webhooks.DeleteWebhookResponse)
LIST_WEBHOOK_DELIVERIES = Rpc(
    _WEBHOOKS,
    "ListWebhookDeliveries",
    webhooks.ListWebhookDeliveriesRequest,
    webhooks.ListWebhookDeliveriesResponse,
)
RETRY_WEBHOOK_DELIVERY = Rpc(
    _WEBHOOKS, "RetryWebhookDelivery", webhooks.RetryWebhookDeliveryRequest, webhooks.RetryWebhookDeliveryResponse
)

REPEATABLE: tuple[Rpc[Any, Any], ...] = (
    GET_JOB,
    LIST_JOBS,
    GET_USAGE,
    GET_WAVEFORMS,
    ANALYZE_PROMPT,
    ESTIMATE_RENDER,
    CREATE_SIGNED_URL,
    CREATE_RENDER,
    RERENDER_STEM,
    LIST_PERSONAS,
    GET_PERSONA,
    LIST_AUDIT_ROWS,
    VERIFY_AUDIT_CHAIN,
    GET_DRIFT_REPORT,
    REPLAY_TAKE,
    GET_RENDER_MODEL,
    GET_SEPARATION_MODEL,
    DELETE_VERSION,
    ERASE_TENANT,
    CREATE_WEBHOOK,
    LIST_WEBHOOKS,
    LIST_WEBHOOK_DELIVERIES,
)
"""Unary methods that can be repeated without knowing whether the first call took effect: they read, have a request id, or end in
the same state. Cancel, delete of a job, stems and the like are not among them: the second answer would be an error, or about
another version."""
