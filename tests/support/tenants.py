"""Two tenants on one pair of services, each with a take, an upload, a persona and files, and all that calls can name of them."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import soundfile
from google.protobuf.message import Message

from render_service.personas.library import Clip
from render_service.pipeline import WEIGHTS, RenderPipeline
from render_service.renderers.renderer import Renderer
from separation_service.engine import Separator
from servicekit.access.api_key import NewApiKey, new_key_text
from servicekit.access.caller import GRANTABLE_SCOPES
from servicekit.access.gatekeeper import Gatekeeper
from servicekit.clock import SystemClock
from servicekit.installation import open_api_keys
from servicekit.journal import Job, JobFilter, Journal, OwningService
from servicekit.metrics import Metrics
from servicekit.work import Runner
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2, jobs_service_pb2_grpc
from sonichaos.render.v1 import render_pb2, render_pb2_grpc
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc
from sonichaos.webhooks.v1 import webhooks_pb2, webhooks_pb2_grpc
from tests.support.callers import identifying
from tests.support.render_parts import FINGERPRINT, RenderParts, render_parts, separation_in_thread
from tests.support.render_server import render_in_thread

A, B = "studio-a", "studio-b"
SHARED = "shared"
"""A persona id that both tenants use, each for a persona of its own."""
_RENDER, _SEPARATION = OwningService.RENDER, OwningService.SEPARATION
_LIMIT_S = 120.0
_MANY = 10_000


class Kind(StrEnum):
    """What a text in a request can name."""

    JOB = "job"
    PERSONA = "persona"
    PERSONA_TO_ADD = "persona to add"
    PERSONA_OF_JOBS = "persona of jobs"
    TOKEN = "token"
    REQUEST = "request"
    CHAIN_HEAD = "chain head"
    STORE_KEY = "store key"
    LABELS = "labels"
    PROMPT = "prompt"
    WEBHOOK = "webhook"
    DELIVERY = "delivery"


@dataclass
class Tenant:
    """A tenant. ``names`` are names of what it has, by kind; ``words`` are texts that only it may see.

    ``credential`` is the metadata of its calls.
    """

    name: str
    credential: tuple[tuple[str, str], ...]
    names: dict[Kind, list[str | tuple[str, str]]] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    take: str = ""
    upload: str = ""
    webhook: str = ""

    def has(self, kind: Kind, *names: str | tuple[str, str]) -> None:
        """Add names, which are words of the tenant too."""
        self.names.setdefault(kind, []).extend(names)
        for name in names:
            self.words.add(name[1] if isinstance(name, tuple) else name)


@dataclass(frozen=True, kw_only=True)
class TenantServices:
    """Both services over one folder. The channels lead to addresses where callers must identify themselves.

    ``watched`` gives what each tenant's watch of each service has received, once its newest event has come.
    """

    parts: RenderParts
    channels: Mapping[OwningService, grpc.Channel]
    metrics: Mapping[OwningService, Metrics]
    tenants: Mapping[str, Tenant]
    watched: Mapping[tuple[str, OwningService], Callable[[], Sequence[job_pb2.JobEvent]]]

    @property
    def journal(self) -> Journal:
        """The journal of both."""
        return self.parts.journal

    def jobs(self, owner: OwningService) -> Any:
        """Stub of JobsService."""
        return jobs_service_pb2_grpc.JobsServiceStub(self.channels[owner])

    @property
    def render(self) -> Any:
        """Stub of RenderService."""
        return render_pb2_grpc.RenderServiceStub(self.channels[_RENDER])

    @property
    def separation(self) -> Any:
        """Stub of SeparationService."""
        return separation_pb2_grpc.SeparationServiceStub(self.channels[_SEPARATION])

    def webhooks(self, owner: OwningService) -> Any:
        """Stub of WebhooksService."""
        return webhooks_pb2_grpc.WebhooksServiceStub(self.channels[owner])

    def new_webhook(self, tenant: str, job_id: str = "") -> str:
        """A new webhook of a tenant."""
        asked = webhooks_pb2.CreateWebhookRequest(url=f"https://receiver.example/{tenant}", job_id=job_id)
        answer = self.webhooks(_RENDER).CreateWebhook(asked, metadata=self.tenants[tenant].credential)
        self.tenants[tenant].words.add(answer.secret)
        return str(answer.webhook.webhook_id)

    def end(self, tenant: str, job_id: str, owner: OwningService) -> None:
        """Cancel the versions of a job that have not ended, and wait until they have."""
        call = {"metadata": self.tenants[tenant].credential}
        job = self.jobs(owner).GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id), **call).job
        for version in job.versions:
            asked = jobs_service_pb2.CancelJobRequest(job_id=job_id, version=version.number)
            self.jobs(owner).CancelJob(asked, **call)
        _until(self.journal, tenant, job_id)

    def ended_job(self, tenant: str, owner: OwningService) -> str:
        """A new job of a tenant that was cancelled."""
        call = {"metadata": self.tenants[tenant].credential}
        if owner is _RENDER:
            job = self.render.CreateRender(render_pb2.CreateRenderRequest(brief=brief()), **call).job
        else:
            job = self.separation.CreateSeparation(iter(upload()), **call).job
        self.end(tenant, job.job_id, owner)
        return str(job.job_id)

    def jobs_of(self, tenant: str) -> Sequence[Job]:
        """All jobs of a tenant on both services."""
        return self.journal.jobs(tenant, JobFilter(), page_size=200).jobs

    def belongings(self, tenant: str) -> tuple[object, ...]:
        """Everything that a tenant has: its jobs, events, audit rows, personas and files. No call of another may change it."""
        journal, store = self.journal, self.parts.store
        ids = sorted(str(name) for name in self.tenants[tenant].names[Kind.JOB])
        rows = journal.audit_rows(tenant, page_size=200).rows
        events = [journal.feed_after(owner, tenant, 0, _MANY).events for owner in OwningService]
        jobs = [_still(job) for job in self.jobs_of(tenant)]
        own = (f"tenants/{tenant}/", f"uploads/{tenant}/", *(f"jobs/{job_id}/" for job_id in ids))
        files = {key: store.stat(key) for key in store.keys("") if key.startswith(own)}
        hooks = journal.webhooks(tenant, page_size=_MANY).webhooks
        deliveries = [journal.webhook_deliveries(tenant, hook.webhook_id, page_size=_MANY) for hook in hooks]
        return jobs, events, rows, files, self.parts.renders.personas.all(tenant), hooks, deliveries


@contextmanager
def tenant_services(folder: Path, renderer: Renderer, separator: Separator) -> Iterator[TenantServices]:
    """Both services, with the tenants `A` and `B`, whose takes and uploads were made while both watched."""
    metrics = {owner: Metrics(owner.lower()) for owner in OwningService}
    with (
        render_parts(folder, renderer) as parts,
        _identified(parts.journal, _SEPARATION) as separating,
        _identified(parts.journal, _RENDER) as rendering,
        separation_in_thread(folder, separator, separating, metrics[_SEPARATION]) as client,
        render_in_thread(parts, client, rendering, metrics[_RENDER]) as address,
        grpc.insecure_channel(address) as render,
        grpc.insecure_channel(client.address) as separation,
        ExitStack() as watches,
    ):
        tenants = {name: Tenant(name, _new_key(parts.journal, name)) for name in (A, B)}
        channels = {_RENDER: render, _SEPARATION: separation}
        services = TenantServices(parts=parts, channels=channels, metrics=metrics, tenants=tenants, watched={})
        watched = {
            (name, owner): watches.enter_context(_watched(services, name, owner))
            for name in tenants
            for owner in OwningService
        }
        pipeline = RenderPipeline(
            renderer=parts.renderer,
            gpu_lock=parts.gpu_lock,
            journal=parts.journal,
            store=parts.store,
            separation=client,
            fingerprint=FINGERPRINT,
        )
        with Runner(parts.journal, owner=_RENDER, work=pipeline, weights=WEIGHTS, clock=SystemClock()):
            for tenant in tenants.values():
                _accept_work(services, tenant)
            for tenant in tenants.values():
                _until(parts.journal, tenant.name, tenant.take)
                _until(parts.journal, tenant.name, tenant.upload)
        for tenant in tenants.values():
            _end_work(services, tenant)
        yield replace(services, watched=watched)


@contextmanager
def _identified(journal: Journal, owner: OwningService) -> Iterator[Gatekeeper]:
    """A gatekeeper that knows callers by the API keys of the journal, as a service does."""
    resources = AsyncExitStack()
    yield identifying(owner, open_api_keys(journal, resources))
    asyncio.run(resources.aclose())


def _new_key(journal: Journal, tenant: str) -> tuple[tuple[str, str], ...]:
    """The metadata of calls with a new API key of a tenant, which has every scope that a key can have."""
    text = new_key_text()
    of_text = {"key_id": text.key_id, "secret_sha256": text.secret_sha256}
    journal.create_api_key(NewApiKey(**of_text, tenant=tenant, name="", scopes=GRANTABLE_SCOPES))
    return (("authorization", f"Bearer {text.text}"),)


def brief(persona_id: str = SHARED, **fields: Any) -> brief_pb2.Brief:
    """A brief of two seconds, the same for each tenant."""
    given = {"prompt": "upbeat synths", "seconds": 2.0, "seed": 7, "bpm": 120.0, **fields}
    return brief_pb2.Brief(persona_id=persona_id, **given)


def upload(**header: Any) -> list[Message]:
    """The messages of an upload of a third of a second, the same for each tenant; without its bytes if the header has a key."""
    first = separation_pb2.CreateSeparationRequest(header=separation_pb2.SeparationHeader(**header))
    return [first] if "store_key" in header else [first, separation_pb2.CreateSeparationRequest(data=wav(0.3, seed=5))]


def wav(seconds: float, *, seed: int) -> bytes:
    """Noise as a WAV file."""
    file = io.BytesIO()
    noise = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * 44100), 2))
    soundfile.write(file, noise, 44100, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _accept_work(services: TenantServices, tenant: Tenant) -> None:
    """Personas, a take with stems and an upload by key, all in words of the tenant's own."""
    name, parts = tenant.name, services.parts
    call = {"metadata": tenant.credential}
    own = f"persona-of-{name}"
    for seed, persona_id in enumerate((own, SHARED), start=ord(name[-1])):
        clip = Clip(data=wav(1.5, seed=seed))
        parts.renders.personas.add(name, persona_id, f"prefix of {name}", [clip])
    key = f"uploads/{name}/mix.wav"
    parts.store.put_bytes(key, wav(0.5, seed=ord(name[-1])), content_type="audio/wav")
    licence = brief_pb2.Licence(licensee=f"licensee of {name}")
    facts: dict[str, Any] = {"labels": {"album": f"album of {name}"}, "licence": licence}
    wanted = brief(own, stems=True, prompt=f"upbeat synths, {name}", **(facts))
    tenant.take = services.render.CreateRender(render_pb2.CreateRenderRequest(brief=wanted), **call).job.job_id
    messages = upload(store_key=key, file_name=f"file of {name}.wav", **facts)
    tenant.upload = services.separation.CreateSeparation(iter(messages), **call).job.job_id
    tenant.has(Kind.PERSONA, own)
    tenant.has(Kind.PERSONA_TO_ADD, own)
    tenant.has(Kind.PERSONA_OF_JOBS, own)
    tenant.has(Kind.STORE_KEY, key)
    tenant.has(Kind.LABELS, ("album", f"album of {name}"))
    tenant.has(Kind.PROMPT, f"SYNTHS, {name}")
    tenant.has(Kind.JOB, tenant.take, tenant.upload)
    tenant.words |= {name, f"prefix of {name}", f"licensee of {name}", f"file of {name}.wav"}


