"""A tenant sees what is its own and nothing else: every RPC of the protos, with every name of another tenant, in both directions.

The calls are generated from the descriptors. A method, or a text field of a request, that a release adds makes a test fail until it
is classified here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from prometheus_client import generate_latest
from sqlalchemy import Engine, event

from jobs_service.rpc_scopes import RPC_SCOPES, rpc_scopes
from render_service.personas.library import Clip
from render_service.renderers.load import load_renderer
from separation_service.engine import load_separator
from servicekit.access.caller import GRANTABLE_SCOPES, LOCAL_TENANT, Scope, current_tenant
from servicekit.ids import new_delivery_id, new_job_id, new_webhook_id
from servicekit.journal import OwningService
from sonichaos.jobs.v1 import jobs_service_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.webhooks.v1.webhooks_pb2 import (
    CreateWebhookRequest,
    DeleteWebhookRequest,
    ListWebhookDeliveriesRequest,
)
from tests.support.callers import as_tenant
from tests.support.rpc_catalog import Outcome, Rpc, TextField, call, every_rpc, text_fields
from tests.support.tenants import (
    SHARED,
    A,
    B,
    Kind,
    Tenant,
    TenantServices,
    brief,
    rerender,
    tenant_services,
    upload,
    wav,
)
from tests.support.tiny_checkpoint import tiny_checkpoint
from tests.support.tiny_separator import NAME, tiny_separator

NOTHING = "studio-c"
"""A tenant that has nothing."""

FIELDS: dict[str, Kind | None] = {
    "GetJobRequest.job_id": Kind.JOB,
    "WatchJobRequest.job_id": Kind.JOB,
    "CancelJobRequest.job_id": Kind.JOB,
    "DeleteJobRequest.job_id": Kind.JOB,
    "DeleteVersionRequest.job_id": Kind.JOB,
    "EraseJobRequest.job_id": Kind.JOB,
    "AddStemsRequest.job_id": Kind.JOB,
    "RetryVersionRequest.job_id": Kind.JOB,
    "CreateSignedUrlRequest.job_id": Kind.JOB,
    "GetWaveformsRequest.job_id": Kind.JOB,
    "RerenderStemRequest.job_id": Kind.JOB,
    "ListAuditRowsRequest.job_id": Kind.JOB,
    "ReplayTakeRequest.job_id": Kind.JOB,
    "ErasePromptRequest.job_id": Kind.JOB,
    "ListJobsRequest.page_token": Kind.TOKEN,
    "ListPersonasRequest.page_token": Kind.TOKEN,
    "ListAuditRowsRequest.page_token": Kind.TOKEN,
    "WatchJobsRequest.cursor": Kind.TOKEN,
    "ListWebhooksRequest.page_token": Kind.TOKEN,
    "ListWebhookDeliveriesRequest.page_token": Kind.TOKEN,
    "CreateWebhookRequest.job_id": Kind.JOB,
    "DeleteWebhookRequest.webhook_id": Kind.WEBHOOK,
    "ListWebhookDeliveriesRequest.webhook_id": Kind.WEBHOOK,
    "RetryWebhookDeliveryRequest.delivery_id": Kind.DELIVERY,
    "ListJobsRequest.labels": Kind.LABELS,
    "ListJobsRequest.persona_id": Kind.PERSONA_OF_JOBS,
    "ListJobsRequest.prompt_contains": Kind.PROMPT,
    "Brief.persona_id": Kind.PERSONA,
    "RerenderStemRequest.persona_id": Kind.PERSONA,
    "GetPersonaRequest.persona_id": Kind.PERSONA,
    "DeletePersonaRequest.persona_id": Kind.PERSONA,
    "DownloadPersonaClipRequest.persona_id": Kind.PERSONA,
    "PersonaHeader.persona_id": Kind.PERSONA_TO_ADD,
    "CreateRenderRequest.request_id": Kind.REQUEST,
    "RerenderStemRequest.request_id": Kind.REQUEST,
    "SeparationHeader.request_id": Kind.REQUEST,
    "CreateWebhookRequest.request_id": Kind.REQUEST,
    "VerifyAuditChainRequest.head_digest": Kind.CHAIN_HEAD,
    "SeparationHeader.store_key": Kind.STORE_KEY,
    "AnalysisHeader.store_key": Kind.STORE_KEY,
    # An operator names any tenant.
    "EraseTenantRequest.tenant": None,
    "EraseTenantRequest.confirm_tenant": None,
    # Texts that name nothing.
    "CreateWebhookRequest.url": None,
    "Brief.prompt": None,
    "AnalyzePromptRequest.prompt": None,
    "Brief.key": None,
    "Brief.labels": None,
    "Brief.lyrics": None,
    "Licence.tier": None,
    "Licence.licensee": None,
    "Licence.terms": None,
    "Score.chords": None,
    "RerenderStemRequest.prompt": None,
    "RerenderStemRequest.key": None,
    "PersonaHeader.prefix": None,
    "PersonaHeader.clip_sha256": None,
    "SeparationHeader.file_name": None,
    "SeparationHeader.labels": None,
    "SeparationHeader.sha256": None,
}
"""What each text field of a request names. The calls between the services are left out: no tenant may make them."""

REQUESTS: dict[str, Callable[[Tenant], Sequence[Message]]] = {
    "CreateRender": lambda _: [render_pb2.CreateRenderRequest(brief=brief())],
    "RerenderStem": lambda tenant: [rerender(tenant)],
    "CreatePersona": lambda _: [
        render_pb2.CreatePersonaRequest(header=render_pb2.PersonaHeader(persona_id="new", prefix="a band")),
        render_pb2.CreatePersonaRequest(chunk=render_pb2.ClipChunk(data=wav(1.1, seed=3))),
    ],
    "VerifyAuditChain": lambda _: [render_pb2.VerifyAuditChainRequest(head_sequence=1)],
    "CreateSeparation": lambda _: upload(),
    "CreateWebhook": lambda tenant: [CreateWebhookRequest(url=f"https://receiver.example/{tenant.name}")],
    "ListWebhookDeliveries": lambda tenant: [ListWebhookDeliveriesRequest(webhook_id=tenant.webhook)],
}
"""A tenant's own valid request, where a request with nothing but the name would be refused before the name is looked up."""

