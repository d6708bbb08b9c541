"""Handles of jobs, of both clients, against scripted services on loopback."""

# ruff: noqa: S311  draws need no secrecy

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servicekit.errors import Internal
from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos_client import (
    AsyncJobHandle,
    CallOptions,
    FileKind,
    JobHandle,
    JobState,
    RetryPolicy,
    Stem,
    StemMode,
    errors,
)
from tests.support.client_kinds import KINDS
from tests.support.scripted_service import BOUNCE, ZIP
from tests.support.scripted_services import ScriptedPair, scripted_pair

QUICK = CallOptions(
    timeout_s=10, retry=RetryPolicy(initial_backoff_s=0.01, max_backoff_s=0.02, max_elapsed_s=0.5), rng=random.Random(1)
)


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, pair: ScriptedPair) -> Iterator[Any]:
    """Each kind of client."""
    made = request.param.of(pair, QUICK)
    yield made
    made.stop()


def test_both_handles_have_the_same_methods() -> None:
    """The same names, parameters and docstrings."""

    def offered(kind: type) -> dict[str, tuple[str, str | None]]:
        return {
            name: (str(inspect.signature(method).replace(return_annotation=None)), method.__doc__)
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert offered(JobHandle) == offered(AsyncJobHandle)


def test_a_take_from_its_creation_to_its_file(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """The handle knows its job and version, and each call updates what it knows."""
    job = client.create_render(prompt="a", persona_id="ember", stems=True)
    assert (job.job_id, job.version, job.state) == (job.message.job_id, 1, JobState.QUEUED)
    assert [event.sequence for event in job.events(after_sequence=7)] == [8, 9, 10]
    assert job.state is JobState.QUEUED
    assert job.refresh().state is JobState.DONE
    assert job.wait().message.versions[0].files.zip.size_bytes == len(ZIP)
    saved = job.download(tmp_path)
    assert (saved.version, saved.path.read_bytes()) == (1, ZIP)
    with pytest.raises(errors.LocalFileExistsError):
        job.download(tmp_path)
    assert job.download(tmp_path, overwrite=True).path == saved.path
    assert job.download(tmp_path, kind=FileKind.BOUNCE, file_name="mix.wav").path.read_bytes() == BOUNCE
    assert job.signed_url(kind=FileKind.ZIP).file.sha256 == saved.sha256
    assert repr(job.target).endswith(f"({job.job_id}, version 1, DONE)")
    assert {request.version for request in pair.render.requests("CreateSignedUrl")} == {1}


def test_changes_name_the_version_of_the_handle(pair: ScriptedPair, client: Any) -> None:
    """Cancel, stems, retry and re-render are about that version, not about the newest."""
    pair.render.accept("j-two", stems=False).versions.add(number=2, state=job_pb2.JOB_STATE_QUEUED)
    assert client.job("j-two").version == 2
    job = client.job("j-two", version=1)
    job.cancel()
    job.add_stems(stem_mode=StemMode.RAW, priority=3)
    job.retry(priority=4)
    job.rerender("bass", persona_id="moss", request_id="r")
    job.rerender(base_version=2, seed=3, request_id="s")
    jobs, render = jobs_service_pb2, render_pb2
    assert pair.render.requests("CancelJob") == [jobs.CancelJobRequest(job_id="j-two", version=1)]
    assert pair.render.requests("AddStems") == [
        jobs.AddStemsRequest(job_id="j-two", version=1, stem_mode=StemMode.RAW, priority=3)
    ]
    assert pair.render.requests("RetryVersion") == [jobs.RetryVersionRequest(job_id="j-two", version=1, priority=4)]
    assert pair.render.requests("RerenderStem") == [
        render.RerenderStemRequest(job_id="j-two", stem=Stem.BASS, persona_id="moss", base_version=1, request_id="r"),
        render.RerenderStemRequest(job_id="j-two", stem=Stem.VOCALS, seed=3, base_version=2, request_id="s"),
    ]
    assert job.message.versions[0].stems_wanted
    with pytest.raises(errors.NotFoundError, match="has no version 3"):
        client.job("j-two", version=3)


def test_a_handle_yields_the_events_of_its_version_only(pair: ScriptedPair, client: Any) -> None:
    """Those of other versions have numbers in the same sequence; a watch by the id has them all."""
    job = client.create_render(prompt="a", persona_id="ember")
    for event in pair.render.events[job.job_id][2:4]:
        event.version = 2
    assert [event.sequence for event in job.events()] == [1, 2, 5, 6, 7]
    assert [event.sequence for event in client.watch(job)] == [1, 2, 5, 6, 7]
    assert [event.sequence for event in client.watch(job.job_id)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_handle_deletes_its_version(pair: ScriptedPair, client: Any) -> None:
    """The job comes back with that version marked; by the job's id, the version is named."""
    versions = pair.render.accept("j-two", stems=False).versions
    versions.add(number=2, state=job_pb2.JOB_STATE_DONE)
    versions.add(number=3, state=job_pb2.JOB_STATE_DONE)
    job = client.job("j-two", version=2)
    assert job.delete_version().target is job.target
    marked = client.delete_version("j-two", 3)
    assert [version.HasField("delete_time") for version in job.message.versions] == [False, True, False]
    assert [version.HasField("delete_time") for version in marked.versions] == [False, True, True]
    asked = jobs_service_pb2.DeleteVersionRequest
    assert pair.render.requests("DeleteVersion") == [asked(job_id="j-two", version=2), asked(job_id="j-two", version=3)]


def test_a_handle_calls_the_owner_only(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """The job's message names its service, so that the other one is not asked."""
    wav = tmp_path / "a.wav"
    wav.write_bytes(b"RIFF1234")
    job = client.separate_file(wav)
    job.wait().download(tmp_path / "out")
    job.cancel()
    job.erase()
    job.delete()
    assert pair.render.calls == []
    assert pair.separation.jobs == {}


def test_a_failed_wait_leaves_the_failed_job_in_the_handle(pair: ScriptedPair, client: Any) -> None:
    """The exception has the reason, and the handle the state."""
    pair.render.ending, pair.render.ending_error = job_pb2.JOB_STATE_FAILED, Internal("NaN", reason="NOT_FINITE")
    job = client.create_render(prompt="a", persona_id="ember")
    with pytest.raises(errors.JobFailedError, match="v1 failed: NaN"):
        job.wait()
    assert job.state is JobState.FAILED


def test_a_stem_is_named_by_a_word_or_by_the_enum(pair: ScriptedPair, client: Any) -> None:
    """Another word is rejected before the call, with the ones that exist."""
    job = client.create_render(prompt="a", persona_id="ember", stems=True)
    client.rerender_stem(job, "drums", seed=1)
    client.rerender_stem(job.job_id, Stem.DRUMS, seed=1)
    first, second = pair.render.requests("RerenderStem")
    assert (first.stem, first.base_version) == (Stem.DRUMS, 1)
    assert (second.stem, second.base_version) == (Stem.DRUMS, 0)
    with pytest.raises(
        errors.InvalidRequestError, match=r"stem must be drums, bass, vocals, other, got 'vocal'\."
    ) as caught:
        job.rerender("vocal", seed=1)
    assert [one.field for one in caught.value.violations] == ["stem"]
