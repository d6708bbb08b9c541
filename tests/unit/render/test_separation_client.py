"""The handoff to separation_service: lend, follow, result; the stems of a take, the version of a re-render, and failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

import grpc
import numpy as np
import pytest

from render_service.audit import BounceFacts
from render_service.bounce import Bounce, make_bounce
from render_service.music.tempo_map import TempoMap
from render_service.pipeline import RenderPipeline
from render_service.separation.chunks import ChunkLender
from render_service.separation.client import SeparationClient
from render_service.separation.replace import grid_message
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.manifest import Licence, ModelFacts
from servicekit.errors import Cancelled, Internal, Unavailable, Unimplemented
from servicekit.journal import Job, JobState, ProgressTrack, named_keys
from servicekit.store.folder_store import FolderStore
from servicekit.store.object_store import ObjectStore, ObjectWriter
from servicekit.store.url_signer import UrlSigner
from servicekit.work import RetryPolicy
from sonichaos.handoff.v1 import handoff_pb2, handoff_pb2_grpc
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc
from tests.support.render_parts import FINGERPRINT, TENANT, RenderParts, run_to_end, run_work
from tests.support.scripted_service import abort_with
from tests.support.scripted_services import serving
from tests.support.tiny_checkpoint import plan
from tests.support.work_runs import events_of, info_of

Update = separation_pb2.SeparateTensorResponse


def stem_stages(parts: RenderParts, job_id: str, version: int) -> list[str]:
    """The stages of the stems track in the order of their events."""
    events = [e for e in events_of(parts.journal, job_id) if (e.version, e.track) == (version, ProgressTrack.STEMS)]
    return [str(stage) for stage, _ in groupby(event.stage for event in events)]


def test_a_take_gets_stems_stage_by_stage(shared_parts: RenderParts, take: Job) -> None:
    """The stages of separation_service are the job's; ZIP and manifest in the store are those that the row names."""
    (version,) = take.versions
    assert stem_stages(shared_parts, take.job_id, 1) == ["HANDOFF", "RECEIVE", "SEPARATE", "PACKAGE", "STORE"]
    for kind in ("zip", "manifest", "bounce", "latents", "midi"):
        file = version.files[kind]
        assert file["key"] in VersionKeys(take.job_id, 1).all
        metadata = shared_parts.store.stat(file["key"])
        assert metadata is not None
        assert metadata.size_bytes == int(file["sizeBytes"])
    assert set(shared_parts.store.keys(f"jobs/{take.job_id}")) == set(VersionKeys(take.job_id, 1).all)
    rows = shared_parts.journal.audit_rows(TENANT, take.job_id).rows
    assert [row.kind for row in rows] == ["bounce", "stems"]
    assert json.loads(rows[0].body_json)["midi"]["sha256"] == version.files["midi"]["sha256"]


def test_a_re_render_becomes_a_version_with_an_aligned_stem(
    shared_parts: RenderParts, separation: SeparationClient, take: Job
) -> None:
    """It adds v2's files, one audit row and the alignment stage; v1 keeps its files."""
    before = {key: shared_parts.store.read(key, max_bytes=1 << 30) for key in VersionKeys(take.job_id, 1).all}
    accepted = shared_parts.rerender_stem(take.job_id, allow_drift=True)
    job = run_to_end(shared_parts, separation, take.job_id)
    version = job.versions[-1]
    assert (version.number, version.state) == (accepted.version, JobState.DONE)
    stages = ["HANDOFF", "RECEIVE", "SEPARATE", "ALIGN", "PACKAGE", "STORE"]
    assert stem_stages(shared_parts, take.job_id, version.number) == stages
    keys = VersionKeys(take.job_id, version.number)
    assert {version.files[kind]["key"] for kind in ("bounce", "zip", "manifest", "midi")} == {
        keys.bounce,
        keys.zip,
        keys.manifest,
        keys.midi,
    }
    assert version.files["midi"]["sha256"] == take.versions[0].files["midi"]["sha256"]  # the same notes
    assert {key: shared_parts.store.read(key, max_bytes=1 << 30) for key in before} == before
    assert len(version.audit_digests) == 1


class _LatentsFail(FolderStore):
    """Fails to store the latents, which come after the bounce and its manifest."""

    @contextmanager
    def writer(self, key: str, *, content_type: str, fallback: str = "") -> Iterator[ObjectWriter]:
        if key.endswith(".safetensors"):
            raise Internal("the latents cannot be written", reason="INTERNAL")
        with super().writer(key, content_type=content_type, fallback=fallback) as sink:
            yield sink