RPCS = every_rpc()
BY_TENANTS = [rpc for rpc in RPCS if rpc_scopes(rpc.owner).get(rpc.path) is not Scope.PEER]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantServices]:
    """Small real models, and two tenants that have worked with them."""
    folder = tmp_path_factory.mktemp("tenants")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    renderer = load_renderer(str(tiny_checkpoint(folder / "renderer")), device="cpu", threads=1)
    models = tiny_separator(folder / "separator", gain=30.0)
    separator = load_separator(NAME, repo=models, device="cpu", threads=1)
    separator.warm()
    with tenant_services(folder, renderer, separator) as running:
        yield running
    structlog.reset_defaults()


@dataclass
class Attempts:
    """Calls with names. ``statements`` are the SQL statements that callers' RPCs have sent, with the caller's tenant."""

    services: TenantServices
    statements: list[tuple[str, str]] = field(default_factory=list)

    def record(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        """Called before each statement of this process."""
        with suppress(RuntimeError):  # not in an RPC: the feed, a worker
            self.statements.append((current_tenant(), statement))

    def outcomes(
        self, rpc: Rpc, caller: Tenant, named: TextField, name: str | tuple[str, str]
    ) -> list[tuple[Outcome, list[str]]]:
        """How the caller's calls with a name end, and the statements that refused ones send; one call for each version."""
        shown = name if isinstance(name, str) else name[1]
        versions = (0, 1) if "version" in rpc.method.input_type.fields_by_name else (0,)
        if rpc.method.name == "DeleteVersion":
            versions = (2,)  # it refuses lower numbers before it looks at the job
        found = []
        for version in versions:
            requests = [type(message).FromString(message.SerializeToString()) for message in own_request(rpc, caller)]
            named.set(requests[0], name)
            if FIELDS[named.name] is Kind.STORE_KEY:  # the key is in place of the bytes
                requests = requests[:1]
            if version:
                requests[0].version = version  # type: ignore[attr-defined]
            self.statements.clear()
            outcome = call(self.services.channels[rpc.owner], rpc, requests, caller.credential)
            sent = [text for tenant, text in self.statements if tenant == caller.name] if outcome.code != "OK" else []
            check_answer(self.services, caller, outcome, shown)
            undo(self.services, rpc, caller, outcome)
            found.append((outcome.without(shown), sent))
        return found

    def own_names(self, rpc: Rpc, caller: Tenant, kind: Kind) -> list[str | tuple[str, str]]:
        """Names of what the caller has, at least one of which the method takes; it may remove what they name."""
        if kind is Kind.JOB:
            return [
                caller.take if rpc.method.name == "ListAuditRows" else self.services.ended_job(caller.name, rpc.owner)
            ]
        if kind is Kind.WEBHOOK:
            return [self.services.new_webhook(caller.name) if rpc.method.name == "DeleteWebhook" else caller.webhook]
        if kind is Kind.PERSONA:
            personas = self.services.parts.renders.personas
            if "spare" not in {persona.id for persona in personas.all(caller.name)}:
                personas.add(caller.name, "spare", f"prefix of {caller.name}", [Clip(data=wav(1.1, seed=3))])
            return ["spare"]
        return caller.names[kind]


@pytest.fixture
def attempts(services: TenantServices) -> Iterator[Attempts]:
    """With the statements of every journal of this process."""
    made = Attempts(services)
    event.listen(Engine, "before_cursor_execute", made.record)
    yield made
    event.remove(Engine, "before_cursor_execute", made.record)


def test_every_text_of_a_request_is_classified() -> None:
    """A field that a release adds must be in `FIELDS`, so that it is tried with the names of another tenant."""
    found = {named.name for rpc in BY_TENANTS for named in text_fields(rpc.method.input_type)}
    assert found == FIELDS.keys()


def test_every_method_has_a_scope() -> None:
    """The table of scopes is that of the descriptors."""
    assert {rpc.path for rpc in RPCS} == RPC_SCOPES.keys()


@pytest.mark.parametrize("rpc", BY_TENANTS, ids=str)
def test_another_tenants_name_answers_as_one_that_does_not_exist(attempts: Attempts, rpc: Rpc) -> None:
    """Code, reason, message, metadata and SQL statements are the same; nothing shows of the other tenant or changes for it.

    A name of the caller's own answers otherwise, so the calls do get as far as the name.
    """
    services = attempts.services
    for caller, other in ((services.tenants[A], services.tenants[B]), (services.tenants[B], services.tenants[A])):
        before = services.belongings(other.name)
        for named in text_fields(rpc.method.input_type):
            kind = FIELDS[named.name]
            if kind is None:
                continue
            unknown = attempts.outcomes(rpc, caller, named, unknown_name(services, kind, other))
            for name in other.names[kind]:
                found = attempts.outcomes(rpc, caller, named, name)
                assert found == unknown, f"{rpc} with {named.name} of {other.name}"
            if kind in {Kind.REQUEST, Kind.PERSONA_TO_ADD}:
                assert {outcome.code for outcome, _ in unknown} == {"OK"}
                continue
            if kind in {Kind.PERSONA_OF_JOBS, Kind.PROMPT} and rpc.owner is OwningService.SEPARATION:
                continue  # uploads have neither
            own = [attempts.outcomes(rpc, caller, named, name) for name in attempts.own_names(rpc, caller, kind)]
            assert [found for found in own if found != unknown], f"{rpc} does not look at {named.name}"
        assert services.belongings(other.name) == before


def own_request(rpc: Rpc, caller: Tenant) -> Sequence[Message]:
    """A request of the caller's, without a name where the method needs nothing else."""
    make = REQUESTS.get(rpc.method.name)
    return make(caller) if make else [GetMessageClass(rpc.method.input_type)()]


def unknown_name(services: TenantServices, kind: Kind, other: Tenant) -> str | tuple[str, str]:
    """A name in the same form as the other tenant's, of nothing."""
    names: dict[Kind, str | tuple[str, str]] = {
        Kind.JOB: new_job_id(datetime.now(UTC)),
        Kind.WEBHOOK: new_webhook_id(datetime.now(UTC)),
        Kind.DELIVERY: new_delivery_id(datetime.now(UTC)),
        Kind.TOKEN: services.journal.cursor("nobody", 1),
        Kind.LABELS: ("album", "none"),
        Kind.CHAIN_HEAD: "0123456789abcdef" * 4,
        Kind.STORE_KEY: f"uploads/{other.name}/none.wav",
    }
    return names.get(kind, "none")


def check_answer(services: TenantServices, caller: Tenant, outcome: Outcome, name: str) -> None:
    """No word of another tenant is in it, apart from the name that the caller gave."""
    text = f"{outcome.message} {outcome.metadata} {outcome.answer}".replace(name, "NAME")
    words = {word for tenant in services.tenants.values() if tenant is not caller for word in tenant.words}
    assert not [word for word in words if word in text], text


def undo(services: TenantServices, rpc: Rpc, caller: Tenant, outcome: Outcome) -> None:
    """End what a call has created: the queue has few places, and the next call creates it again."""
    answer = outcome.answer or {}
    if "job" in answer:
        assert answer["job"]["tenant"] == caller.name
        services.end(caller.name, answer["job"]["jobId"], rpc.owner)
        if rpc.method.name in {"CreateRender", "CreateSeparation"}:
            asked = jobs_service_pb2.DeleteJobRequest(job_id=answer["job"]["jobId"])
            services.jobs(rpc.owner).DeleteJob(asked, metadata=caller.credential)
    elif "webhook" in answer:
        asked_webhook = DeleteWebhookRequest(webhook_id=answer["webhook"]["webhookId"])
        services.webhooks(rpc.owner).DeleteWebhook(asked_webhook, metadata=caller.credential)
    elif rpc.method.name == "CreatePersona":
        asked_persona = render_pb2.DeletePersonaRequest(persona_id=answer["persona"]["id"])
        services.render.DeletePersona(asked_persona, metadata=caller.credential)


@pytest.mark.parametrize("rpc", BY_TENANTS, ids=str)
def test_lists_and_reports_have_only_the_callers_own(services: TenantServices, rpc: Rpc) -> None:
    """What a method answers to a request without any name has no word of another tenant."""
    for tenant in (*services.tenants.values(), Tenant(NOTHING, as_tenant(NOTHING))):
        request = GetMessageClass(rpc.method.input_type)()
        outcome = call(services.channels[rpc.owner], rpc, [request], tenant.credential)
        check_answer(services, tenant, outcome, "no name")


def test_a_tenant_lists_all_of_its_own(services: TenantServices) -> None:
    """Its jobs, audit rows and personas, page by page: everything that it has and nothing more."""
    for tenant in services.tenants.values():
        meta = tenant.credential
        listed, rows, personas = [], [], []
        for owner in OwningService:
            pages = every_page(services.jobs(owner).ListJobs, jobs_service_pb2.ListJobsRequest(page_size=1), meta)
            listed += [job.job_id for page in pages for job in page.jobs]
        for page in every_page(services.render.ListAuditRows, render_pb2.ListAuditRowsRequest(page_size=1), meta):
            rows += [row.digest for row in page.rows]
        for page in every_page(services.render.ListPersonas, render_pb2.ListPersonasRequest(page_size=1), meta):
            personas += [(persona.id, persona.prefix) for persona in page.personas]
        existing = [job.job_id for job in services.jobs_of(tenant.name)]
        assert sorted(listed) == sorted(existing)
        assert {tenant.take, tenant.upload} < set(listed)
        assert rows == [row.digest for row in services.journal.audit_rows(tenant.name).rows]
        own = {(name, f"prefix of {tenant.name}") for name in (f"persona-of-{tenant.name}", SHARED, "spare")}
        assert own - {("spare", f"prefix of {tenant.name}")} <= set(personas) <= own


def every_page(method: Callable[..., Any], request: Any, metadata: Any) -> Iterator[Any]:
    """The pages of a list."""
    while True:
        page = method(request, metadata=metadata)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def test_a_watch_has_only_the_events_of_its_tenant(services: TenantServices) -> None:
    """Both tenants have watched both services since before the first take: each received all of its own events and no other."""
    for (name, owner), received in services.watched.items():
        events = received()
        own = services.journal.feed_after(owner, name, 0, 10_000).events
        assert {event.job_id for event in events} == {event.job_id for event in own}
        assert {(event.job_id, event.sequence) for event in own} <= {(event.job_id, event.sequence) for event in events}
        other = services.tenants[B if name == A else A]
        text = " ".join(map(json_format.MessageToJson, events))
        assert not [word for word in other.words if word in text]


@pytest.mark.parametrize("rpc", RPCS, ids=str)
def test_a_call_needs_its_scope(services: TenantServices, rpc: Rpc) -> None:
    """Without a credential it is UNAUTHENTICATED; with every scope but the right one PERMISSION_DENIED, which names it."""
    needed = rpc_scopes(rpc.owner)[rpc.path]
    channel, request = services.channels[rpc.owner], GetMessageClass(rpc.method.input_type)()
    outcome = call(channel, rpc, [request], ())
    assert (outcome.code, outcome.reason) == ("UNAUTHENTICATED", "CREDENTIALS_MISSING")
    for held in (frozenset(Scope) - {needed}, GRANTABLE_SCOPES - {needed}, frozenset[Scope]()):
        outcome = call(channel, rpc, [request], as_tenant(NOTHING, held))
        assert (outcome.code, outcome.reason) == ("PERMISSION_DENIED", "SCOPE_MISSING")
        assert outcome.metadata == {"scope": needed}
    tenant = LOCAL_TENANT if rpc.path.endswith("/Drain") else NOTHING  # it stops the service for all tenants
    outcome = call(channel, rpc, [request], as_tenant(tenant, frozenset({needed})))
    assert outcome.code not in {"UNAUTHENTICATED", "PERMISSION_DENIED"}


def test_metrics_name_no_tenant(services: TenantServices) -> None:
    """After all these calls no label has a text that a caller chose."""
    for metrics in services.metrics.values():
        text = generate_latest(metrics.registry).decode()
        assert "_rpcs_total" in text
        assert not [word for tenant in services.tenants.values() for word in tenant.words if word in text]
