"""The thread that delivers webhooks, with a real journal and real receivers on loopback."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from google.protobuf import json_format

from jobs_service.webhook_deliveries import Places, WebhookDeliveries
from jobs_service.webhook_messages import MAX_BODY_BYTES
from jobs_service.webhook_sender import RetrySchedule, WebhookSender
from servicekit.journal import (
    DueWebhook,
    Event,
    EventDraft,
    EventKind,
    JobState,
    Journal,
    OwningService,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEventKind,
    WebhookLimits,
    WebhookProblem,
)
from servicekit.metrics import Metrics
from servicekit.webhooks.post import Poster, tls_context
from servicekit.webhooks.resolver import BoundedResolver
from servicekit.webhooks.target import Address, TargetPolicy
from sonichaos.webhooks.v1 import webhooks_pb2
from tests.support.journal_rows import claimed, new_job, open_journal, request
from tests.support.webhooks import LOOPBACK_TOO, SECRET, answer, new_webhook, receiver

RENDER, SEPARATION = OwningService
LIMITS = WebhookLimits(per_tenant=99, per_job=9)
DAY_S = 24 * 3600.0
LIMIT_S = 60.0


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    with closing(open_journal(tmp_path)) as opened:
        yield opened


def sender(
    journal: Journal, *, policy: TargetPolicy = LOOPBACK_TOO, timeout_s: float = 20.0, attempts: int = 9
) -> WebhookSender:
    """One that repeats at once."""
    poster = Poster(policy=policy, tls=tls_context(None), timeout_s=timeout_s)
    return WebhookSender(journal=journal, poster=poster, schedule=RetrySchedule(first_s=0.01, attempts=attempts))


@contextmanager
def delivering(
    journal: Journal, owner: OwningService = RENDER, *, threads: int = 16, sending: WebhookSender | None = None
) -> Iterator[Metrics]:
    """The thread of one service."""
    metrics = Metrics(owner.lower())
    thread = WebhookDeliveries(
        journal,
        owner,
        sending or sender(journal),
        metrics,
        threads=threads,
        retention_s=DAY_S,
        pause_s=0.02,
    )
    with thread:
        yield metrics


def ended_job(journal: Journal, *, tenant: str = "local", owner: OwningService = RENDER) -> str:
    """A job that is done."""
    job_id = journal.accept(new_job(request(tenant=tenant), owner=owner), limit=9999).job.job_id
    claim = claimed(journal, owner)
    journal.append_events(claim, [EventDraft(kind=EventKind.BOUNCE_READY)])
    journal.finish(claim)
    return job_id


def register(journal: Journal, url: str, *, tenant: str = "local") -> str:
    """A webhook for the ends of a tenant's versions."""
    ends = frozenset({WebhookEventKind.VERSION_ENDED})
    return journal.create_webhook(new_webhook(tenant=tenant, url=url, kinds=ends), LIMITS).webhook.webhook_id


def until(
    journal: Journal, webhook_id: str, reached: Callable[[WebhookDelivery], bool], tenant: str = "local"
) -> WebhookDelivery:
    """The only delivery of a webhook once it is as wanted."""
    pause = threading.Event()
    for _ in range(round(LIMIT_S / 0.02)):
        for delivery in journal.webhook_deliveries(tenant, webhook_id, page_size=1).deliveries:
            if reached(delivery):
                return delivery
        pause.wait(0.02)
    raise AssertionError(journal.webhook_deliveries(tenant, webhook_id, page_size=9).deliveries)


def ended(delivery: WebhookDelivery) -> bool:
    """No attempt is left."""
    return delivery.state != "WAITING"


def count(metrics: Metrics, result: str, owner: OwningService = RENDER) -> float:
    """Attempts that ended so."""
    name = f"sonichaos_{owner.lower()}_webhook_deliveries_total"
    return metrics.registry.get_sample_value(name, {"result": result}) or 0.0


def test_a_request_says_what_happened_and_is_signed(journal: Journal) -> None:
    """The body is that of the proto, with the event as a watch sends it; the signature covers time and body."""
    with receiver() as running, delivering(journal) as metrics:
        webhook_id = register(journal, running.url)
        job_id = ended_job(journal)
        (got,) = running.wait_for(1)
        delivery = until(journal, webhook_id, ended)
        assert (delivery.state, delivery.status_code, delivery.attempts) == ("DELIVERED", 204, 1)
        assert count(metrics, "delivered") == 1
    body = json_format.Parse(got.body, webhooks_pb2.WebhookBody())
    assert (body.id, body.type) == (delivery.delivery_id, "VERSION_ENDED")
    assert (body.job.job_id, body.job.version, body.job.event.sequence) == (job_id, 1, 4)
    assert got.json["job"]["state"] == "JOB_STATE_DONE"
    assert journal.position("local", body.job.event.cursor) == journal.events_after(job_id, 3, 9).events[0].position
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"] == "Sonichaos-Webhooks/1"
    seconds, _, signature = got.headers["sonichaos-signature"].partition(",")
    assert seconds.startswith("t=")
    signed = f"{seconds.removeprefix('t=')}.".encode() + got.body
    assert signature == "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    sent_at = datetime.fromtimestamp(int(seconds.removeprefix("t=")), UTC)
    assert abs(datetime.now(UTC) - sent_at) < timedelta(minutes=5)


