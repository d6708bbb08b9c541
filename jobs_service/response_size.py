"""Responses that every client can receive: gRPC refuses more than 4 MiB by default in every language.

Rows are no bound for bytes: a job with a tempo map of 512 points has 25 KB, a job with many versions much more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

from google.protobuf.message import Message

from sonichaos.jobs.v1 import job_pb2

MAX_RESPONSE_BYTES = 3_500_000
"""Below 4 MiB (4,194,304 bytes) by more than a page token and the framing of its rows."""

PageT = TypeVar("PageT", bound=Message)


def fitting_page(page_of: Callable[[int], PageT], rows: int, *, rows_of: Callable[[PageT], Sequence[Message]]) -> PageT:
    """The page of up to ``rows`` rows, or of as many of the first as fit, and of one at least.

    ``page_of`` reads a page of so many rows, with its token; it is read again where the first one is too large.
    """
    page = page_of(rows)
    while (sizes := [row.ByteSize() for row in rows_of(page)]) and sum(sizes) > MAX_RESPONSE_BYTES and len(sizes) > 1:
        page = page_of(max(sum(total <= MAX_RESPONSE_BYTES for total in accumulate(sizes)), 1))
    return page


def fitting_job(job: job_pb2.Job) -> job_pb2.Job:
    """The job itself. Where it is too large, the briefs of its re-renders are left out, oldest first: they repeat the job's own."""
    for version in job.versions[1:]:
        if job.ByteSize() <= MAX_RESPONSE_BYTES:
            break
        version.ClearField("brief")
    return job
