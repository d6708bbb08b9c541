"""The fake services over gRPC: a whole integration without weights, with skipped time and scripted faults."""

from __future__ import annotations

import io
import json
import urllib.request
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import grpc
import numpy as np
import pytest

from sonichaos.handoff.v1 import handoff_pb2, handoff_pb2_grpc
from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2, jobs_service_pb2_grpc
from sonichaos.testing.v1 import fake_pb2, fake_pb2_grpc
from sonichaos_client import (
    Client,
    Credentials,
    EventKind,
    FailedPreconditionError,
    JobFailedError,
    JobState,
    NotFoundError,
    ProgressTrack,
    ResourceExhaustedError,
    UnauthenticatedError,
)
from sonichaos_client.testing.fake import (
    ANY_PORT,
    FakeOptions,
    FakeSonichaos,
    Script,
    ScriptError,
    make_fault,
    start_fake,
)
from sonichaos_client.verify import verify_zip
from tests.support.certificates import Authority

KEY = "sonichaos_fake_0123456789"
BRIEF: dict[str, Any] = {"prompt": "slow dusty boom bap", "persona_id": "neon-drift", "seconds": 2.0}


def options(**changes: Any) -> FakeOptions:
    """Options of a fake on free ports whose clock stands still."""
    listen = {"render_listen": ANY_PORT, "separation_listen": ANY_PORT, "url_listen": ANY_PORT}
    return FakeOptions(**{"speed": 0.0, **listen, **changes})


@pytest.fixture(scope="module")
def running() -> Iterator[FakeSonichaos]:
    """One fake for all tests of this module."""
    with start_fake(options()) as fake:
        yield fake


@pytest.fixture
def fake(running: FakeSonichaos) -> FakeSonichaos:
    """The fake, empty."""
    running.reset()
    return running


@pytest.fixture
def client(fake: FakeSonichaos) -> Iterator[Client]:
    """A client of both services."""
    with fake.client() as client:
        yield client


@dataclass(frozen=True)
class Answer:
    """What an HTTP server answered."""

    status: int
    headers: Message
    body: bytes


def fetch(url: str, *, method: str = "GET", **headers: str) -> Answer:
    """Ask for a signed URL, whatever the status is."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method)) as answer:  # noqa: S310  loopback
            return Answer(answer.status, answer.headers, answer.read())
    except HTTPError as error:
        return Answer(error.code, error.headers, error.read())


def states(client: Client, job_id: str) -> list[str]:
    """The states of a job's versions."""
    return [JobState(version.state).name for version in client.get_job(job_id).versions]


def test_time_passes_only_when_it_is_skipped(fake: FakeSonichaos, client: Client) -> None:
    """On a manual clock a job waits, runs, and ends exactly when its time was skipped."""
    job = client.create_render(**BRIEF, stems=True)
    assert states(client, job.job_id) == ["QUEUED"]
    fake.skip(0.5)
    assert states(client, job.job_id) == ["RUNNING"]
    expected_end = client.get_job(job.job_id).versions[0].estimated_end_time.ToDatetime()
    fake.skip(0.7)
    version = client.get_job(job.job_id).versions[0]
    assert version.files.HasField("bounce")
    assert not version.files.HasField("zip")
    fake.skip(10)
    assert states(client, job.job_id) == ["DONE"]
    version = client.get_job(job.job_id).versions[0]
    seconds = (version.end_time.ToDatetime() - version.start_time.ToDatetime()).total_seconds()
    assert seconds == pytest.approx(2.0, abs=0.05)
    assert (version.end_time.ToDatetime() - expected_end).total_seconds() == pytest.approx(0.0, abs=0.05)


