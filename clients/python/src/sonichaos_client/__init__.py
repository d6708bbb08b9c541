"""Client of SONICHAOS AI Studio: `Client` for blocking code, `AsyncClient` for asyncio, messages as protobuf defines them."""

from sonichaos.jobs.v1.brief_pb2 import (
    STEM_BASS,
    STEM_DRUMS,
    STEM_MODE_EXACT,
    STEM_MODE_RAW,
    STEM_OTHER,
    STEM_VOCALS,
    Brief,
    Licence,
    TempoMap,
    TempoPoint,
)
from sonichaos.jobs.v1.job_pb2 import Job, JobEvent, Version
from sonichaos.jobs.v1.jobs_service_pb2 import (
    FILE_KIND_BOUNCE,
    FILE_KIND_LATENTS,
    FILE_KIND_MANIFEST,
    FILE_KIND_ZIP,
)
from sonichaos.render.v1.render_pb2 import RerenderStemRequest
from sonichaos.separation.v1.separation_pb2 import AnalysisHeader, SeparationHeader
from sonichaos_client.aio import AsyncClient
from sonichaos_client.client import Client
from sonichaos_client.download import SavedFile
from sonichaos_client.errors import SonichaosError
from sonichaos_client.jobs import JobFilter
from sonichaos_client.options import CallOptions
from sonichaos_client.retry import RetryPolicy
from sonichaos_client.rpcs import Target

__all__ = [
    "FILE_KIND_BOUNCE",
    "FILE_KIND_LATENTS",
    "FILE_KIND_MANIFEST",
    "FILE_KIND_ZIP",
    "STEM_BASS",
    "STEM_DRUMS",
    "STEM_MODE_EXACT",
    "STEM_MODE_RAW",
    "STEM_OTHER",
    "STEM_VOCALS",
    "AnalysisHeader",
    "AsyncClient",
    "Brief",
    "CallOptions",
    "Client",
    "Job",
    "JobEvent",
    "JobFilter",
    "Licence",
    "RerenderStemRequest",
    "RetryPolicy",
    "SavedFile",
    "SeparationHeader",
    "SonichaosError",
    "Target",
    "TempoMap",
    "TempoPoint",
    "Version",
]