def _end_work(services: TenantServices, tenant: Tenant) -> None:
    """A job for each request id that a call can repeat, a deleted job, and the tokens of every list."""
    name, journal = tenant.name, services.journal
    call = {"metadata": tenant.credential}
    request_id = f"request-of-{name}"
    rendered = services.render.CreateRender(
        render_pb2.CreateRenderRequest(request_id=request_id, brief=brief()), **call
    )
    separated = services.separation.CreateSeparation(iter(upload(request_id=request_id)), **call)
    rerendered = services.render.RerenderStem(rerender(tenant, request_id=request_id), **call)
    deleted = services.separation.CreateSeparation(iter(upload()), **call).job.job_id
    _until(journal, name, deleted)
    jobs = services.jobs(_SEPARATION)
    jobs.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=deleted), **call)
    services.end(name, rendered.job.job_id, _RENDER)
    services.end(name, separated.job.job_id, _SEPARATION)
    services.end(name, rerendered.job.job_id, _RENDER)
    hooks = [services.new_webhook(name), services.new_webhook(name, tenant.take)]
    tenant.webhook = hooks[1]
    asked = webhooks_pb2.ListWebhookDeliveriesRequest(webhook_id=tenant.webhook)
    deliveries = services.webhooks(_RENDER).ListWebhookDeliveries(asked, **call).deliveries
    asked.page_size = 1
    pages = [
        services.webhooks(_RENDER).ListWebhooks(webhooks_pb2.ListWebhooksRequest(page_size=1), **call),
        services.webhooks(_RENDER).ListWebhookDeliveries(asked, **call),
        *(
            services.jobs(owner).ListJobs(jobs_service_pb2.ListJobsRequest(page_size=1), **call)
            for owner in OwningService
        ),
        services.render.ListPersonas(render_pb2.ListPersonasRequest(page_size=1), **call),
        services.render.ListAuditRows(render_pb2.ListAuditRowsRequest(page_size=1), **call),
    ]
    rows = journal.audit_rows(name).rows
    tenant.has(Kind.JOB, rendered.job.job_id, separated.job.job_id, deleted)
    tenant.has(Kind.TOKEN, *(page.next_page_token for page in pages), journal.cursor(name, 1))
    tenant.has(Kind.REQUEST, request_id)
    tenant.has(Kind.WEBHOOK, *hooks)
    tenant.has(Kind.DELIVERY, *(delivery.delivery_id for delivery in deliveries))
    tenant.has(Kind.CHAIN_HEAD, rows[0].digest)
    tenant.words |= {row.digest for row in rows}