def test_files_of_a_take_and_its_rerender_are_valid(fake: FakeSonichaos, client: Client, tmp_path: Path) -> None:
    """ZIPs of both versions pass `sonichaos verify`; three stems of the second are those of the first."""
    job = client.create_render(**BRIEF, stems=True)
    fake.skip(10)
    new = job.rerender(stem="vocals", persona_id="granite-road")
    fake.skip(10)
    reports = [verify_zip(handle.download(tmp_path).path) for handle in (job, new)]
    assert [report.failures for report in reports] == [(), ()]
    first, second = (
        {entry.name: entry.sha256 for entry in version.files.zip_entries} for version in client.get_job(job).versions
    )
    assert {name for name in first if first[name] == second[name]} == {"drums.wav", "bass.wav", "other.wav"}


@pytest.mark.parametrize("seconds", [2.5, 7.3])
def test_takes_of_any_length_are_exact(fake: FakeSonichaos, client: Client, tmp_path: Path, seconds: float) -> None:
    """Stems sum to the bounce whether the take is shorter or longer than what is shared between takes, and as a loop."""
    fields = {**BRIEF, "seconds": seconds, "target_lufs": -20.0, "seed": round(seconds)}
    jobs = [client.create_render(**fields, stems=True, loop=loop) for loop in (False, True) if not loop or seconds > 5]
    fake.skip(20)
    for job in jobs:
        report = verify_zip(job.download(tmp_path).path)
        assert report.failures == ()
        assert report.lufs == pytest.approx(-20.0, abs=0.05)


def test_the_same_brief_gives_the_same_samples_and_another_seed_others(fake: FakeSonichaos, client: Client) -> None:
    """Audio is a function of prompt, persona and seed; the name of the job is in the file's header only."""
    jobs = [client.create_render(**BRIEF, seed=seed) for seed in (1, 1, 2)]
    fake.skip(10)
    first, same, other = (_samples(client, job.job_id) for job in jobs)
    assert first == same
    assert first != other


def _samples(client: Client, job_id: str) -> bytes:
    url = client.create_signed_url(job_id).url
    with wave.open(io.BytesIO(fetch(url).body)) as file:
        return bytes(file.readframes(file.getnframes()))


def test_an_upload_is_separated_and_rerendered(fake: FakeSonichaos, client: Client, tmp_path: Path) -> None:
    """A recording becomes four stems that sum to it; its first re-render takes tempo and key, and moves to render_service.

    A handle from before the move follows the job.
    """
    path = tmp_path / "song.wav"
    path.write_bytes(_recording())
    job = client.separate_file(path)
    fake.skip(10)
    new = job.rerender(stem="bass", persona_id="neon-drift", prompt="warm", bpm=100, key="A minor")
    fake.skip(10)
    assert job.wait().state is JobState.DONE
    assert [event.version for event in job.events()][-1] == 1
    assert [verify_zip(handle.download(tmp_path).path).failures for handle in (job, new)] == [(), ()]
    message = client.get_job(job.job_id)
    assert message.owner == job_pb2.OWNING_SERVICE_RENDER
    assert message.brief.file_name == "song.wav"


def test_a_deleted_version_leaves_the_others_whole(fake: FakeSonichaos, client: Client, tmp_path: Path) -> None:
    """It cannot be deleted while a version is made from it; afterwards what needs its files is refused, and its URL is gone."""
    job = client.create_render(**BRIEF, stems=True)
    fake.skip(10)
    second = job.rerender("vocals", seed=2)
    fake.skip(10)
    third = second.rerender("bass", seed=3)
    with pytest.raises(FailedPreconditionError, match="it is made from version 2; cancel it or wait until it ends"):
        second.delete_version()
    fake.skip(10)
    url = second.signed_url().url
    assert second.refresh().delete_version().message == client.delete_version(job.job_id, 2)
    assert second.message.versions[1].HasField("delete_time")
    assert fetch(url).status == 404
    with pytest.raises(NotFoundError, match="its files were deleted"):
        second.signed_url()
    for refused in (second.add_stems, second.retry, lambda: second.rerender("vocals", seed=4)):
        with pytest.raises(FailedPreconditionError):
            refused()
    for handle, missing in ((second, "the files of version 2"), (third, "the ZIP of version 2")):
        with pytest.raises(FailedPreconditionError, match=f"a replay needs {missing}, which was deleted"):
            client.replay(job.job_id, version=handle.version)
    assert [verify_zip(handle.download(tmp_path).path).failures for handle in (job, third)] == [(), ()]
    assert job.rerender("vocals", seed=5).version == 4


