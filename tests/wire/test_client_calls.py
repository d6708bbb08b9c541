"""The blocking and the asyncio client against scripted services on loopback."""

# ruff: noqa: S311  draws need no secrecy

from __future__ import annotations

import gc
import hashlib
import inspect
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from servicekit.errors import (
    AlreadyExists,
    DataLoss,
    FieldViolation,
    Internal,
    InvalidFields,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)
from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2
from sonichaos.operations.v1 import operations_pb2
from sonichaos.render.v1 import render_pb2, render_pb2_grpc
from sonichaos.separation.v1 import separation_pb2
from sonichaos.webhooks.v1 import webhooks_pb2
from sonichaos_client import (
    AsyncClient,
    Brief,
    CallOptions,
    Client,
    EventKind,
    JobFilter,
    JobState,
    Licence,
    OwningService,
    RetryPolicy,
    Stage,
    Stem,
    StemMode,
    errors,
    rpcs,
)
from tests.support.client_kinds import KINDS
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


def test_both_clients_have_the_same_methods() -> None:
    """Both clients have the same public methods, with the same parameters and docstrings."""

    def offered(kind: type) -> dict[str, tuple[str, str | None]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: (str(inspect.signature(method).replace(return_annotation=None)), method.__doc__)
            for name, method in methods
            if not name.startswith("_")
        }

    assert offered(Client) == offered(AsyncClient)