def test_both_services_on_one_journal_deliver_each_event_once(journal: Journal) -> None:
    """Each those of its own jobs; a second host of the same service adds none."""
    with (
        receiver() as running,
        delivering(journal),
        delivering(journal),
        delivering(journal, SEPARATION),
    ):
        register(journal, running.url)
        jobs = [ended_job(journal, owner=owner) for owner in (RENDER, SEPARATION, RENDER, SEPARATION)]
        running.wait_for(4)
        ended_job(journal)  # after its request, none of the earlier ones is repeated
        requests = running.wait_for(5)
    assert sorted(request.json["job"]["jobId"] for request in requests[:4]) == sorted(jobs)
    assert len({request.json["id"] for request in requests}) == 5


def test_a_failed_attempt_is_repeated_under_the_same_id_until_one_succeeds(journal: Journal) -> None:
    """A 500 and a redirect are failures; the redirect's target is not called."""
    with receiver() as running, receiver() as target, delivering(journal) as metrics:
        running.behaviour = answer(500)
        webhook_id = register(journal, running.url)
        ended_job(journal)
        running.wait_for(1)
        running.behaviour = answer(307, f"Location: {target.url}")
        until(journal, webhook_id, lambda delivery: delivery.status_code == 307)
        running.behaviour = answer(200)
        delivery = until(journal, webhook_id, ended)
        assert (delivery.state, delivery.problem) == ("DELIVERED", None)
        assert delivery.attempts == len(running.requests) >= 3
        assert len({request.json["id"] for request in running.requests}) == 1
        assert target.requests == []
        assert count(metrics, "retried") == delivery.attempts - 1


def test_after_its_last_attempt_a_delivery_fails_and_a_retry_delivers_it(journal: Journal) -> None:
    """The list says how often and why."""
    with receiver() as running, delivering(journal, sending=sender(journal, attempts=2)) as metrics:
        running.behaviour = answer(503)
        webhook_id = register(journal, running.url)
        ended_job(journal)
        delivery = until(journal, webhook_id, ended)
        assert (delivery.state, delivery.attempts, delivery.status_code) == ("FAILED", 2, 503)
        assert delivery.problem is WebhookProblem.STATUS
        assert count(metrics, "failed") == 1
        running.behaviour = answer(204)
        journal.retry_webhook_delivery("local", delivery.delivery_id)
        assert until(journal, webhook_id, ended).attempts == 3


def test_gone_disables_the_webhook(journal: Journal) -> None:
    """One request, and no other."""
    with receiver() as running, delivering(journal):
        running.behaviour = answer(410)
        webhook_id = register(journal, running.url)
        ended_job(journal)
        assert until(journal, webhook_id, ended).problem is WebhookProblem.GONE
        assert journal.webhooks("local", page_size=1).webhooks[0].disable_time is not None
        assert len(running.requests) == 1


def test_an_address_that_is_no_longer_allowed_is_not_called(journal: Journal) -> None:
    """It was when the webhook was registered; the operator has changed the settings since."""
    with receiver() as running:
        strict = sender(journal, policy=TargetPolicy(allow_http=True), attempts=1)
        webhook_id = register(journal, running.url.replace("127.0.0.1", "localhost"))
        with delivering(journal, sending=strict):
            ended_job(journal)
            assert until(journal, webhook_id, ended).problem is WebhookProblem.ADDRESS_NOT_ALLOWED
        assert running.requests == []


def test_receivers_that_hang_delay_no_other_tenant(journal: Journal) -> None:
    """Four webhooks of one tenant hang with all the attempts that it may have; the other tenant's deliveries arrive."""
    release = threading.Event()

    def hang(_connection: object, _request: object) -> None:
        release.wait(LIMIT_S)

    with receiver() as stuck, receiver() as quick, delivering(journal, threads=8):
        stuck.behaviour = hang
        for _ in range(4):
            register(journal, stuck.url, tenant="slow")
        register(journal, quick.url, tenant="other")
        for _ in range(3):
            ended_job(journal, tenant="slow")
        stuck.wait_for(2)
        for _ in range(5):
            ended_job(journal, tenant="other")
        quick.wait_for(5)
        assert len(stuck.requests) == 2, "a quarter of eight places"
        release.set()
        stuck.wait_for(12)


