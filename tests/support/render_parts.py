"""The parts of render_service over one folder: journal, store, the tiny renderer, one persona, and a real separation_service."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
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
from render_service.personas.library import Clip, PersonaLibrary
from render_service.pipeline import WEIGHTS, RenderPipeline
from render_service.renderers.renderer import Renderer
from render_service.separation.client import SeparationClient
from render_service.usecases.create_render import RenderAdmission
from render_service.usecases.rerender_stem import RerenderAdmission
from separation_service.engine import Separator
from servicekit.clock import SystemClock
from servicekit.gpu_lock import GpuLock
from servicekit.journal import AcceptResult, Job, Journal, OwningService
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from servicekit.work import Runner
from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2
from tests.support.separation_server import LiveServer, serving
from tests.support.work_runs import until

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

    def create_render(self, **fields: Any) -> Job:
        """Accept a brief of two seconds."""
        message = brief_pb2.Brief(
            **{"prompt": "upbeat synths", "persona_id": "hiss", "seconds": 2.0, "seed": 7, "bpm": 120.0, **fields}
        )
        request, _ = self.renders.find_existing(TENANT, "", "")
        return self.renders.create_render(request, read_brief(message, now=datetime.now(UTC)))

    def rerender_stem(self, job_id: str, **fields: Any) -> AcceptResult:
        """Accept a re-render of the vocals by the other persona."""
        message = render_pb2.RerenderStemRequest(
            job_id=job_id, **{"stem": brief_pb2.STEM_VOCALS, "persona_id": "rumble", "seed": 9, **fields}
        )
        request, _ = self.rerenders.find_existing(TENANT, "", "")
        return self.rerenders.rerender_stem(request, read_stem_change(message))


@contextmanager
def render_parts(folder: Path, renderer: Renderer, **admission: Any) -> Iterator[RenderParts]:
    """Parts over ``folder``. ``admission`` are other fields of the two admissions, such as a ``renderer_info``."""
    clock = SystemClock()
    store = FolderStore(folder / "store", UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=clock.now))
    personas = PersonaLibrary(renderer=renderer, built_in=folder / "none", store=store, clock=clock)
    for seed, persona_id in enumerate(PERSONAS):
        if store.stat(f"personas/{persona_id}/persona.json") is None:
            personas.add(persona_id, persona_id, [_clip(seed)])
    with Journal.open(f"sqlite:///{folder}/render.sqlite3", clock=clock) as journal:
        shared: dict[str, Any] = {
            "journal": journal,
            "personas": personas,
            "renderer_info": renderer.info,
            "queue_limit": 10,
            **admission,
        }
        yield RenderParts(
            journal=journal,
            store=store,
            renderer=renderer,
            renders=RenderAdmission(**shared),
            rerenders=RerenderAdmission(allow_drums=False, **shared),
        )


def _clip(seed: int) -> Clip:
    file = io.BytesIO()
    noise = 0.1 * np.random.default_rng(seed).standard_normal((66_150, 2))
    soundfile.write(file, np.cumsum(noise, axis=0) * 0.01 if seed else noise, 44100, format="WAV")
    return Clip(data=file.getvalue())


@contextmanager
def separation_in_thread(folder: Path, separator: Separator) -> Iterator[tuple[LiveServer, SeparationClient]]:
    """A separation_service whose event loop runs in a thread, and the client that lends to it."""
    started: Future[LiveServer] = Future()
    loop, ended_event = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with serving(folder, separator) as live:
            started.set_result(live)
            await ended_event.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        live = started.result(timeout=60.0)
        with grpc.insecure_channel(live.address) as channel:
            yield live, SeparationClient(address=live.address, channel=channel, lender=live.lender)
    finally:
        loop.call_soon_threadsafe(ended_event.set)
        thread.join()
        loop.close()


def run_to_end(parts: RenderParts, separation: SeparationClient, folder: Path, job_id: str) -> Job:
    """Run the pipeline until every version of the job has ended."""
    pipeline = RenderPipeline(
        renderer=parts.renderer,
        gpu_lock=GpuLock(folder / "render.lock"),
        journal=parts.journal,
        store=parts.store,
        separation=separation,
        fingerprint=FINGERPRINT,
    )
    with Runner(parts.journal, owner=OwningService.RENDER, work=pipeline, weights=WEIGHTS, clock=SystemClock()):
        return until(parts.journal, job_id, lambda job: all(version.state.ended for version in job.versions))
