"""The client of separation_service: lends a bounce, follows the call that uses it, and returns the call's result.

The lent tensor is float32 ``(2, T)`` whose samples are exact multiples of 2^-23: those of the 24-bit bounce.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jobs_service.value_messages import read_stage, read_stored_file, read_zip_entries
from render_service.audit import StoredStems
from render_service.bounce import Bounce
from render_service.separation.errors import separation_error
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.manifest import SeparatorFacts
from servicekit.errors import Internal, Unavailable
from servicekit.faults import NO_FAULTS, Faults
from servicekit.loans import Lender
from servicekit.work import Progress
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc

_REGION_WAIT_S = 30.0
_MODEL_INFO_TIMEOUT_S = 10.0
_HEALTH_TIMEOUT_S = 5.0
_DEADLINE_MARGIN_S = 1.0  # after the brief's expiry, so that the version ends as expired and not by the call's deadline
Update = TypeVar("Update", separation_pb2.SeparateTensorResponse, separation_pb2.ReplaceStemResponse)
OnProgress = Callable[[separation_pb2.SeparationProgress], None]


class Cancellable(Protocol):
    """Work that may have to stop during a call. `servicekit.work.Progress` is one."""

    def check(self) -> None:
        """Raise if the work has to stop."""

    def on_stop(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """During the block, call ``callback`` as soon as the work has to stop."""


@dataclass(frozen=True, kw_only=True)
class SeparationClient:
    """A channel for calls and a lender for tensors."""

    address: str
    channel: grpc.Channel
    lender: Lender
    faults: Faults = NO_FAULTS

    @property
    def stub(self) -> separation_pb2_grpc.SeparationServiceStub:
        """The methods of SeparationService."""
        return separation_pb2_grpc.SeparationServiceStub(self.channel)

    def separator(self) -> SeparatorFacts:
        """The loaded separator. Raises Unavailable SEPARATION_UNAVAILABLE."""
        try:
            info = self.stub.GetModelInfo(separation_pb2.GetModelInfoRequest(), timeout=_MODEL_INFO_TIMEOUT_S)
        except grpc.RpcError as error:
            raise separation_error(error, address=self.address) from None
        return SeparatorFacts(name=info.name, weights_sha256=info.weights_sha256)

    def check_serving(self) -> None:
        """Raise Unavailable SEPARATION_UNAVAILABLE unless separation_service answers and is neither warming nor draining."""
        try:
            answer = health_pb2_grpc.HealthStub(self.channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_HEALTH_TIMEOUT_S
            )
        except grpc.RpcError as error:
            raise separation_error(error, address=self.address) from None
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise Unavailable(
                f"separation_service at {self.address} is warming or draining; the bounce is stored",
                reason="SEPARATION_UNAVAILABLE",
                metadata={"address": self.address},
                retry_after_s=_HEALTH_TIMEOUT_S,
            )

    def separate_tensor(
        self, request: separation_pb2.SeparateTensorRequest, *, expires_in_s: float | None
    ) -> grpc.CallIterator[separation_pb2.SeparateTensorResponse]:
        """Start SeparateTensor. separation_service refuses an expiry that it cannot meet (EXPIRY_TOO_SOON)."""
        timeout_s = None if expires_in_s is None else max(expires_in_s, 0.0) + _DEADLINE_MARGIN_S
        return self.stub.SeparateTensor(request, timeout=timeout_s)

    def lend_and_call(
        self,
        bounce: Bounce,
        start_call: Callable[[str], grpc.CallIterator[Update]],
        *,
        work: Cancellable,
        on_progress: OnProgress,
        expected: str = "result",
    ) -> Update:
        """Lend a bounce, call ``start_call`` with the lease id, and return the result as :meth:`read_result` does."""
        job_id = bounce.manifest.job_id
        with self.lender.lend(
            bounce.samples(), sample_rate_hz=SAMPLE_RATE_HZ, job_id=job_id, wait_s=_REGION_WAIT_S
        ) as loan:
            return self.read_result(start_call(loan.lease_id), work=work, on_progress=on_progress, expected=expected)

    def read_result(
        self, call: grpc.CallIterator[Update], *, work: Cancellable, on_progress: OnProgress, expected: str = "result"
    ) -> Update:
        """Follow a call to its end and return its last message, which has the ``expected`` field.

        It is read to the end, so that separation_service knows that the result arrived. If ``work`` has to stop, the call is
        cancelled, and with it the work in separation_service. Raises the errors of ``work`` and of separation_service.
        """
        result, cut_after = None, self.faults.cut_after()
        with work.on_stop(call.cancel):
            try:
                for number, message in enumerate(call):
                    if number == cut_after:
                        call.cancel()  # type: ignore[no-untyped-call]
                    if message.HasField("progress"):
                        on_progress(message.progress)
                    else:
                        result = message
            except grpc.RpcError as error:
                work.check()
                raise separation_error(error, address=self.address) from None
            finally:
                call.cancel()  # type: ignore[no-untyped-call]
        field = None if result is None else result.WhichOneof("update")
        if result is None or field != expected:
            raise Internal(f"separation_service must end the call with a {expected}, got {field or 'nothing'}")
        return result


def progress_forwarder(progress: Progress) -> OnProgress:
    """Reports the progress of separation_service as that of the job, stage by stage."""

    def forward(update: separation_pb2.SeparationProgress) -> None:
        stage, total = read_stage(update.stage), max(update.steps_total, 1)
        if stage is not None and stage is not progress.current_stage:
            progress.stage(stage, total)
        has_estimate = update.HasField("estimated_time_left")
        time_left_s = update.estimated_time_left.ToNanoseconds() / 1e9 if has_estimate else None
        progress.step(update.steps_done, total=total, time_left_s=time_left_s)

    return forward


def read_stored_stems(result: separation_pb2.SeparationResult | separation_pb2.StemReplacement) -> StoredStems:
    """What separation_service stored."""
    return StoredStems(
        zip=read_stored_file(result.zip),
        zip_entries=read_zip_entries(result.zip_entries),
        manifest=read_stored_file(result.manifest),
        manifest_json=result.manifest_json,
        separator=SeparatorFacts(name=result.separator, weights_sha256=result.weights_sha256),
        fingerprint=dict(result.fingerprint),
    )