def test_a_store_that_fails_at_the_bounce_leaves_nothing(
    shared_parts: RenderParts, separation: SeparationClient
) -> None:
    """The store fails at the third file: the two before are removed, for no row names them."""
    job_id = shared_parts.create_render().job_id
    (version,) = run_with_failing_store(_LatentsFail, shared_parts, separation, job_id).versions
    assert (version.state, version.files) == (JobState.FAILED, {})
    assert list(shared_parts.store.keys(f"jobs/{job_id}")) == []


class _ManifestFails(FolderStore):
    """Fails to store the manifest of a version that has stems: the final one, under the name that callers see."""

    @contextmanager
    def writer(self, key: str, *, content_type: str, fallback: str = "") -> Iterator[ObjectWriter]:
        if key.endswith(".json") and fallback:
            raise Internal("the manifest cannot be written", reason="INTERNAL")
        with super().writer(key, content_type=content_type, fallback=fallback) as sink:
            yield sink


def run_with_failing_store(
    kind: type[FolderStore], parts: RenderParts, separation: SeparationClient, job_id: str
) -> Job:
    """Run the pipeline over a store that fails at one step."""
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=lambda: datetime.now(UTC))
    store: ObjectStore = kind(parts.folder / "store", signer)
    pipeline = RenderPipeline(
        renderer=parts.renderer,
        gpu_lock=parts.gpu_lock,
        journal=parts.journal,
        store=store,
        separation=separation,
        fingerprint=FINGERPRINT,
    )
    return run_work(parts, pipeline, job_id)


def test_a_take_without_its_manifest_keeps_its_bounce(shared_parts: RenderParts, separation: SeparationClient) -> None:
    """The ZIP is removed, and the manifest is that of the bounce, which the row names."""
    job_id = shared_parts.create_render(stems=True).job_id
    (version,) = run_with_failing_store(_ManifestFails, shared_parts, separation, job_id).versions
    assert (version.state, info_of(version.error)["reason"]) == (JobState.FAILED, "INTERNAL")
    assert set(shared_parts.store.keys(f"jobs/{job_id}")) == named_keys(version.files)
    manifest = shared_parts.store.read(version.files["manifest"]["key"], max_bytes=1 << 20)
    assert len(manifest) == int(version.files["manifest"]["sizeBytes"])
    assert b'"separator"' not in manifest
    assert "zip" not in version.files


def test_a_re_render_without_its_manifest_leaves_nothing(
    shared_parts: RenderParts, separation: SeparationClient, take: Job
) -> None:
    """No file of the version stays in the store."""
    number = shared_parts.rerender_stem(take.job_id, allow_drift=True).version
    version = run_with_failing_store(_ManifestFails, shared_parts, separation, take.job_id).versions[-1]
    assert (version.number, version.state) == (number, JobState.FAILED)
    assert [key for key in VersionKeys(take.job_id, number).all if shared_parts.store.stat(key) is not None] == []


class _Scripted(separation_pb2_grpc.SeparationServiceServicer, handoff_pb2_grpc.HandoffServiceServicer):
    """Answers SeparateTensor with the given updates; "wait" keeps the call open until the caller cancels it."""

    def __init__(self, *script: Update | str) -> None:
        self._script = script
        self.cancelled: list[bool] = []

    def SendTensor(
        self, request_iterator: Iterator[handoff_pb2.SendTensorRequest], context: grpc.ServicerContext
    ) -> handoff_pb2.SendTensorResponse:
        header = next(request_iterator).header
        assert sum(len(chunk.data) for chunk in request_iterator) == header.channels * header.frames * 4
        return handoff_pb2.SendTensorResponse(lease_id=header.lease_id)

    def SeparateTensor(
        self, request: separation_pb2.SeparateTensorRequest, context: grpc.ServicerContext
    ) -> Iterator[Update]:
        for step in self._script:
            if isinstance(step, str):
                context.add_callback(lambda: self.cancelled.append(True))
                while context.is_active():
                    yield Update(progress=separation_pb2.SeparationProgress(steps_total=1))
            else:
                yield step


