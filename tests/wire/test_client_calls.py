"""The client against scripted services on loopback: the same promises for the blocking and the asyncio client."""

# ruff: noqa: S311  draws need no secrecy

from __future__ import annotations

import asyncio
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
from sonichaos.render.v1 import render_pb2, render_pb2_grpc
from sonichaos.separation.v1 import separation_pb2
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
from tests.support.scripted_services import ScriptedPair, scripted_pair

QUICK = CallOptions(
    timeout_s=10, retry=RetryPolicy(initial_backoff_s=0.01, max_backoff_s=0.02, max_elapsed_s=0.5), rng=random.Random(1)
)


class Awaited:
    """An AsyncClient whose methods are awaited, and whose streams are read to their end, by a loop of its own."""

    def __init__(self, pair: ScriptedPair) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = AsyncClient(pair.render_address, pair.separation_address, options=QUICK)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        async def call(*args: Any, limit: int | None = None, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if inspect.isawaitable(result):
                return await result
            values = []
            async for value in result:
                values.append(value)
                if len(values) == limit:
                    break
            await result.aclose()
            return values

        return lambda *args, **kwargs: self._loop.run_until_complete(call(*args, **kwargs))

    def stop(self) -> None:
        """Close the client and its loop."""
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


class Blocking:
    """A Client whose streams are read to their end."""

    def __init__(self, pair: ScriptedPair) -> None:
        self._client = Client(pair.render_address, pair.separation_address, options=QUICK)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, limit: int | None = None, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if not inspect.isgenerator(result):
                return result
            values = []
            for value in result:
                values.append(value)
                if len(values) == limit:
                    break
            result.close()
            return values

        return call

    def stop(self) -> None:
        """Close the client."""
        self._client.close()


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Both services, scripted."""
    with scripted_pair() as running:
        yield running


@pytest.fixture(params=[Blocking, Awaited])
def client(request: pytest.FixtureRequest, pair: ScriptedPair) -> Iterator[Any]:
    """Each kind of client in turn."""
    made = request.param(pair)
    yield made
    made.stop()


def test_both_clients_offer_the_same() -> None:
    """Each public method of one client is a method of the other, with the same parameters and documentation."""

    def offered(kind: type) -> dict[str, tuple[str, str | None]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: (str(inspect.signature(method).replace(return_annotation=None)), method.__doc__)
            for name, method in methods
            if not name.startswith("_")
        }

    assert offered(Client) == offered(AsyncClient)


def test_every_rpc_of_the_protos_is_offered() -> None:
    """The table of RPCs names every method that callers may use, with the types of the protos."""
    table = {
        (rpc.service, rpc.method): (rpc.request.DESCRIPTOR, rpc.response.DESCRIPTOR)
        for rpc in vars(rpcs).values()
        if isinstance(rpc, rpcs.Rpc)
    }
    wanted = {
        (service.full_name, method.name): (method.input_type, method.output_type)
        for module in (jobs_service_pb2, render_pb2, separation_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if method.name not in {"SeparateTensor", "ReplaceStem"}  # between the two services
    }
    assert table == wanted


def test_a_watch_gives_every_event_once_through_cuts(pair: ScriptedPair, client: Any) -> None:
    """A stream that is cut is resumed after the last event seen: none is lost, none comes twice."""
    job = client.create_render(prompt="a", persona_id="ember", stems=True)
    pair.render.disconnects = [2, 0, 3, 1]
    events = client.watch(job.job_id)
    assert [event.sequence for event in events] == list(range(1, 11))
    assert [request.after_sequence for request in pair.render.requests("WatchJob")] == [0, 2, 2, 5, 6]
    assert {request.version for request in pair.render.requests("WatchJob")} == {1}


def test_a_watch_from_a_number_gives_only_what_follows(client: Any) -> None:
    """Whoever joins late names the last event seen."""
    job = client.create_render(prompt="a", persona_id="ember")
    assert [event.sequence for event in client.watch(job, after_sequence=5)] == [6, 7]


def test_a_watch_gives_up_when_patience_runs_out(pair: ScriptedPair, client: Any) -> None:
    """A service that stays away ends the watch with its error, not with silence."""
    job = client.create_render(prompt="a", persona_id="ember")
    pair.render.errors["WatchJob"] = [Unavailable("draining") for _ in range(500)]
    with pytest.raises(errors.UnavailableError, match="draining"):
        client.watch(job)


def test_a_watch_does_not_retry_a_refusal(pair: ScriptedPair, client: Any) -> None:
    """What the service refuses on purpose is raised at once."""
    job = client.create_render(prompt="a", persona_id="ember")
    pair.render.errors["WatchJob"] = [NotFound("gone", reason="JOB_NOT_FOUND")]
    with pytest.raises(errors.NotFoundError):
        client.watch(job)
    assert len(pair.render.requests("WatchJob")) == 1


def test_a_wait_that_breaks_after_a_failure_raises_the_failure(pair: ScriptedPair, client: Any) -> None:
    """The event that told of it is enough where the row cannot be had any more; a later state would replace it."""
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


def test_follow_goes_on_from_its_cursor(pair: ScriptedPair, client: Any) -> None:
    """A feed over all jobs is resumed at the cursor of the last event."""
    client.create_render(prompt="a", persona_id="ember")
    pair.render.disconnects = [3]
    events = client.watch_all(OwningService.RENDER, cursor="", limit=7)
    assert [event.sequence for event in events] == list(range(1, 8))
    assert [request.cursor for request in pair.render.requests("WatchJobs")] == ["", "c3"]


def test_wait_returns_the_row_at_the_end(client: Any) -> None:
    """A wait ends with the version and gives its files."""
    job = client.create_render(prompt="a", persona_id="ember", stems=True)
    ended = client.wait(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_DONE
    assert ended.versions[0].files.zip.size_bytes > 0


def test_wait_raises_why_a_job_failed(pair: ScriptedPair, client: Any) -> None:
    """A failed job's reason, stage and advice on trying again reach the caller, with the row."""
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
        (Unavailable("warming", reason="WARMING", retry_after_s=3), errors.UnavailableError),
        (DataLoss("changed", metadata={"key": "k"}), errors.DataLossError),
    ],
)
def test_errors_carry_all_that_the_service_said(
    pair: ScriptedPair, client: Any, refusal: ServiceError, kind: type[errors.SonichaosError]
) -> None:
    """Reason, metadata, violations and retry time of the status arrive as the service gave them."""
    pair.render.errors["CreateRender"] = [refusal]
    with pytest.raises(kind) as caught:
        client.create_render(Brief())
    error = caught.value
    assert (error.message, error.reason, error.metadata) == (refusal.message, refusal.reason, refusal.metadata)
    assert [(v.field, v.description) for v in error.violations] == [
        (v.field, v.description) for v in refusal.violations
    ]
    assert (error.code, error.retry_after_s) == (refusal.code, refusal.retry_after_s)