def test_without_threads_nothing_is_sent_and_deliveries_wait(journal: Journal) -> None:
    """A service that has no network can be told so; another one sends them."""
    with receiver() as running:
        webhook_id = register(journal, running.url)
        with delivering(journal, threads=0):
            ended_job(journal)
            assert until(journal, webhook_id, lambda _: True).attempts == 0
        with delivering(journal):
            running.wait_for(1)


def test_pauses_double_up_to_an_hour_and_differ_by_chance() -> None:
    """30 attempts take about 23 hours."""
    schedule = RetrySchedule(first_s=30.0, attempts=30, random=lambda: 0.5)
    pauses = [schedule.pause_s(failed) for failed in range(1, 31)]
    assert pauses[:9] == [30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]
    assert pauses[-1] is None
    assert 22 * 3600 < sum(pause for pause in pauses if pause is not None) < 24 * 3600
    extremes = [RetrySchedule(first_s=100.0, attempts=9, random=lambda at=at: at).pause_s(1) for at in (0.0, 1.0)]
    assert extremes == [75.0, 125.0]


def due(webhook_id: str, tenant: str, number: int, since_us: int = 0) -> DueWebhook:
    """Deliveries that are due."""
    return DueWebhook(webhook_id, tenant, number, since_us)


def running(webhook_id: str, tenant: str, number: int) -> WebhookAttempt:
    """An attempt."""
    now = datetime.now(UTC)
    event = Event(
        kind=EventKind.STATE,
        position=1,
        job_id="j",
        sequence=1,
        tenant=tenant,
        owner=RENDER,
        version=1,
        state=JobState.DONE,
        time=now,
    )
    return WebhookAttempt(
        delivery_id=f"{webhook_id}-{number}",
        webhook_id=webhook_id,
        tenant=tenant,
        url="",
        secret="",
        kind=WebhookEventKind.VERSION_ENDED,
        number=1,
        series_number=1,
        create_time=now,
        event=event,
    )


def test_places_are_shared_between_tenants_and_webhooks() -> None:
    """A quarter of them for a tenant, two for a webhook; who has fewest is first, then who waits longest."""
    places = Places(16)
    assert places.share([due("a", "t", 9)]) == {"a": 2}
    assert places.share([due(name, "t", 9, at) for at, name in enumerate("abcde")]) == dict.fromkeys("abcd", 1)
    assert places.share([due("a", "t", 1), due("b", "u", 9)]) == {"a": 1, "b": 2}
    for number in range(2):
        places.take(running("a", "t", number))
    assert places.share([due("a", "t", 9)]) == {}
    assert places.share([due("b", "t", 9)]) == {"b": 2}
    small = Places(1)
    assert small.share([due("a", "t", 9, 5), due("b", "u", 9, 3)]) == {"b": 1}
    attempt = running("b", "u", 0)
    small.take(attempt)
    assert (small.free, small.share([due("a", "t", 9)]), small.take_released()) == (0, {}, False)
    small.release(attempt)
    assert (small.free, small.share([due("a", "t", 9)]), small.take_released()) == (1, {"a": 1}, True)


def test_a_body_has_a_limit_whatever_the_error_of_a_version(journal: Journal) -> None:
    """A long error is sent without its details, and with the start of its message."""
    with receiver() as running, delivering(journal):
        register(journal, running.url)
        journal.accept(new_job(request()), limit=9)
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "metadata": {"stage": "y" * MAX_BODY_BYTES}}
        error = {"code": 13, "message": "x" * MAX_BODY_BYTES, "details": [detail]}
        journal.fail(claimed(journal, RENDER), error)
        (sent,) = running.wait_for(1)
    assert len(sent.body) <= MAX_BODY_BYTES
    assert sent.json["job"]["state"] == "JOB_STATE_FAILED"
    assert sent.json["job"]["event"]["error"] == {"code": 13, "message": "x" * 1000}


def test_a_name_that_hangs_does_not_hold_the_only_place(journal: Journal) -> None:
    """The attempt ends at the resolver's limit, and the other webhook's delivery follows."""
    released = threading.Event()

    def resolve(host: str, _port: int) -> list[Address]:
        if host == "hanging.example":
            released.wait()
        return [ip_address("127.0.0.1")]

    poster = Poster(
        policy=LOOPBACK_TOO, tls=tls_context(None), timeout_s=20.0, resolve=BoundedResolver(resolve, timeout_s=0.05)
    )
    slow = WebhookSender(journal=journal, poster=poster, schedule=RetrySchedule(first_s=0.01, attempts=2))
    try:
        with receiver(host="receiver.example") as running, delivering(journal, threads=1, sending=slow):
            hangs = register(journal, "https://hanging.example/")
            works = register(journal, running.url)
            ended_job(journal)
            assert until(journal, works, ended).state == "DELIVERED"
            failed = until(journal, hangs, ended)
            assert (failed.state, failed.problem) == ("FAILED", WebhookProblem.NAME_NOT_RESOLVED)
    finally:
        released.set()