def _recording() -> bytes:
    samples = (np.random.default_rng(3).uniform(-0.9, 0.9, (44100, 2)) * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(44100)
        writer.writeframes(samples.tobytes())
    return file.getvalue()


def test_signed_urls_answer_ranges_and_expire_with_the_clock(fake: FakeSonichaos, client: Client) -> None:
    """GET and HEAD with Range, also from a browser's page; a changed URL and an expired one are refused."""
    job = client.create_render(**BRIEF, stems=True)
    fake.skip(10)
    entry = next(e for e in client.get_job(job).versions[0].files.zip_entries if e.name == "bass.wav")
    url = client.create_signed_url(job.job_id).url
    span = f"bytes={entry.offset_bytes}-{entry.offset_bytes + 11}"
    part = fetch(url, Range=span)
    assert (part.status, part.body[:4]) == (206, b"RIFF")
    assert part.headers["Access-Control-Allow-Origin"] == "*"
    head = fetch(url, method="HEAD")
    assert (head.headers["Content-Length"], head.body) == (str(_zip_bytes(client, job.job_id)), b"")
    assert fetch(url.replace("v1.zip", "v1.json")).status == 403
    assert fetch(url, Range=f"bytes={1 << 40}-").status == 416
    fake.skip(3601)
    assert fetch(url).status == 403


def _zip_bytes(client: Client, job_id: str) -> int:
    return int(client.get_job(job_id).versions[0].files.zip.size_bytes)


def test_a_dropped_stream_is_resumed_without_losing_an_event(fake: FakeSonichaos, client: Client) -> None:
    """Streams that end after some events look like lost connections; a client that resumes sees each event once."""
    job = client.create_render(**BRIEF)
    fake.skip(10)
    fake.fault("drop_stream", after_events=4, times=3)
    sequences = [event.sequence for event in job.events()]
    assert sequences == list(range(1, len(sequences) + 1))
    fake.fault("drop_stream", after_events=2, times=1)
    with grpc.insecure_channel(fake.address) as channel:
        stream: Any = jobs_service_pb2_grpc.JobsServiceStub(channel).WatchJob(
            jobs_service_pb2.WatchJobRequest(job_id=job.job_id)
        )
        assert [next(stream).event.sequence for _ in range(2)] == [1, 2]
        with pytest.raises(grpc.RpcError) as lost:
            next(stream)
    assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "grpc-status-details-bin" not in _keys(lost.value)


def _keys(error: Any) -> set[str]:
    """The names of the trailing metadata."""
    return {key for key, _ in error.trailing_metadata() or ()}


def test_a_stalled_stage_goes_on_after_its_time_or_when_faults_are_cleared(fake: FakeSonichaos, client: Client) -> None:
    """A stall with a duration ends by itself, one without lasts until ClearFaults."""
    fake.fault("stall", stage="denoise", duration=100, times=1)
    fake.fault("stall", stage="separate", times=1)
    job = client.create_render(**BRIEF, stems=True)
    fake.skip(50)
    assert job.refresh().message.versions[0].progress[0].stage == job_pb2.STAGE_DENOISE
    fake.skip(1000)
    assert job.refresh().message.versions[0].progress[1].stage == job_pb2.STAGE_SEPARATE
    fake.clear_faults()
    fake.skip(10)
    assert states(client, job.job_id) == ["DONE"]


def test_a_failed_stage_fails_the_version_and_a_retry_goes_on_after_the_bounce(
    fake: FakeSonichaos, client: Client
) -> None:
    """The error has the scripted reason and the stage; what was stored before stays."""
    fake.fault("fail_stage", stage="separate", reason="OUT_OF_MEMORY", times=1)
    job = client.create_render(**BRIEF, stems=True)
    fake.skip(10)
    with pytest.raises(JobFailedError) as failed:
        job.wait()
    assert (failed.value.reason, failed.value.metadata["stage"]) == ("OUT_OF_MEMORY", "SEPARATE")
    bounce = client.get_job(job).versions[0].files.bounce
    assert bounce.sha256
    job.retry()
    fake.skip(10)
    version = client.get_job(job).versions[0]
    assert (version.state, version.files.bounce) == (job_pb2.JOB_STATE_DONE, bounce)
    assert [timing.stage for timing in version.timings].count(job_pb2.STAGE_DENOISE) == 1


def test_a_crash_refuses_calls_and_raises_the_attempt(fake: FakeSonichaos, client: Client) -> None:
    """While a service is down its calls fail without a reason; afterwards its versions start over, the third time they fail."""
    job = client.create_render(**BRIEF)
    fake.skip(0.3)
    fake.fault("crash", service="render", down_time=60)
    with grpc.insecure_channel(fake.address) as channel, pytest.raises(grpc.RpcError) as refused:
        jobs_service_pb2_grpc.JobsServiceStub(channel).GetJob(jobs_service_pb2.GetJobRequest(job_id=job.job_id))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    fake.skip(61)
    fake.skip(10)
    assert {event.attempt for event in job.events() if event.kind is EventKind.PROGRESS} == {1, 2}
    fake.fault("crash", stage="vocode", times=3)
    again = client.create_render(**BRIEF)
    fake.skip(30)
    with pytest.raises(JobFailedError) as failed:
        again.wait()
    assert failed.value.reason == "TOO_MANY_ATTEMPTS"


def test_a_slow_store_delays_jobs_and_downloads(fake: FakeSonichaos, client: Client) -> None:
    """Stages that store something take longer by the delay, on the clock of the fake."""
    fake.fault("slow_store", delay=500)
    job = client.create_render(**BRIEF)
    fake.skip(100)
    assert states(client, job.job_id) == ["RUNNING"]
    fake.skip(500)
    assert states(client, job.job_id) == ["DONE"]


def test_a_full_queue_refuses_work_with_a_retry_time(fake: FakeSonichaos, client: Client) -> None:
    """QUEUE_FULL carries RetryInfo, and the call succeeds when the fault is over."""
    fake.fault("queue_full", retry_delay=7, times=1)
    with pytest.raises(ResourceExhaustedError) as refused:
        client.create_render(**BRIEF)
    assert (refused.value.reason, refused.value.retry_after_s) == ("QUEUE_FULL", 7.0)
    assert client.create_render(**BRIEF).job_id


def test_versions_wait_for_a_worker_in_the_order_of_their_priority(fake: FakeSonichaos, client: Client) -> None:
    """Two versions run at a time; of those that wait, the highest priority is next."""
    running = [client.create_render(**BRIEF) for _ in range(2)]
    fake.skip(0.1)
    waiting = [client.create_render(**BRIEF, priority=priority) for priority in (0, 5)]
    positions = [client.get_job(job).versions[0].queue_position for job in waiting]
    assert positions == [1, 0]
    fake.skip(1.0)
    assert [states(client, job.job_id) for job in (*running, *waiting)] == [
        ["DONE"],
        ["DONE"],
        ["RUNNING"],
        ["RUNNING"],
    ]


def test_a_running_version_is_cancelled_and_an_expired_one_fails(fake: FakeSonichaos, client: Client) -> None:
    """A cancel ends as CANCELLED a moment later; an expiry on the clock of the fake ends as EXPIRED."""
    cancelled = client.create_render(**BRIEF)
    fake.skip(0.2)
    cancelled.cancel()
    assert states(client, cancelled.job_id) == ["CANCELLING"]
    fake.fault("stall", times=1)
    expired = client.create_render(**BRIEF, expire_time=fake.skip(1.0) + timedelta(minutes=10))
    fake.skip(601)
    assert [states(client, job.job_id) for job in (cancelled, expired)] == [["CANCELLED"], ["FAILED"]]
    with pytest.raises(JobFailedError) as failed:
        expired.wait()
    assert failed.value.reason == "EXPIRED"


def test_nothing_of_before_a_reset_happens_after_it(fake: FakeSonichaos, client: Client) -> None:
    """A reset forgets queued, running and cancelled work with its expiries; an open watch ends, and time goes on."""
    expired = client.create_render(**BRIEF, expire_time=fake.skip(0) + timedelta(minutes=1))
    fake.skip(0.1)
    client.create_render(**BRIEF).cancel()
    with grpc.insecure_channel(fake.address) as channel:
        stub = jobs_service_pb2_grpc.JobsServiceStub(channel)
        all_jobs: Any = stub.WatchJobs(jobs_service_pb2.WatchJobsRequest())
        all_jobs.initial_metadata()
        fake.reset()
        with pytest.raises(grpc.RpcError):
            next(all_jobs)
        after: Any = stub.WatchJobs(jobs_service_pb2.WatchJobsRequest(heartbeat_seconds=1))
        after.initial_metadata()
        fake.skip(3600)
        assert not next(after).HasField("event")
        after.cancel()
    with pytest.raises(NotFoundError):
        client.get_job(expired.job_id)


def test_every_watcher_gets_every_event_of_all_jobs_from_a_cursor(fake: FakeSonichaos, client: Client) -> None:
    """WatchJobs resumes after the cursor of an event, and has the events of a job that is created later."""
    first = client.create_render(**BRIEF)
    fake.skip(10)
    cursor = client.get_job(first).versions[0].progress[0].cursor
    second = client.create_render(**BRIEF)
    with grpc.insecure_channel(fake.address) as channel:
        stream: Any = jobs_service_pb2_grpc.JobsServiceStub(channel).WatchJobs(
            jobs_service_pb2.WatchJobsRequest(cursor=cursor)
        )
        seen = [next(stream).event for _ in range(2)]
        stream.cancel()
    assert [(event.job_id, event.state) for event in seen] == [
        (first.job_id, job_pb2.JOB_STATE_DONE),
        (second.job_id, job_pb2.JOB_STATE_QUEUED),
    ]


def test_uploads_have_only_the_stems_track(fake: FakeSonichaos, client: Client, tmp_path: Path) -> None:
    """Progress of an upload is on one track, and BOUNCE_READY comes before it is separated."""
    path = tmp_path / "song.wav"
    path.write_bytes(_recording())
    job = client.separate_file(path)
    fake.skip(10)
    events = list(job.events())
    assert {event.track for event in events if event.kind is EventKind.PROGRESS} == {ProgressTrack.STEMS}
    kinds = [event.kind for event in events]
    assert kinds.index(EventKind.BOUNCE_READY) < kinds.index(EventKind.STEMS_READY)


def test_the_audit_chain_is_intact_and_its_texts_are_erased(fake: FakeSonichaos, client: Client) -> None:
    """Each stored version has rows in the chain; erasing a job leaves the chain intact, and the rows without texts."""
    job = client.create_render(**BRIEF, stems=True, labels={"album": "one"})
    fake.skip(10)
    rows = list(client.list_audit_rows())
    assert [(row.kind, row.prompt) for row in rows] == [("bounce", BRIEF["prompt"]), ("stems", BRIEF["prompt"])]
    assert list(client.get_job(job).versions[0].audit_digests) == [row.digest for row in rows]
    client.erase(job.job_id)
    assert [row.prompt + row.personal_json for row in client.list_audit_rows()] == ["", ""]
    assert client.verify_audit_chain().intact
    with pytest.raises(NotFoundError):
        client.get_job(job)


def test_drums_are_switched_off_and_peers_are_refused(fake: FakeSonichaos, client: Client) -> None:
    """What the defaults of the services refuse, the fake refuses; the handoff between the services needs the scope peer."""
    job = client.create_render(**BRIEF, stems=True)
    fake.skip(10)
    with pytest.raises(FailedPreconditionError) as refused:
        job.rerender(stem="drums", seed=1)
    assert refused.value.reason == "SWITCHED_OFF"
    with grpc.insecure_channel(fake.separation_address) as channel, pytest.raises(grpc.RpcError) as denied:
        handoff_pb2_grpc.HandoffServiceStub(channel).WithdrawTensor(handoff_pb2.WithdrawTensorRequest(lease_id="a"))
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_any_language_controls_the_fake_over_grpc(fake: FakeSonichaos, client: Client) -> None:
    """FakeControlService skips time and scripts faults at the address of either service."""
    with grpc.insecure_channel(fake.separation_address) as channel:
        control = fake_pb2_grpc.FakeControlServiceStub(channel)
        control.AddFault(fake_pb2.AddFaultRequest(fault=make_fault("fail_stage", stage="plan", reason="NOT_FINITE")))
        job = client.create_render(**BRIEF)
        request = fake_pb2.SkipTimeRequest()
        request.duration.FromSeconds(10)
        before = client.get_job(job).create_time.ToDatetime()
        assert (control.SkipTime(request).now_time.ToDatetime() - before).total_seconds() == pytest.approx(10, abs=1)
        assert states(client, job.job_id) == ["FAILED"]
        with pytest.raises(grpc.RpcError) as refused:
            control.AddFault(fake_pb2.AddFaultRequest())
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        control.Reset(fake_pb2.ResetRequest())
    assert list(client.list_jobs()) == []


def test_a_fake_with_tls_and_keys_admits_callers_with_a_key(tmp_path: Path) -> None:
    """With a certificate all addresses speak TLS; without a valid key every call is refused."""
    authority = Authority.create(tmp_path)
    server = authority.server()
    secured = options(certificate=server.certificate, private_key=server.key, api_keys=[KEY])
    with start_fake(secured) as fake:
        assert fake.address.startswith("https://")
        assert fake.url_address.startswith("https://")
        right = Credentials(ca=authority.ca, api_key=KEY)
        with Client(fake.render_address, fake.separation_address, credentials=right) as client:
            assert len(list(client.list_personas())) == 8
        wrong = Credentials(ca=authority.ca, api_key=f"{KEY}x")
        with Client(fake.render_address, fake.separation_address, credentials=wrong) as client:
            with pytest.raises(UnauthenticatedError) as refused:
                list(client.list_personas())
            assert refused.value.reason == "CREDENTIALS_INVALID"


WRONG_SCRIPTS: list[Callable[[], object]] = [
    lambda: make_fault("explode"),
    lambda: make_fault("stall", stage="mastering"),
    lambda: make_fault("stall", delay=3),
    lambda: make_fault("slow_store", delay=-1),
    lambda: make_fault("drop_stream", after_events=1.5),
    lambda: make_fault("stall", service="both"),
]


@pytest.mark.parametrize("wrong", WRONG_SCRIPTS, ids=range(len(WRONG_SCRIPTS)))
def test_a_wrong_fault_is_refused_and_says_what_is_possible(wrong: Callable[[], object]) -> None:
    """A fault with an unknown kind, field, stage or service, or a wrong value, names what is expected."""
    with pytest.raises(ScriptError, match=r"must be|has "):
        wrong()


def test_default_personas_are_those_of_the_starter_weights() -> None:
    """Prompts of the docs name personas of the starter weights, which the fake has too."""
    folder = Path(__file__).resolve().parents[2] / "render_service" / "personas" / "builtin"
    facts = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/persona.json")]
    assert Script().personas == {one["id"]: one["prefix"] for one in facts}
