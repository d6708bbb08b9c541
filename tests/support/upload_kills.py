"""Kills and pauses of separation_service while an upload has no job yet, and what has to be true afterwards."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonichaos_client import CallOptions, Client, JobHandle
from sonichaos_client.errors import DeadlineExceededError, ResourceExhaustedError, UnavailableError
from tests.support.kill_matrix import (
    KILL,
    PAUSE,
    Case,
    Installation,
    check_files,
    check_job,
    check_nothing_left,
    faulty,
)
from tests.support.pair import RENDER, SEPARATION, eventually

_RATE_HZ = 44100
_SECONDS = 6.0
"""Its 1.6 MB are sent in two messages."""
_KIND = "recording"
_ERRORS = {KILL: UnavailableError, PAUSE: DeadlineExceededError}
_PATIENCE_S = {KILL: 60.0, PAUSE: 10.0}
"""How long the client waits for an answer: a pause lasts until it gives up."""


def run_upload(installation: Installation, point: str, fault: str, folder: Path) -> None:
    """Hold an upload at a point, kill or pause its service there, let the caller retry, and check everything."""
    recording = _recording(folder)
    if _KIND not in installation.samples:
        undisturbed = installation.client.separate_file(recording)
        installation.jobs.add(undisturbed.job_id)
        installation.client.wait(undisturbed)
        installation.samples[_KIND] = check_files(installation, undisturbed.job_id, 1, folder)
    before = {job.job_id for job in installation.client.list_jobs()}
    case, request_id = Case("upload", SEPARATION, point, fault, SEPARATION), uuid.uuid4().hex
    installation.gate.close(SEPARATION, point)
    with _client(installation, fault) as client, ThreadPoolExecutor() as caller:
        call = caller.submit(client.separate_file, recording, request_id=request_id)
        pair = installation.pair_of(installation.gate.held())
        with faulty(installation, pair, case):
            installation.gate.open()
            with pytest.raises(_ERRORS[fault], match="separation_service at ") as refused:
                call.result()
            assert pair.address(SEPARATION) in str(refused.value)
    job = _retried(installation.client, recording, request_id)
    installation.jobs.add(job.job_id)
    installation.client.wait(job)
    assert {one.job_id for one in installation.client.list_jobs()} == before | {job.job_id}
    check_job(installation, case, job.job_id, 1)
    assert check_files(installation, job.job_id, 1, folder) == installation.samples[_KIND]
    check_nothing_left(installation, job.job_id, 1)
    known = {key.split("/")[1] for key in installation.store.keys("jobs")}
    assert known <= before | {job.job_id}


def _recording(folder: Path) -> Path:
    sound = 0.1 * np.random.default_rng(3).normal(size=(round(_SECONDS * _RATE_HZ), 2))
    soundfile.write(folder / "recording.wav", sound, _RATE_HZ, subtype="PCM_24")
    return folder / "recording.wav"


def _client(installation: Installation, fault: str) -> Client:
    pair = installation.pairs[0]
    options = CallOptions(timeout_s=_PATIENCE_S[fault], min_bytes_per_s=1 << 30)
    return Client(pair.address(RENDER), pair.address(SEPARATION), options=options)


def _retried(client: Client, recording: Path, request_id: str) -> JobHandle:
    """The job of the same upload, sent again until the first one has given its place back."""

    def send() -> JobHandle | None:
        with suppress(ResourceExhaustedError):
            return client.separate_file(recording, request_id=request_id)
        return None

    job = eventually(send, "the upload is accepted")
    assert job is not None
    return job
