"""The bounce is lent to separation_service, whose progress and result become this job's.

The lent tensor is float32 ``(2, T)`` whose samples are exact multiples of 2^-23: the stored 24-bit bounce, whether it was just made
or read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc

from jobs_service.journal_json import VersionFiles
from jobs_service.value_messages import (
    read_stage,
    read_stored_file,
    read_zip_entries,
    stem_mode_message,
    stored_file_message,
)
from render_service.audit import BounceFacts, StoredStems, stems_draft
from render_service.bounce import Bounce
from render_service.separation.errors import separation_error
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.manifest import SeparatorFacts
from servicekit.delivery.manifest_json import manifest_text
from servicekit.errors import Internal
from servicekit.journal import Stage
from servicekit.loans import Lender
from servicekit.store.object_store import ObjectStore
from servicekit.work import Assignment, Progress, StagedFiles
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc

REGION_WAIT_S = 30.0
"""How long a bounce waits for a region to be lent in."""
_ANSWER_S = 10.0
_AFTER_EXPIRY_S = 1.0
"""By so much a call's deadline comes after the brief's expiry, so that the version ends by its own order to stop."""
Update = TypeVar("Update", separation_pb2.SeparateTensorResponse, separation_pb2.ReplaceStemResponse)


class Stoppable(Protocol):
    """What can be ordered to stop while a call is under way. `servicekit.work.Progress` is one."""

    def check(self) -> None:
        """Raise once ordered."""

    def on_stop(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """Call ``callback`` as soon as it is ordered during the block."""


class Expiring(Stoppable, Protocol):
    """What has to be done by a moment, besides."""

    def expires_in_s(self) -> float | None:
        """Seconds until then; None where there is no such moment."""


@dataclass(frozen=True, kw_only=True)
class SeparationClient:
    """separation_service as this service sees it: a channel for calls and a lender for tensors."""

    address: str
    channel: grpc.Channel
    lender: Lender

    @property
    def stub(self) -> separation_pb2_grpc.SeparationServiceStub:
        """The service's methods."""
        return separation_pb2_grpc.SeparationServiceStub(self.channel)

    def model(self) -> separation_pb2.GetModelInfoResponse:
        """What separates. Raises Unavailable SEPARATION_UNAVAILABLE."""
        try:
            return self.stub.GetModelInfo(separation_pb2.GetModelInfoRequest(), timeout=_ANSWER_S)
        except grpc.RpcError as error:
            raise separation_error(error, address=self.address) from None

    def separate(
        self, request: separation_pb2.SeparateTensorRequest, progress: Expiring
    ) -> Iterator[separation_pb2.SeparateTensorResponse]:
        """Stems of a lent bounce. The brief's expiry is the call's deadline: what cannot be done by then is refused at once.

        Raises as :meth:`messages` does, FailedPrecondition EXPIRY_TOO_SOON among it.
        """
        left_s = progress.expires_in_s()
        deadline_s = None if left_s is None else max(left_s, 0.0) + _AFTER_EXPIRY_S
        return self.messages(self.stub.SeparateTensor(request, timeout=deadline_s), progress)

    def messages(self, call: grpc.CallIterator[Update], progress: Stoppable) -> Iterator[Update]:
        """The messages of a call that was just made. A stop order ends the call, and with it the work over there."""
        with progress.on_stop(call.cancel):
            try:
                yield from call
            except grpc.RpcError as error:
                progress.check()
                raise separation_error(error, address=self.address) from None
            finally:
                call.cancel()  # type: ignore[no-untyped-call]


def hand_over(
    bounce: Bounce, facts: BounceFacts, separation: SeparationClient, store: ObjectStore, assignment: Assignment
) -> None:
    """Lend the bounce, follow the separation, keep what it stored, with the manifest that it completed.

    Raises as separation_service and the store do; then neither a ZIP nor a changed manifest stays.
    """
    progress, keys = assignment.progress, bounce.manifest.keys
    with StagedFiles(store, [keys.zip], overwritten={keys.manifest: manifest_text(bounce.manifest)}):
        result = _separated_by(separation, bounce, facts, assignment)
        store.put_bytes(keys.manifest, result.manifest_json.encode(), content_type="application/json")
        stems = stored_stems(result)
        files = VersionFiles(zip=stems.zip, zip_entries=stems.zip_entries, manifest=stems.manifest)
        progress.stems_ready(files=files.json(), audit=stems_draft(bounce.manifest, facts, stems))


def _separated_by(
    separation: SeparationClient, bounce: Bounce, facts: BounceFacts, assignment: Assignment
) -> separation_pb2.SeparationResult:
    progress = assignment.progress
    if progress.current_stage is not Stage.HANDOFF:  # it has begun where the bounce had to be read back
        progress.stage(Stage.HANDOFF)
    lent = separation.lender.lend(
        bounce.samples(), sample_rate_hz=SAMPLE_RATE_HZ, job_id=facts.job_id, wait_s=REGION_WAIT_S
    )
    with lent as loan:
        request = separation_pb2.SeparateTensorRequest(
            lease_id=loan.lease_id,
            job_id=facts.job_id,
            version=facts.version,
            stem_mode=stem_mode_message(assignment.version.stem_mode),
            manifest_json=manifest_text(bounce.manifest),
            bounce=stored_file_message(bounce.stored_file),
        )
        message = follow(separation.separate(request, progress), progress)
        if message is None or not message.HasField("result"):
            raise Internal("separation_service ended without a result")
        return message.result


def follow(messages: Iterator[Update], progress: Progress) -> Update | None:
    """Relay the progress of a separation; gives the message that tells of none, None where the call ends without one.

    Reads to the call's end, so that the other side knows that its result was taken.
    """
    stage, last = Stage.HANDOFF, None
    for message in messages:
        if not message.HasField("progress"):
            last = message
            continue
        told = message.progress
        reported = read_stage(told.stage) or stage
        if reported is not stage:
            stage = reported
            progress.stage(stage, max(told.steps_total, 1))
        left = told.estimated_time_left.ToNanoseconds() / 1e9 if told.HasField("estimated_time_left") else None
        progress.step(told.steps_done, total=max(told.steps_total, 1), time_left_s=left)
    return last


def stored_stems(result: separation_pb2.SeparationResult | separation_pb2.StemReplacement) -> StoredStems:
    """What the separation stored, as the audit row needs it."""
    return StoredStems(
        zip=read_stored_file(result.zip),
        zip_entries=read_zip_entries(result.zip_entries),
        manifest=read_stored_file(result.manifest),
        manifest_json=result.manifest_json,
        separator=SeparatorFacts(name=result.separator, weights_sha256=result.weights_sha256),
        fingerprint=dict(result.fingerprint),
    )