def rerender(tenant: Tenant, **fields: Any) -> render_pb2.RerenderStemRequest:
    """A re-render of a stem of the tenant's own take."""
    given = {"job_id": tenant.take, "stem": brief_pb2.STEM_VOCALS, "persona_id": SHARED, "seed": 9, **fields}
    return render_pb2.RerenderStemRequest(**given)


@contextmanager
def _watched(
    services: TenantServices, tenant: str, owner: OwningService
) -> Iterator[Callable[[], list[job_pb2.JobEvent]]]:
    """A watch of all of a tenant's jobs. What is given waits for the tenant's newest event and returns all that came."""
    asked = jobs_service_pb2.WatchJobsRequest()
    stream = services.jobs(owner).WatchJobs(asked, metadata=services.tenants[tenant].credential)
    stream.initial_metadata()
    received: list[job_pb2.JobEvent] = []
    changed = threading.Condition()

    def read() -> None:
        try:
            for answer in stream:
                with changed:
                    received.append(answer.event)
                    changed.notify_all()
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.CANCELLED, error  # type: ignore[attr-defined]  # noqa: PT017

    def until_newest() -> list[job_pb2.JobEvent]:
        newest = services.journal.feed_after(owner, tenant, 0, _MANY).events[-1]
        wanted = (newest.job_id, newest.sequence)
        with changed:
            seen = changed.wait_for(lambda: wanted in {(event.job_id, event.sequence) for event in received}, _LIMIT_S)
            assert seen, f"{tenant} never received event {wanted}"
            return list(received)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield until_newest
    finally:
        stream.cancel()
        reader.join()


def _until(journal: Journal, tenant: str, job_id: str) -> Job:
    """The job once each of its versions has ended."""
    changed = threading.Event()
    with journal.subscribe(lambda _: changed.set()):
        for _ in range(2400):
            job = journal.job(tenant, job_id)
            if all(version.state.ended for version in job.versions):
                return job
            changed.wait(0.05)
            changed.clear()
    raise AssertionError(f"the job never ended: {job}")


def _still(job: Job) -> Job:
    """A job without what depends on the queue, which all tenants share."""
    versions = tuple(replace(version, queue_position=None, estimated_end_time=None) for version in job.versions)
    return replace(job, versions=versions)
