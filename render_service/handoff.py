"""The bounce is lent to separation_service, whose progress and result become this job's.

The lent tensor is float32 ``(2, T)`` whose samples are exact multiples of 2^-23: the stored 24-bit bounce, whether it was just made
or read back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import json_format

from render_service.bounce import Bounce, stems_audit
from render_service.bounce_facts import BounceFacts
from render_service.handoff_errors import separation_error
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.manifest_json import manifest_text
from servicekit.errors import Internal
from servicekit.journal import Stage, StemMode
from servicekit.loans import Lender
from servicekit.work import Assignment, Progress
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc

_REGION_WAIT_S = 30.0
_STEM_MODES = {StemMode.EXACT: brief_pb2.STEM_MODE_EXACT, StemMode.RAW: brief_pb2.STEM_MODE_RAW}


@dataclass(frozen=True, kw_only=True)
class SeparationClient:
    """separation_service as this service sees it: a channel for calls and a lender for tensors."""

    address: str
    channel: grpc.Channel
    lender: Lender

    def separate(
        self, request: separation_pb2.SeparateTensorRequest, progress: Progress
    ) -> Iterator[separation_pb2.SeparateTensorResponse]:
        """The call's messages. A stop order ends the call, and with it the work over there."""
        call = separation_pb2_grpc.SeparationServiceStub(self.channel).SeparateTensor(request)
        with progress.on_stop(call.cancel):
            try:
                yield from call
            except grpc.RpcError as error:
                progress.check()
                raise separation_error(error, address=self.address) from None
            finally:
                call.cancel()  # type: ignore[no-untyped-call]


def hand_over(bounce: Bounce, facts: BounceFacts, separation: SeparationClient, assignment: Assignment) -> None:
    """Lend the bounce, follow the separation, keep what it stored. Raises as separation_service does."""
    progress = assignment.progress
    if progress.current_stage is not Stage.HANDOFF:  # it has begun where the bounce had to be read back
        progress.stage(Stage.HANDOFF)
    lent = separation.lender.lend(
        bounce.samples(), sample_rate_hz=SAMPLE_RATE_HZ, job_id=facts.job_id, wait_s=_REGION_WAIT_S
    )
    with lent as loan:
        request = separation_pb2.SeparateTensorRequest(
            lease_id=loan.lease_id,
            job_id=facts.job_id,
            version=facts.version,
            stem_mode=_STEM_MODES[assignment.version.stem_mode],
            manifest_json=manifest_text(bounce.manifest),
            bounce=bounce.stored_file(),
        )
        result = _follow(separation.separate(request, progress), progress)
    progress.stems_ready(files=_files(result), audit=stems_audit(bounce, facts, _separated(result)))


def _follow(
    messages: Iterator[separation_pb2.SeparateTensorResponse], progress: Progress
) -> separation_pb2.SeparationResult:
    """Relay the progress; the last message is the result."""
    stage = Stage.HANDOFF
    for message in messages:
        if message.HasField("result"):
            return message.result
        told = message.progress
        name = job_pb2.Stage.Name(told.stage).removeprefix("STAGE_")
        if name != stage:
            stage = Stage(name)
            progress.stage(stage, max(told.steps_total, 1))
        left = told.estimated_time_left.ToNanoseconds() / 1e9 if told.HasField("estimated_time_left") else None
        progress.step(told.steps_done, total=max(told.steps_total, 1), time_left_s=left)
    raise Internal("separation_service ended without a result")


def _files(result: separation_pb2.SeparationResult) -> Mapping[str, Any]:
    files = job_pb2.VersionFiles(zip=result.zip, zip_entries=result.zip_entries, manifest=result.manifest)
    return json_format.MessageToDict(files)


def _separated(result: separation_pb2.SeparationResult) -> dict[str, Any]:
    """What the audit row says of the separation."""
    return {
        "zip": {"key": result.zip.key, "sha256": result.zip.sha256},
        "stems": {
            entry.name.removesuffix(".wav"): entry.sha256
            for entry in result.zip_entries
            if entry.name.endswith(".wav") and entry.name != "bounce.wav"
        },
        "manifestSha256": result.manifest.sha256,
        "separator": {"name": result.separator, "weightsSha256": result.weights_sha256},
        "separationFingerprint": dict(sorted(result.fingerprint.items())),
    }
