"""What earlier requests created, so that a repeated one returns it, and what a day's work adds up to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from google.protobuf import json_format
from google.protobuf.message import Message
from grpc import StatusCode

from sonichaos_client.testing.fake.records import JobRecord
from sonichaos_client.testing.fake.refusals import Refusal


@dataclass(frozen=True)
class Accepted:
    """A job, and the version of it that a request created."""

    job: JobRecord
    version: int


@dataclass(frozen=True)
class _Known:
    digest: str
    accepted: Accepted


class Requests:
    """What earlier requests created, by RPC and request id."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}

    def find(self, rpc: str, request_id: str, digest: str) -> Accepted | None:
        """What the same request created before. Raises REQUEST_ID_REUSED."""
        known = self._known.get((rpc, request_id)) if request_id else None
        if known is None:
            return None
        if known.digest not in {digest, ""}:
            job_id = known.accepted.job.job_id
            raise Refusal(
                StatusCode.ALREADY_EXISTS,
                "REQUEST_ID_REUSED",
                f"request id {request_id!r} was used for other content, by job {job_id}; use a new id for a new request",
                metadata={"request_id": request_id, "job_id": job_id},
            )
        return known.accepted

    def record(self, rpc: str, request_id: str, digest: str, accepted: Accepted) -> None:
        """Remember what a request created."""
        if request_id:
            self._known[rpc, request_id] = _Known(digest, accepted)

    def forget_content(self, job_id: str) -> None:
        """From now on a repeated request of the job is not compared: its prompt was erased."""
        for key, known in self._known.items():
            if known.accepted.job.job_id == job_id:
                self._known[key] = replace(known, digest="")

    def forget(self, job_id: str) -> int:
        """Free the request ids of a job; returns how many there were."""
        keys = [key for key, known in self._known.items() if known.accepted.job.job_id == job_id]
        for key in keys:
            del self._known[key]
        return len(keys)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()


class Usage:
    """Seconds of audio and uploaded bytes of one day in UTC."""

    def __init__(self) -> None:
        self._day = ""
        self.audio_s = 0.0
        self.upload_bytes = 0

    def of_day(self, day: str) -> Usage:
        """The counts of a day, which begin anew with each."""
        if day != self._day:
            self._day, self.audio_s, self.upload_bytes = day, 0.0, 0
        return self


def digest_of(rpc: str, content: Message) -> str:
    """By which a retry is compared with the first call."""
    text = json.dumps([rpc, json_format.MessageToDict(content)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
