"""WebhooksService over gRPC, with the Python clients and the command, and receivers on loopback."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from jobs_service.webhook_deliveries import WebhookDeliveries
from jobs_service.webhook_sender import RetrySchedule, WebhookSender
from servicekit.journal import EventDraft, EventKind, OwningService
from servicekit.metrics import Metrics
from servicekit.webhooks.post import Poster, tls_context
from sonichaos_client import (
    AsyncClient,
    InvalidSignatureError,
    WebhookDeliveryState,
    WebhookEventKind,
    WebhookProblem,
    errors,
    verify_signature,
)
from sonichaos_client.cli import cli
from tests.support.jobs_server import Wire, serving
from tests.support.journal_rows import open_journal
from tests.support.webhooks import LOOPBACK_TOO, Receiver, answer, receiver


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The log of this process goes to stdout, which is the command's too."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """A running service that delivers at once."""
    with open_journal(tmp_path) as journal:
        poster = Poster(policy=LOOPBACK_TOO, tls=tls_context(None), timeout_s=20.0)
        sender = WebhookSender(journal=journal, poster=poster, schedule=RetrySchedule(first_s=0.01, attempts=2))
        metrics = Metrics("render")
        async with serving(tmp_path, journal) as running:
            with WebhookDeliveries(
                journal, OwningService.RENDER, sender, metrics, threads=8, retention_s=60, pause_s=0.02
            ):
                yield running


@pytest.fixture
def client(wire: Wire) -> Any:
    """The asyncio client."""
    return AsyncClient(wire.rpc.addresses[0])


def end_job(wire: Wire) -> str:
    """A job that is done."""
    job_id = wire.accept()
    claim = wire.claim()
    wire.journal.append_events(claim, [EventDraft(kind=EventKind.BOUNCE_READY)])
    wire.journal.finish(claim)
    return job_id


async def received(running: Receiver, number: int) -> Any:
    """The requests, once there are so many."""
    return await asyncio.to_thread(running.wait_for, number)


async def test_a_receiver_verifies_what_it_gets_with_the_secret_of_the_call(wire: Wire, client: Any) -> None:
    """A webhook for one job, registered after its end; a body that was changed on the way is refused."""
    job_id = end_job(wire)
    with receiver() as running:
        created = await client.create_webhook(running.url, job=job_id, kinds=[WebhookEventKind.VERSION_ENDED])
        (request,) = await received(running, 1)
        header = request.headers["sonichaos-signature"]
        verify_signature(request.body, header, created.secret)
        with pytest.raises(InvalidSignatureError):
            verify_signature(request.body.replace(b"DONE", b"FAIL"), header, created.secret)
        assert request.json["job"]["jobId"] == job_id
        assert (created.webhook.job_id, list(created.webhook.kinds)) == (job_id, [WebhookEventKind.VERSION_ENDED])
        assert [one.webhook_id async for one in client.list_webhooks()] == [created.webhook.webhook_id]
    await client.close()


async def until_ended(client: Any, webhook_id: str) -> Any:
    """The newest delivery, once no attempt is left."""
    while True:
        async for delivery in client.list_webhook_deliveries(webhook_id):
            if delivery.state != WebhookDeliveryState.WAITING:
                return delivery
            break
        await asyncio.sleep(0.02)


async def test_deliveries_are_listed_and_retried(wire: Wire, client: Any) -> None:
    """With state, attempts and the last answer."""
    with receiver() as running:
        running.behaviour = answer(500)
        created = await client.create_webhook(running.url, kinds=[WebhookEventKind.VERSION_ENDED])
        webhook_id = created.webhook.webhook_id
        job_id = end_job(wire)
        delivery = await until_ended(client, webhook_id)
        assert (delivery.job_id, delivery.version, delivery.attempts) == (job_id, 1, 2)
        assert (delivery.state, delivery.problem) == (WebhookDeliveryState.FAILED, WebhookProblem.STATUS)
        assert delivery.status_code == 500
        running.behaviour = answer(204)
        due = await client.retry_webhook_delivery(delivery.delivery_id)
        assert due.state == WebhookDeliveryState.WAITING
        await received(running, 3)
        assert (await until_ended(client, webhook_id)).state == WebhookDeliveryState.DELIVERED
        await client.delete_webhook(webhook_id)
        with pytest.raises(errors.NotFoundError, match="ListWebhooks lists"):
            _ = [one async for one in client.list_webhook_deliveries(webhook_id)]
    await client.close()


async def test_what_cannot_be_a_webhook_is_refused_field_by_field(wire: Wire, client: Any) -> None:
    """URL and kinds in one answer; an unknown job, and one webhook more than allowed."""
    with pytest.raises(errors.InvalidRequestError) as refused:
        await client.create_webhook("https://user@10.0.0.1/", kinds=[9])
    assert [violation.field for violation in refused.value.violations] == ["url", "kinds"]
    with pytest.raises(errors.NotFoundError):
        await client.create_webhook("https://receiver.example/", job="j-00000000000000000000000000")
    for _ in range(3):
        await client.create_webhook("https://receiver.example/")
    with pytest.raises(errors.ResourceExhaustedError) as full:
        await client.create_webhook("https://receiver.example/")
    assert (full.value.reason, full.value.metadata["limit"]) == ("TENANT_LIMIT", "webhooks")
    assert full.value.retry_after_s is None
    assert wire.journal.webhooks("local", page_size=9).next_token == ""
    await client.close()


async def run(wire: Wire, *arguments: str) -> Result:
    """The command."""
    env = {"SONICHAOS_RENDER_ADDRESS": wire.rpc.addresses[0]}
    return await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=env, prog_name="sonichaos")


async def test_the_command_creates_lists_and_deletes_webhooks(wire: Wire) -> None:
    """The secret is shown once; an empty list says how to fill it."""
    assert "There are no webhooks" in (await run(wire, "webhooks", "list")).stderr
    with receiver() as running:
        running.behaviour = answer(410)
        created = await run(wire, "webhooks", "create", running.url, "--on", "version-ended", "--json")
        webhook = json.loads(created.stdout)
        webhook_id = webhook["webhookId"]
        assert webhook["secret"].startswith("whsec_")
        assert "has no deliveries" in (await run(wire, "webhooks", "deliveries", webhook_id)).stderr
        listed = await run(wire, "webhooks", "list")
        assert listed.stdout == f"{webhook_id}  all jobs  version-ended  {running.url}\n"
        end_job(wire)
        async with AsyncClient(wire.rpc.addresses[0]) as client:
            await until_ended(client, webhook_id)
        assert "disabled" in (await run(wire, "webhooks", "list")).stdout
        shown = (await run(wire, "webhooks", "deliveries", webhook_id)).stdout
        assert "failed     version-ended" in shown
        assert shown.endswith("v1  attempts 1  status 410  gone\n")
        refused = await run(wire, "webhooks", "retry", shown.split()[0])
        assert (refused.exit_code, "410 Gone" in refused.stderr) == (2, True)
        deleted = await run(wire, "webhooks", "delete", webhook_id, "--json")
        assert json.loads(deleted.stdout) == {"webhookId": webhook_id, "deleted": True}
        assert (await run(wire, "webhooks", "delete", webhook_id)).exit_code == 2


async def test_a_repeated_call_returns_the_same_webhook_and_secret(wire: Wire, client: Any) -> None:
    """With a request id, the command's too; with other content it is refused, and an id that is none is named."""
    url = "https://receiver.example/"
    first = await client.create_webhook(url, request_id="r-1")
    assert await client.create_webhook(url, request_id="r-1") == first
    assert (await client.create_webhook(url)).webhook != (await client.create_webhook(url)).webhook
    with pytest.raises(errors.AlreadyExistsError) as refused:
        await client.create_webhook(url, kinds=[WebhookEventKind.VERSION_ENDED], request_id="r-1")
    assert refused.value.reason == "REQUEST_ID_REUSED"
    with pytest.raises(errors.InvalidRequestError) as invalid:
        await client.create_webhook("ftp://receiver.example/", request_id="a b")
    assert [one.field for one in invalid.value.violations] == ["request_id", "url"]
    await client.close()