def test_every_public_rpc_is_in_the_table() -> None:
    """The table of RPCs has every public method, with the message types of the protos."""
    table = {
        (rpc.service, rpc.method): (rpc.request.DESCRIPTOR, rpc.response.DESCRIPTOR)
        for rpc in vars(rpcs).values()
        if isinstance(rpc, rpcs.Rpc)
    }
    expected = {
        (service.full_name, method.name): (method.input_type, method.output_type)
        for module in (jobs_service_pb2, operations_pb2, render_pb2, separation_pb2, webhooks_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if method.name not in {"SeparateTensor", "ReplaceStem"}  # between the two services
    }
    assert table == expected


def test_a_watch_yields_every_event_once_despite_disconnects(pair: ScriptedPair, client: Any) -> None:
    """A stream is resumed after the last event received: no event is lost or repeated."""
    job = client.create_render(prompt="a", persona_id="ember", stems=True)
    pair.render.disconnects = [2, 0, 3, 1]
    events = client.watch(job.job_id)
    assert [event.sequence for event in events] == list(range(1, 11))
    assert [request.after_sequence for request in pair.render.requests("WatchJob")] == [0, 2, 2, 5, 6]
    assert {request.version for request in pair.render.requests("WatchJob")} == {1}


def test_a_watch_from_a_number_yields_only_later_events(client: Any) -> None:
    """The caller names the last event received."""
    job = client.create_render(prompt="a", persona_id="ember")
    assert [event.sequence for event in client.watch(job, after_sequence=5)] == [6, 7]


def test_a_watch_gives_up_after_max_elapsed_s(pair: ScriptedPair, client: Any) -> None:
    """If the service stays unavailable, the watch raises its error."""
    job = client.create_render(prompt="a", persona_id="ember")
    pair.render.errors["WatchJob"] = [Unavailable("draining") for _ in range(500)]
    with pytest.raises(errors.UnavailableError, match="draining"):
        client.watch(job)


def test_a_watch_of_a_quiet_job_survives_any_number_of_disconnects(pair: ScriptedPair, client: Any) -> None:
    """A heartbeat shows that the service was reached, as an event does: a job may wait for hours behind a proxy that cuts it."""
    job = client.create_render(prompt="a", persona_id="ember")
    pair.render.disconnects, pair.render.heartbeats = [0] * 100, 1
    assert [event.sequence for event in client.watch(job)] == list(range(1, 8))
    assert len(pair.render.requests("WatchJob")) == 101


def test_a_watch_does_not_keep_the_streams_that_have_ended(pair: ScriptedPair) -> None:
    """One that lasts for weeks needs no more memory than at its beginning."""
    pair.render.disconnects, pair.render.heartbeats = [0] * 30, 1
    with Client(pair.render_address, pair.separation_address, options=QUICK) as client:
        events = client.watch(client.create_render(prompt="a", persona_id="ember"))
        before = _calls_in_memory()
        next(events)
        assert _calls_in_memory() <= before + 1
        events.close()


def _calls_in_memory() -> int:
    gc.collect()
    return sum(issubclass(type(one), grpc.Call) for one in gc.get_objects())


def test_a_watch_does_not_retry_a_permanent_error(pair: ScriptedPair, client: Any) -> None:
    """An error that a retry cannot fix is raised at once."""
    job = client.create_render(prompt="a", persona_id="ember")
    pair.render.errors["WatchJob"] = [NotFound("gone", reason="JOB_NOT_FOUND")]
    with pytest.raises(errors.NotFoundError):
        client.watch(job)
    assert len(pair.render.requests("WatchJob")) == 1


def test_a_wait_that_is_disconnected_after_a_failure_raises_the_failure(pair: ScriptedPair, client: Any) -> None:
    """The event of the failure is enough if the job cannot be read any more; a later state replaces it."""
    pair.render.ending, pair.render.ending_error = job_pb2.JOB_STATE_FAILED, Internal("fell over", reason="NOT_FINITE")
    job = client.create_render(prompt="a", persona_id="ember")
    pair.render.errors["GetJob"] = [Unavailable("draining") for _ in range(500)]
    with pytest.raises(errors.JobFailedError, match="v1 failed: fell over") as caught:
        client.wait(job)
    assert caught.value.reason == "NOT_FINITE"
    queued_again = job_pb2.JobEvent(
        sequence=8, version=1, kind=job_pb2.EVENT_KIND_STATE, state=job_pb2.JOB_STATE_QUEUED
    )
    pair.render.events[job.job_id].append(queued_again)
    with pytest.raises(errors.UnavailableError, match="draining"):
        client.wait(job)


def test_watch_all_continues_from_its_cursor(pair: ScriptedPair, client: Any) -> None:
    """The stream over all jobs is resumed at the cursor of the last event."""
    client.create_render(prompt="a", persona_id="ember")
    pair.render.disconnects = [3]
    events = client.watch_all(OwningService.RENDER, cursor="", limit=7)
    assert [event.sequence for event in events] == list(range(1, 8))
    assert [request.cursor for request in pair.render.requests("WatchJobs")] == ["", "c3"]


def test_wait_returns_the_finished_job(client: Any) -> None:
    """A wait ends with the version and returns the job with its files."""
    job = client.create_render(prompt="a", persona_id="ember", stems=True)
    ended = client.wait(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_DONE
    assert ended.versions[0].files.zip.size_bytes > 0


def test_wait_raises_the_error_of_a_failed_job(pair: ScriptedPair, client: Any) -> None:
    """The error has the reason, stage and retry delay of the failed job, and the job."""
    pair.render.ending = job_pb2.JOB_STATE_FAILED
    pair.render.ending_error = ServiceError("NaN in the latents", reason="NOT_FINITE", retry_after_s=7)
    job = client.create_render(prompt="a", persona_id="ember")
    with pytest.raises(errors.JobFailedError, match="v1 failed: NaN in the latents") as caught:
        client.wait(job)
    assert (caught.value.reason, caught.value.metadata["stage"]) == ("NOT_FINITE", "DENOISE")
    assert caught.value.retry_after_s == 7
    assert caught.value.job.versions[0].files.bounce.key


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (InvalidFields([FieldViolation("brief.prompt", "is empty")]), errors.InvalidRequestError),
        (NotFound("no persona", reason="PERSONA_NOT_FOUND", metadata={"known": "ember"}), errors.NotFoundError),
        (AlreadyExists("used", metadata={"request_id": "r"}), errors.AlreadyExistsError),
        (ResourceExhausted("queue full", retry_after_s=12.5), errors.ResourceExhaustedError),
        (Unavailable("warming", reason="WARMING", retry_after_s=12), errors.UnavailableError),
        (DataLoss("changed", metadata={"key": "k"}), errors.DataLossError),
    ],
)
def test_errors_have_all_details_of_the_status(
    pair: ScriptedPair, client: Any, refusal: ServiceError, kind: type[errors.SonichaosError]
) -> None:
    """Reason, metadata, violations and retry delay are those of the status."""
    pair.render.errors["CreateRender"] = [refusal]
    with pytest.raises(kind) as caught:
        client.create_render(Brief())
    error = caught.value
    assert (error.message, error.reason, error.metadata) == (refusal.message, refusal.reason, refusal.metadata)
    assert [(v.field, v.description) for v in error.violations] == [
        (v.field, v.description) for v in refusal.violations
    ]
    assert (error.code, error.retry_after_s) == (refusal.code, refusal.retry_after_s)