def test_where_nothing_runs_the_error_says_how_to_start() -> None:
    """A refused connection is told apart from a service that answers."""
    with (
        Client("127.0.0.1:1", "127.0.0.1:1", options=QUICK) as client,
        pytest.raises(
            errors.ConnectionFailedError, match=r"connect to render_service at 127\.0\.0\.1:1 .*sonichaos up"
        ),
    ):
        client.get_render_model()


def test_a_request_beyond_the_limit_is_rejected_input(pair: ScriptedPair, client: Any) -> None:
    """Where gRPC refuses a message by itself, the error is the caller's and says how large it is and may be."""
    with pytest.raises(errors.InvalidRequestError, match=r"accepts at most 4194304 bytes per message, got 50000\d\d"):
        client.create_render(Brief(prompt="a" * 5_000_000))
    pair.render.accept("j-big", stems=False, prompt="p" * 17_000_000)
    with pytest.raises(
        errors.ResourceExhaustedError, match=r"accepts at most 16777216 bytes per message, got 170000\d\d"
    ):
        client.get_job("j-big")


async def test_a_request_that_cannot_be_parsed_is_rejected_input() -> None:
    """For text that is not UTF-8 gRPC sends no details; the error quotes its message and is an invalid request."""
    server = grpc.aio.server()
    render_pb2_grpc.add_RenderServiceServicer_to_server(render_pb2_grpc.RenderServiceServicer(), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        raw = channel.unary_unary("/sonichaos.render.v1.RenderService/CreateRender")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(b"\x12\x04\x0a\x02\xff\xfe")  # a brief whose prompt is two bytes of no UTF-8
    await server.stop(None)
    answered = caught.value
    error = errors.from_rpc_error(
        answered.code(), answered.details() or "", (), service="render_service", address=address
    )
    assert isinstance(error, errors.InvalidRequestError)
    assert "UTF-8" in error.message
    other = errors.from_rpc_error(answered.code(), "Socket closed", (), service="render_service", address=address)
    assert isinstance(other, errors.InternalError)


def test_a_call_has_a_deadline(pair: ScriptedPair) -> None:
    """A service that does not answer in time gives an error that names it."""
    pair.render.stalled = {"GetModelInfo"}
    hurried = CallOptions(timeout_s=0.2)
    with (
        Client(pair.render_address, pair.separation_address, options=hurried) as client,
        pytest.raises(errors.DeadlineExceededError, match="render_service"),
    ):
        client.get_render_model()


def test_a_job_is_found_at_its_owner(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """Operations on a job reach the service that owns it, whichever that is."""
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
    """One service that does not run does not hide the other's jobs, nor is a job called missing that may be its own."""
    wav = tmp_path / "a.wav"
    wav.write_bytes(b"RIFF1234")
    with Client("127.0.0.1:1", pair.separation_address, options=QUICK) as client:
        job = client.separate_file(wav)
        assert client.get_job(job.job_id).job_id == job.job_id
        with pytest.raises(errors.ConnectionFailedError):
            client.get_job("j-of-the-other")


def test_lists_merge_both_services_newest_first(pair: ScriptedPair, client: Any) -> None:
    """All pages of both services come as one list."""
    for index in range(7):
        scripted = (pair.render, pair.separation)[index % 2]
        scripted.accept(f"j-{index}", stems=False).create_time.FromSeconds(1_700_000_000 + index)
    assert [job.job_id for job in client.list_jobs()] == [f"j-{index}" for index in reversed(range(7))]
    only = client.list_jobs(JobFilter(owner=OwningService.SEPARATION))
    assert [job.job_id for job in only] == ["j-5", "j-3", "j-1"]


def test_an_upload_arrives_whole_in_small_pieces(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """A file larger than a message travels in chunks that the service accepts, under its digest and name."""
    wav = tmp_path / "take.wav"
    wav.write_bytes(random.Random(3).randbytes(2_500_000))
    client.separate_file(str(wav), request_id="r1")
    assert pair.separation.uploads == [wav.read_bytes()]
    header = pair.separation.requests("CreateSeparation")[0].header
    assert (header.file_name, header.request_id) == ("take.wav", "r1")


@pytest.mark.parametrize("content", [None, b""])
def test_a_file_that_cannot_be_sent_is_refused_here(client: Any, tmp_path: Path, content: bytes | None) -> None:
    """A missing or empty file is named before any call."""
    wav = tmp_path / "a.wav"
    if content is not None:
        wav.write_bytes(content)
    with pytest.raises(errors.LocalReadError, match=r"a\.wav"):
        client.separate_file(wav)


def test_a_clip_that_vanishes_makes_no_persona(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """An upload that breaks in the middle is cancelled, not ended: half of the clips must not become a persona."""
    first, second = tmp_path / "1.wav", tmp_path / "2.wav"
    first.write_bytes(b"a" * 10)
    second.write_bytes(b"b" * 10)
    clips = _Vanishing([first, second])
    pair.render.awaits_cancel = True
    with pytest.raises(errors.LocalReadError, match=r"2\.wav"):
        client.create_persona("new", "words", clips)
    assert pair.render.personas == {}


class _Vanishing(list[Path]):
    """The second file is deleted once the first look at it was values."""

    def __iter__(self) -> Iterator[Path]:
        looked = getattr(self, "looked", False)
        self.looked = True
        for path in super().__iter__():
            if looked and path.name == "2.wav":
                path.unlink()
            yield path


def test_personas_come_from_all_pages_and_clips_in_order(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """A persona's clips arrive in the order given, and all personas are listed."""
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
    """Both give the same request; request id and fields travel together."""
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
    """Job and stem are positional; what is not given is left to the service."""
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
