"""Running jobs while faults are injected, and comparing their samples with those of an undisturbed run."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import Client, Job, JobHandle
from sonichaos_client.errors import ResourceExhaustedError, UnavailableError
from tests.support.pair import RENDER, SEPARATION, Pair
from tests.support.takes import brief, check_numbers, collect_events, stems_of

T = TypeVar("T")


def persistently(call: Callable[[], T]) -> T:
    """Call as a client should: again while the service is unavailable or full."""
    for _ in range(100):
        try:
            return call()
        except (UnavailableError, ResourceExhaustedError):
            continue
    pytest.fail("a hundred calls in a row were refused")


def accepted(client: Client, seed: int, clip: Path) -> list[JobHandle]:
    """A take with stems and an upload."""
    take, upload = uuid.uuid4().hex, uuid.uuid4().hex
    return [
        persistently(lambda: client.create_render(brief(stems=True, seed=seed), request_id=take)),
        persistently(lambda: client.separate_file(clip, request_id=upload)),
    ]


def samples_of(client: Client, job: Job | JobHandle, folder: Path) -> dict[str, bytes]:
    """The samples of a job that is done, its events checked."""
    story = persistently(lambda: collect_events(client, job))
    assert story.job.state == job_pb2.JOB_STATE_DONE, story.job
    check_numbers(story.events)
    return persistently(lambda: stems_of(client, job.job_id, folder / uuid.uuid4().hex))


def check_samples(pair: Pair, clip: Path, folder: Path, *, faults: str, takes: int) -> None:
    """Run ``takes`` takes and uploads undisturbed, then on the same installation with faults; compare."""

    def run(client: Client) -> list[dict[str, bytes]]:
        jobs = [job for seed in range(takes) for job in accepted(client, seed, clip)]
        return [samples_of(client, job, folder) for job in jobs]

    wanted = run(pair.client)
    for service in (RENDER, SEPARATION):
        pair.kill(service)
    pair.settings = {**pair.settings, "SONICHAOS_FAULTS": faults}
    pair.start()
    assert run(pair.client) == wanted
    lines = itertools.chain(*(pair.log_lines(service) for service in (RENDER, SEPARATION)))
    assert "fault injected" in {line["event"] for line in lines}