def test_the_error_without_a_service_says_how_to_start_one() -> None:
    """A refused connection has its own exception, with the command that starts the services."""
    with (
        Client("127.0.0.1:1", "127.0.0.1:1", options=QUICK) as client,
        pytest.raises(
            errors.ConnectionFailedError, match=r"connect to render_service at 127\.0\.0\.1:1 .*sonichaos up"
        ),
    ):
        client.get_render_model()


def test_a_request_above_the_size_limit_is_an_invalid_request(pair: ScriptedPair, client: Any) -> None:
    """If gRPC itself rejects a message, the error has its size and the limit."""
    with pytest.raises(errors.InvalidRequestError, match=r"accepts at most 4194304 bytes per message, got 50000\d\d"):
        client.create_render(Brief(prompt="a" * 5_000_000))
    pair.render.accept("j-big", stems=False, prompt="p" * 17_000_000)
    with pytest.raises(
        errors.ResourceExhaustedError, match=r"accepts at most 16777216 bytes per message, got 170000\d\d"
    ):
        client.get_job("j-big")


async def test_a_request_that_cannot_be_parsed_is_an_invalid_request() -> None:
    """For text that is not UTF-8, gRPC sends no details; the error quotes its message and is an invalid request."""
    server = grpc.aio.server()
    render_pb2_grpc.add_RenderServiceServicer_to_server(render_pb2_grpc.RenderServiceServicer(), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        raw = channel.unary_unary("/sonichaos.render.v1.RenderService/CreateRender")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(b"\x12\x04\x0a\x02\xff\xfe")  # a brief whose prompt is two bytes that are not UTF-8
    await server.stop(None)
    answered = caught.value
    error = errors.from_rpc_error(
        answered.code(), answered.details() or "", (), service="render_service", address=address
    )
    assert isinstance(error, errors.InvalidRequestError)
    assert "UTF-8" in error.message
    other = errors.from_rpc_error(answered.code(), "Socket closed", (), service="render_service", address=address)
    assert isinstance(other, errors.InternalError)


def test_a_call_has_a_timeout(pair: ScriptedPair) -> None:
    """The error of a call that exceeds its timeout names the service."""
    pair.render.stalled = {"GetModelInfo"}
    short_timeout = CallOptions(timeout_s=0.2)
    with (
        Client(pair.render_address, pair.separation_address, options=short_timeout) as client,
        pytest.raises(errors.DeadlineExceededError, match="render_service"),
    ):
        client.get_render_model()


def test_a_job_is_found_at_its_owner(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """Operations on a job reach the service that owns it."""
    wav = tmp_path / "a.wav"
    wav.write_bytes(b"RIFF1234")
    job = client.separate_file(wav)
    assert client.get_job(job.job_id).owner == job_pb2.OWNING_SERVICE_SEPARATION
    assert [event.sequence for event in client.watch(job.job_id)][-1] == 10
    client.cancel(job.job_id)
    client.delete(job.job_id)
    assert pair.separation.jobs == {}
    with pytest.raises(errors.NotFoundError) as caught:
        client.get_job(job.job_id)
    assert caught.value.reason == "JOB_NOT_FOUND"


def test_an_upload_is_reachable_while_render_service_is_down(pair: ScriptedPair, tmp_path: Path) -> None:
    """A service that is down does not hide the other's jobs, and a job that it may own is not reported as missing."""
    wav = tmp_path / "a.wav"
    wav.write_bytes(b"RIFF1234")
    with Client("127.0.0.1:1", pair.separation_address, options=QUICK) as client:
        job = client.separate_file(wav)
        assert client.get_job(job.job_id).job_id == job.job_id
        with pytest.raises(errors.ConnectionFailedError):
            client.get_job("j-of-the-other")


def test_lists_merge_both_services_newest_first(pair: ScriptedPair, client: Any) -> None:
    """The pages of both services are merged into one list."""
    for index in range(7):
        scripted = (pair.render, pair.separation)[index % 2]
        scripted.accept(f"j-{index}", stems=False).create_time.FromSeconds(1_700_000_000 + index)
    assert [job.job_id for job in client.list_jobs()] == [f"j-{index}" for index in reversed(range(7))]
    only = client.list_jobs(JobFilter(owner=OwningService.SEPARATION))
    assert [job.job_id for job in only] == ["j-5", "j-3", "j-1"]
    list(client.list_jobs(JobFilter(prompt_contains="Tape piano")))
    assert pair.render.requests("ListJobs")[-1].prompt_contains == "Tape piano"


def test_waveforms_are_those_of_the_service_that_has_the_job(pair: ScriptedPair, client: Any) -> None:
    """With the version and number of points that were asked for; a handle asks for its own version."""
    pair.separation.accept("j-1", stems=True)
    answer = client.waveforms("j-1", version=1, points=2)
    assert [(one.name, list(one.minima), list(one.maxima)) for one in answer.waveforms] == [
        ("bounce.wav", [-3, 0], [0, 4])
    ]
    client.job("j-1").waveforms()
    asked = pair.separation.requests("GetWaveforms")
    assert [(request.version, request.points) for request in asked] == [(1, 2), (1, 1024)]


def test_an_upload_is_sent_in_chunks(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """A file larger than a message is sent in chunks, with its digest and name."""
    wav = tmp_path / "take.wav"
    wav.write_bytes(random.Random(3).randbytes(2_500_000))
    client.separate_file(str(wav), request_id="r1")
    assert pair.separation.uploads == [wav.read_bytes()]
    header = pair.separation.requests("CreateSeparation")[0].header
    assert (header.file_name, header.request_id) == ("take.wav", "r1")


@pytest.mark.parametrize("content", [None, b""])
def test_a_file_that_cannot_be_read_is_rejected_by_the_client(
    client: Any, tmp_path: Path, content: bytes | None
) -> None:
    """A missing or empty file is reported before any call."""
    wav = tmp_path / "a.wav"
    if content is not None:
        wav.write_bytes(content)
    with pytest.raises(errors.LocalReadError, match=r"a\.wav"):
        client.separate_file(wav)


def test_a_clip_that_disappears_creates_no_persona(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """An upload that fails midway is cancelled, not completed: half of the clips must not become a persona."""
    first, second = tmp_path / "1.wav", tmp_path / "2.wav"
    first.write_bytes(b"a" * 10)
    second.write_bytes(b"b" * 10)
    clips = _Vanishing([first, second])
    pair.render.awaits_cancel = True
    with pytest.raises(errors.LocalReadError, match=r"2\.wav"):
        client.create_persona("new", "words", clips)
    assert pair.render.personas == {}


class _Vanishing(list[Path]):
    """Deletes the second file before it is read for the second time."""

    def __iter__(self) -> Iterator[Path]:
        looked = getattr(self, "looked", False)
        self.looked = True
        for path in super().__iter__():
            if looked and path.name == "2.wav":
                path.unlink()
            yield path


def test_personas_are_listed_from_all_pages_and_clips_are_sent_in_order(
    pair: ScriptedPair, client: Any, tmp_path: Path
) -> None:
    """Clips are sent in the order given, and all pages are listed."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").write_bytes(name.encode() * 1_100_000)
    made = client.create_persona("zeta", "words", [tmp_path / "b.wav", tmp_path / "a.wav"])
    assert pair.render.uploads == [b"b" * 1_100_000, b"a" * 1_100_000]
    assert len(made.clip_sha256) == 2
    digests = [hashlib.sha256(data).hexdigest() for data in pair.render.uploads]
    assert [list(request.header.clip_sha256) for request in pair.render.requests("CreatePersona")] == [digests]
    for index in range(6):
        pair.render.personas[f"p{index}"] = render_pb2.Persona(id=f"p{index}")
    assert [persona.id for persona in client.list_personas()] == [*(f"p{index}" for index in range(6)), "zeta"]


def test_a_take_is_created_from_keywords_or_from_a_brief(pair: ScriptedPair, client: Any) -> None:
    """Both create the same request."""
    fields: dict[str, Any] = {"prompt": "a", "persona_id": "ember", "seconds": 8, "stems": True}
    client.create_render(**fields, stem_mode=StemMode.RAW, licence=Licence(tier="sync"), request_id="r1")
    brief = Brief(**fields, stem_mode=StemMode.RAW, licence=Licence(tier="sync"))
    client.create_render(brief, request_id="r1")
    first, second = pair.render.requests("CreateRender")
    assert first == second
    assert (first.request_id, first.brief) == ("r1", brief)
    with pytest.raises(TypeError, match="secs"):
        client.create_render(prompt="a", persona_id="ember", secs=8)


def test_a_stem_is_re_rendered_by_keywords(pair: ScriptedPair, client: Any) -> None:
    """Job and stem are positional; fields that are not given stay unset."""
    job = client.create_render(prompt="a", persona_id="ember", stems=True)
    client.rerender_stem(job.job_id, Stem.VOCALS, persona_id="moss", from_noise=True, request_id="r2")
    assert pair.render.requests("RerenderStem") == [
        render_pb2.RerenderStemRequest(
            job_id=job.job_id, stem=Stem.VOCALS, persona_id="moss", from_noise=True, request_id="r2"
        )
    ]


def test_events_print_by_name(client: Any) -> None:
    """Kind, state, track and stage are enums."""
    job = client.create_render(prompt="a", persona_id="ember")
    first, second, *_, last = client.watch(job)
    assert (str(first.kind), str(first.state)) == ("STATE", "RUNNING")
    assert (f"{second.track}", f"{second.stage}") == ("RENDER", "DENOISE")
    assert (second.stage, last.kind, last.state) == (Stage.DENOISE, EventKind.STATE, JobState.DONE)


@pytest.mark.parametrize("kind", [str, Path, os.fspath])
def test_paths_are_strings_or_path_objects(client: Any, tmp_path: Path, kind: Callable[[Path], Any]) -> None:
    """Wherever a local file or folder is passed."""
    wav = tmp_path / "a.wav"
    wav.write_bytes(b"RIFF1234")
    job = client.separate_file(kind(wav))
    client.wait(job)
    client.analyze_file(kind(wav))
    client.create_persona("moss", "soft", [kind(wav)])
    saved = client.download(job.job_id, kind(tmp_path / "out"))
    assert saved.path == tmp_path / "out" / f"{job.job_id}-v1.zip"
