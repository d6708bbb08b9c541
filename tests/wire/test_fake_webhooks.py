"""Webhooks of the fake: signed requests to a receiver on this machine, repeated on the fake's clock."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest

from sonichaos.webhooks.v1 import webhooks_pb2, webhooks_pb2_grpc
from sonichaos_client.testing.fake import ANY_PORT, FakeOptions, FakeSonichaos, start_fake

BRIEF: dict[str, Any] = {"prompt": "slow", "persona_id": "neon-drift", "seconds": 2.0}


@dataclass
class Receiver:
    """A server that answers with ``statuses``, the last one again and again, and keeps what it received."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [204])
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.received.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(found.statuses.pop(0) if len(found.statuses) > 1 else found.statuses[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def running() -> Iterator[FakeSonichaos]:
    """One fake whose clock stands still."""
    still = FakeOptions(render_listen=ANY_PORT, separation_listen=ANY_PORT, url_listen=ANY_PORT, speed=0.0)
    with start_fake(still) as fake:
        yield fake


@pytest.fixture
def fake(running: FakeSonichaos) -> FakeSonichaos:
    """The fake, empty."""
    running.reset()
    return running


@pytest.fixture
def stub(fake: FakeSonichaos) -> Iterator[Any]:
    """WebhooksService at the address of separation_service: both serve the same."""
    with grpc.insecure_channel(fake.separation_address) as channel:
        yield webhooks_pb2_grpc.WebhooksServiceStub(channel)


def deliveries(stub: Any, webhook_id: str) -> list[webhooks_pb2.WebhookDelivery]:
    """The deliveries of a webhook, newest first."""
    request = webhooks_pb2.ListWebhookDeliveriesRequest(webhook_id=webhook_id)
    return list(stub.ListWebhookDeliveries(request).deliveries)


def test_a_job_is_reported_by_signed_requests(fake: FakeSonichaos, stub: Any, receiver: Receiver) -> None:
    """BOUNCE_READY and the end of a version are posted once each, signed with the secret of the webhook."""
    created = stub.CreateWebhook(webhooks_pb2.CreateWebhookRequest(url=receiver.url))
    with fake.client() as client:
        job = client.create_render(**BRIEF, stems=True)
    fake.skip(10)
    bodies = [json.loads(body) for _, body in receiver.received]
    assert [(body["type"], body["job"]["jobId"]) for body in bodies] == [
        ("BOUNCE_READY", job.job_id),
        ("VERSION_ENDED", job.job_id),
    ]
    assert bodies[1]["job"]["state"] == "JOB_STATE_DONE"
    for headers, body in receiver.received:
        seconds, digest = (part.partition("=")[2] for part in headers["Sonichaos-Signature"].split(","))
        assert hmac.new(created.secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest() == digest
    ended = deliveries(stub, created.webhook.webhook_id)
    assert [one.delivery_id for one in ended] == [body["id"] for body in reversed(bodies)]
    assert {(one.attempts, one.status_code) for one in ended} == {(1, 204)}


def test_a_failed_delivery_is_repeated_when_its_time_comes(fake: FakeSonichaos, stub: Any, receiver: Receiver) -> None:
    """A receiver that fails gets the same delivery again, later each time; time that is skipped counts."""
    receiver.statuses = [500, 503, 200]
    kinds = [webhooks_pb2.WEBHOOK_EVENT_KIND_VERSION_ENDED]
    created = stub.CreateWebhook(webhooks_pb2.CreateWebhookRequest(url=receiver.url, kinds=kinds))
    with fake.client() as client:
        client.create_render(**BRIEF)
    fake.skip(2)
    (waiting,) = deliveries(stub, created.webhook.webhook_id)
    assert (waiting.attempts, waiting.problem) == (1, webhooks_pb2.WEBHOOK_PROBLEM_STATUS)
    fake.skip(3600)
    (delivered,) = deliveries(stub, created.webhook.webhook_id)
    assert delivered.state == webhooks_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED
    assert len({json.loads(body)["id"] for _, body in receiver.received}) == 1
    assert len(receiver.received) == 3
    stub.RetryWebhookDelivery(webhooks_pb2.RetryWebhookDeliveryRequest(delivery_id=delivered.delivery_id))
    fake.skip(1)
    assert len(receiver.received) == 4


def test_gone_disables_a_webhook_and_a_job_takes_its_own_with_it(
    fake: FakeSonichaos, stub: Any, receiver: Receiver
) -> None:
    """A webhook of one job hears of the past too; 410 ends it; it is removed with its job."""
    receiver.statuses = [410]
    with fake.client() as client:
        of_all = stub.CreateWebhook(webhooks_pb2.CreateWebhookRequest(url="http://127.0.0.1:9/"))
        job = client.create_render(**BRIEF)
        fake.skip(10)
        waiting = deliveries(stub, of_all.webhook.webhook_id)[0]
        assert waiting.problem == webhooks_pb2.WEBHOOK_PROBLEM_CONNECTION_FAILED
        created = stub.CreateWebhook(webhooks_pb2.CreateWebhookRequest(url=receiver.url, job_id=job.job_id))
        fake.skip(1)
        first = deliveries(stub, created.webhook.webhook_id)[-1]
        assert first.problem == webhooks_pb2.WEBHOOK_PROBLEM_GONE
        with pytest.raises(grpc.RpcError) as refused:
            stub.RetryWebhookDelivery(webhooks_pb2.RetryWebhookDeliveryRequest(delivery_id=first.delivery_id))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        job.delete()
    (left,) = stub.ListWebhooks(webhooks_pb2.ListWebhooksRequest()).webhooks
    assert left.webhook_id == of_all.webhook.webhook_id
    assert deliveries(stub, left.webhook_id) == []


def test_a_receiver_is_called_as_the_services_call_it(
    fake: FakeSonichaos, stub: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, and without a proxy of the environment."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    stub.CreateWebhook(webhooks_pb2.CreateWebhookRequest(url=receiver.url))
    with fake.client() as client:
        client.create_render(**BRIEF)
    fake.skip(10)
    assert {headers["User-Agent"] for headers, _ in receiver.received} == {"Sonichaos-Webhooks/1"}
