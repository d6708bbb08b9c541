"""The parts of render_service over one folder: journal, store, the tiny renderer, one persona, and a real separation_service."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import soundfile

from render_service.api.requests import read_brief, read_stem_change
from render_service.brief import Brief
from render_service.personas.library import Clip, PersonaLibrary
from render_service.pipeline import WEIGHTS, RenderPipeline
from render_service.renderers.renderer import Renderer
from render_service.separation.client import SeparationClient
from render_service.usecases.create_render import RenderAdmission
from render_service.usecases.rerender_stem import RerenderAdmission
from separation_service.engine import Separator
from servicekit.access.gatekeeper import Gatekeeper
from servicekit.clock import SystemClock
from servicekit.gpu_lock import GpuLock
from servicekit.journal import AcceptResult, Job, Journal, OwningService
from servicekit.metrics import Metrics
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from servicekit.work import Assignment, Runner
from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from tests.support.separation_server import LiveServer, serving
from tests.support.work_runs import ended, until

TENANT = "local"
PERSONAS = ("hiss", "rumble")
FINGERPRINT = {"device": "a test's CPU"}


@dataclass(frozen=True, kw_only=True)
class RenderParts:
    """What the use cases and the pipeline are built from."""

    journal: Journal
    store: FolderStore
    renderer: Renderer
    renders: RenderAdmission
    rerenders: RerenderAdmission
    gpu_lock: GpuLock
    folder: Path

    def read_brief(self, **fields: Any) -> Brief:
        """A brief of two seconds; a field that is None is not set."""
        given = {"prompt": "upbeat synths", "persona_id": "hiss", "seconds": 2.0, "seed": 7, "bpm": 120.0, **fields}
        message = brief_pb2.Brief(**{name: value for name, value in given.items() if value is not None})
        return read_brief(message, now=datetime.now(UTC))

    def create_render(self, renders: RenderAdmission | None = None, **fields: Any) -> Job:
        """Accept such a brief, by these parts or by another admission."""
        admission = renders or self.renders
        request, _ = admission.find_existing(TENANT, "", "")
        return admission.create_render(request, self.read_brief(**fields))

    def rerender_stem(self, job_id: str, rerenders: RerenderAdmission | None = None, **fields: Any) -> AcceptResult:
        """Accept a re-render of the vocals by the other persona, by these parts or by another admission."""
        given = {"stem": brief_pb2.STEM_VOCALS, "persona_id": "rumble", "seed": 9, **fields}
        message = render_pb2.RerenderStemRequest(job_id=job_id, **given)
        admission = rerenders or self.rerenders
        request, _ = admission.find_existing(TENANT, "", "")
        return admission.rerender_stem(request, read_stem_change(message))


@contextmanager
def render_parts(folder: Path, renderer: Renderer, *, queue_limit: int = 10) -> Iterator[RenderParts]:
    """Parts over ``folder``, with the two personas `PERSONAS`."""
    clock = SystemClock()
    store = FolderStore(folder / "store", UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=clock.now))
    personas = PersonaLibrary(renderer=renderer, built_in=folder / "none", store=store, clock=clock)
    for seed, persona_id in enumerate(PERSONAS):
        if persona_id not in {persona.id for persona in personas.all(TENANT)}:
            personas.add(TENANT, persona_id, persona_id, [_clip(seed)])
    with Journal.open(f"sqlite:///{folder}/journal.sqlite3", clock=clock) as journal:
        shared: dict[str, Any] = {
            "journal": journal,
            "personas": personas,
            "renderer_info": renderer.info,
            "planner": renderer.planner,
            "queue_limit": queue_limit,
        }
        yield RenderParts(
            journal=journal,
            store=store,
            renderer=renderer,
            renders=RenderAdmission(**shared),
            rerenders=RerenderAdmission(allow_drums=False, **shared),
            gpu_lock=GpuLock(folder / "render.lock"),
            folder=folder,
        )


def _clip(seed: int) -> Clip:
    file = io.BytesIO()
    noise = 0.1 * np.random.default_rng(seed).standard_normal((66_150, 2))
    soundfile.write(file, np.cumsum(noise, axis=0) * 0.01 if seed else noise, 44100, format="WAV")
    return Clip(data=file.getvalue())


@contextmanager
def separation_in_thread(
    folder: Path, separator: Separator, gatekeeper: Gatekeeper | None = None, metrics: Metrics | None = None
) -> Iterator[SeparationClient]:
    """A separation_service whose event loop runs in a thread, and the client that lends to it over its Unix socket."""
    started: Future[LiveServer] = Future()
    loop, ended_event = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with serving(folder, separator, gatekeeper=gatekeeper, metrics=metrics) as live:
            started.set_result(live)
            await ended_event.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        live = started.result(timeout=60.0)
        with grpc.insecure_channel(live.peer_address) as channel:
            yield SeparationClient(address=live.address, channel=channel, lender=live.lender)
    finally:
        loop.call_soon_threadsafe(ended_event.set)
        thread.join()
        loop.close()


def run_to_end(parts: RenderParts, separation: SeparationClient, job_id: str) -> Job:
    """Run the pipeline until every version of the job has ended."""
    pipeline = RenderPipeline(
        renderer=parts.renderer,
        gpu_lock=parts.gpu_lock,
        journal=parts.journal,
        store=parts.store,
        separation=separation,
        fingerprint=FINGERPRINT,
    )
    return run_work(parts, pipeline, job_id)


def run_work(parts: RenderParts, work: Callable[[Assignment], None], job_id: str) -> Job:
    """Run ``work`` on each version of the job that waits, and return the job when all have ended."""
    with Runner(parts.journal, owner=OwningService.RENDER, work=work, weights=WEIGHTS, clock=SystemClock()):
        return until(parts.journal, job_id, lambda job: all(version.state.ended for version in job.versions))


def uploaded_job(parts: RenderParts, separation: SeparationClient) -> str:
    """The id of an upload of two seconds that separation_service has separated."""
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(5).standard_normal((88_200, 2)), 44100, format="WAV")
    header = separation_pb2.SeparationHeader(file_name="noise.wav")
    requests = [
        separation_pb2.CreateSeparationRequest(header=header),
        separation_pb2.CreateSeparationRequest(data=file.getvalue()),
    ]
    job_id: str = separation.stub.CreateSeparation(iter(requests)).job.job_id
    return ended(parts.journal, job_id).job_id