class _Work:
    """Work that is asked to stop as soon as the first progress arrives, or never."""

    def __init__(self, *, stops: bool) -> None:
        self._stops = stops
        self._callback: Callable[[], object] | None = None

    def check(self) -> None:
        """Raise if it has to stop."""
        if self._stops:
            raise Cancelled("a test cancelled it")

    def on_stop(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """Remember what stops the call."""
        self._callback = callback
        return nullcontext()

    def on_progress(self, update: separation_pb2.SeparationProgress) -> None:
        """Stop."""
        if self._stops and self._callback is not None:
            self._callback()


def noise_bounce() -> Bounce:
    """Two seconds of noise."""
    facts = BounceFacts(
        tenant=TENANT,
        job_id="j-01jd8m3k7qv5t9w2x4y6z8a1bc",
        version=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        plan=plan(seconds=2.0, embedding=(1.0,) + (0.0,) * 63),
        labels={},
        licence=Licence(),
        model=ModelFacts(name="tiny", licence="Apache-2.0", digests={}),
        fingerprint={},
    )
    return make_bounce(0.1 * np.random.default_rng(0).standard_normal((2, 88_200)).astype(np.float32), facts)


def separate(address: str, work: _Work) -> Update:
    """Lend the noise in chunks and follow the call."""
    with grpc.insecure_channel(address) as channel:
        client = SeparationClient(address=address, channel=channel, lender=ChunkLender(channel, address=address))
        return client.lend_and_call(
            noise_bounce(),
            lambda lease_id: client.separate_tensor(
                separation_pb2.SeparateTensorRequest(lease_id=lease_id), expires_in_s=None
            ),
            work=work,
            on_progress=work.on_progress,
        )


def scripted(servicer: _Scripted) -> AbstractContextManager[str]:
    """A server with the script's two services."""
    return serving(
        (separation_pb2_grpc.add_SeparationServiceServicer_to_server, servicer),
        (handoff_pb2_grpc.add_HandoffServiceServicer_to_server, servicer),
    )


PROGRESS = Update(progress=separation_pb2.SeparationProgress(steps_total=1))
RESULT = Update(result=separation_pb2.SeparationResult(separator="scripted"))


def test_the_last_message_is_the_result() -> None:
    """Progress before it is reported."""
    with scripted(_Scripted(PROGRESS, RESULT)) as address:
        assert separate(address, _Work(stops=False)).result.separator == "scripted"


@pytest.mark.parametrize(("script", "got"), [((), "nothing"), ((PROGRESS,), "nothing")])
def test_a_call_without_a_result_is_an_error(script: tuple[Update, ...], got: str) -> None:
    """It ended well and says nothing."""
    with scripted(_Scripted(*script)) as address, pytest.raises(Internal, match=f"with a result, got {got}"):
        separate(address, _Work(stops=False))


def test_work_that_stops_cancels_the_call() -> None:
    """The caller gets the reason of the stop, and separation_service sees that the call is left."""
    servicer = _Scripted("wait")
    with scripted(servicer) as address, pytest.raises(Cancelled, match="a test cancelled it"):
        separate(address, _Work(stops=True))
    assert servicer.cancelled == [True]


def test_a_service_that_does_not_answer_is_unavailable() -> None:
    """With a delay after which to retry."""
    with pytest.raises(Unavailable) as refused:
        separate("127.0.0.1:1", _Work(stops=False))
    assert refused.value.reason == "SEPARATION_UNAVAILABLE"
    assert refused.value.retry_after_s


class _OtherRelease(_Scripted):
    """A separation_service without the method."""

    def SeparateTensor(
        self, request: separation_pb2.SeparateTensorRequest, context: grpc.ServicerContext
    ) -> Iterator[Update]:
        abort_with(Unimplemented("this build has no method SeparateTensor"), context)


def test_a_service_of_another_release_is_unavailable() -> None:
    """While one of two services is upgraded, the work waits for it and does not fail."""
    with scripted(_OtherRelease()) as address, pytest.raises(Unavailable, match="no method SeparateTensor") as refused:
        separate(address, _Work(stops=False))
    assert RetryPolicy().is_temporary(refused.value)


def test_the_grid_is_the_tempo_maps() -> None:
    """Beats every half second at 120 bpm, a bar of four, four subdivisions to a beat."""
    grid = grid_message(replace(TempoMap.constant(120.0), first_downbeat_s=0.0), 4.0)
    assert list(grid.beat_seconds) == pytest.approx(np.arange(0.0, 4.0, 0.5))
    assert list(grid.downbeat_seconds) == pytest.approx([0.0, 2.0])
    assert list(grid.subdivision_seconds) == pytest.approx(np.arange(0.0, 4.0, 0.125))
    assert grid.seconds == 4.0
