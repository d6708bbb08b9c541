"""SeparationService: translates requests and answers, and hands the work to the modules it calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

from grpc import aio

from jobs_service.upload_meter import UploadMeter, UploadMeters
from separation_service.api import analysis_messages, replace_messages
from separation_service.api import messages as wire
from separation_service.calls import CallResult, SeparationCalls
from separation_service.pipeline import SeparationPipeline
from separation_service.uploads.admission import UploadAdmission
from separation_service.uploads.analyze import analyze_upload
from separation_service.uploads.spool import Spool
from servicekit.access.caller import current_tenant
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.journal import Job
from servicekit.rpc.pools import CallPools
from servicekit.rpc.receive import ReceiveLimits, ReceiveStream
from sonichaos.jobs.v1 import job_pb2
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc

Context = aio.ServicerContext[Any, Any]

Upload = TypeVar("Upload", separation_pb2.CreateSeparationRequest, separation_pb2.AnalyzeAudioRequest)

MAX_CHUNK_BYTES = 1 << 20
GATED_METHODS = tuple(
    f"/sonichaos.separation.v1.SeparationService/{name}"
    for name in ("SeparateTensor", "ReplaceStem", "CreateSeparation", "AnalyzeAudio")
)


class SeparationServicer(separation_pb2_grpc.SeparationServiceServicer):
    """Blocking work runs in threads; the server turns exceptions into statuses."""

    def __init__(
        self,
        *,
        pools: CallPools,
        pipeline: SeparationPipeline,
        calls: SeparationCalls,
        admission: UploadAdmission,
        meters: UploadMeters,
        as_message: Callable[[Job], job_pb2.Job],
        receive_limits: ReceiveLimits,
    ) -> None:
        self._pools = pools
        self._pipeline = pipeline
        self._calls = calls
        self._admission = admission
        self._meters = meters
        self._as_message = as_message
        self._receive_limits = receive_limits

    async def SeparateTensor(
        self, request: separation_pb2.SeparateTensorRequest, context: Context
    ) -> AsyncIterator[separation_pb2.SeparateTensorResponse]:
        with self._calls.ending_lease(request.lease_id):
            loan, what = wire.read_tensor_request(request)
            async with aclosing(self._calls.separate(loan, what, timeout_s=context.time_remaining())) as updates:
                async for update in updates:
                    if isinstance(update, CallResult):
                        yield wire.result_message(update, self._pipeline.separator.info)
                    else:
                        yield separation_pb2.SeparateTensorResponse(progress=wire.progress_message(update))

    async def ReplaceStem(
        self, request: separation_pb2.ReplaceStemRequest, context: Context
    ) -> AsyncIterator[separation_pb2.ReplaceStemResponse]:
        with self._calls.ending_lease(request.lease_id):
            replace_request = replace_messages.read_replace_request(request)
            async with aclosing(self._calls.replace(replace_request)) as updates:
                async for update in updates:
                    if isinstance(update, CallResult):
                        yield replace_messages.replace_result(update, self._pipeline.separator.info)
                    else:
                        yield separation_pb2.ReplaceStemResponse(progress=wire.progress_message(update))

    async def AnalyzeAudio(
        self, request_iterator: AsyncIterator[separation_pb2.AnalyzeAudioRequest], context: Context
    ) -> separation_pb2.AnalyzeAudioResponse:
        async with self._meters.open() as meter:
            stream = self._stream(request_iterator, meter)
            request = analysis_messages.read_analysis_header((await _first(stream)).header)
            with self._admission.spool() as spool:
                await self._fill(spool, current_tenant(), request.store_key, stream)
                analysis, frames = await self._pools.analyses.run(
                    partial(analyze_upload, spool.path, request.hints, resample=request.resample)
                )
        return analysis_messages.analysis_message(analysis, frames)

    async def CreateSeparation(
        self, request_iterator: AsyncIterator[separation_pb2.CreateSeparationRequest], context: Context
    ) -> separation_pb2.CreateSeparationResponse:
        tenant = current_tenant()
        async with self._meters.open() as meter:
            stream = self._stream(request_iterator, meter)
            header = wire.read_header((await _first(stream)).header)
            with self._admission.spool() as spool:
                await self._fill(spool, tenant, header.store_key, stream)
                pool = self._admission.hook.pool(self._pools, without=self._pools.uploads)
                job = await pool.run(self._admission.accept, tenant, header, spool)
        return separation_pb2.CreateSeparationResponse(job=self._as_message(job))

    async def GetModelInfo(
        self, request: separation_pb2.GetModelInfoRequest, context: Context
    ) -> separation_pb2.GetModelInfoResponse:
        pipeline = self._pipeline
        return wire.model_info_message(
            pipeline.separator.info, pipeline.fingerprint, pipeline.estimator.realtime_factor
        )

    def _stream(self, requests: AsyncIterator[Upload], meter: UploadMeter) -> ReceiveStream[Upload]:
        counted = meter.counted(requests, _size)
        return ReceiveStream(counted, self._receive_limits, size_of=_size)

    async def _fill(self, spool: Spool, tenant: str, store_key: str, stream: ReceiveStream[Upload]) -> None:
        """Spool the bytes that follow, or those of a file of the tenant in the store."""
        if store_key:
            if await stream.next() is not None:
                raise InvalidFields([FieldViolation("data", "must not follow where header.store_key is set")])
            await self._pools.uploads.run(self._admission.fetch, tenant, store_key, spool)
        else:
            await self._read_bytes(stream, spool)

    async def _read_bytes(self, stream: ReceiveStream[Upload], spool: Spool) -> None:
        while (request := await stream.next()) is not None:
            if request.WhichOneof("part") != "data":
                raise InvalidFields([FieldViolation("header", "the stream must be one header, then data only")])
            if len(request.data) > MAX_CHUNK_BYTES:
                text = f"must be at most {MAX_CHUNK_BYTES} bytes in a message, got {len(request.data)}"
                raise InvalidFields([FieldViolation("data", text)])
            await self._pools.uploads.run(spool.write, request.data)


def _size(request: separation_pb2.CreateSeparationRequest | separation_pb2.AnalyzeAudioRequest) -> int:
    return len(request.data)


async def _first(stream: ReceiveStream[Upload]) -> Upload:
    """The first message, which has the header. Raises InvalidFields for any other."""
    first = await stream.next()
    if first is None or first.WhichOneof("part") != "header":
        raise InvalidFields([FieldViolation("header", "the first message of the stream must be a header")])
    return first
