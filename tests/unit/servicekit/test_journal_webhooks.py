"""Webhooks in the journal: which events become deliveries, who attempts them, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.errors import AlreadyExists, FailedPrecondition, NotFound, ResourceExhausted
from servicekit.journal import (
    AttemptResult,
    Claim,
    EventDraft,
    EventKind,
    Journal,
    OwningService,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEventKind,
    WebhookLimits,
    WebhookProblem,
)
from servicekit.journal.webhook_deliveries import MAX_WAITING_OF_WEBHOOK
from tests.support.journal_rows import claimed, new_job, new_version, open_journal, request
from tests.support.manual_clock import ManualClock
from tests.support.webhooks import new_webhook

RENDER, SEPARATION = OwningService
LIMITS = WebhookLimits(per_tenant=3, per_job=2)
MANY = 10_000
ENDED_ONLY = frozenset({WebhookEventKind.VERSION_ENDED})


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock(datetime(2026, 11, 29, tzinfo=UTC))


@pytest.fixture
def timed(tmp_path: Path, clock: ManualClock) -> Iterator[Journal]:
    """With that clock: PostgreSQL has a clock of its own."""
    with closing(open_journal(tmp_path, clock)) as opened:
        yield opened


@pytest.fixture
def journal(any_database: str) -> Iterator[Journal]:
    """On both databases."""
    with closing(Journal.open(any_database, clock=SystemClock())) as opened:
        yield opened


def ended_job(journal: Journal, *, tenant: str = "local", owner: OwningService = RENDER) -> str:
    """A job that is done; it has had a bounce and progress."""
    job_id = journal.accept(new_job(request(tenant=tenant), owner=owner), limit=MANY).job.job_id
    end_version(journal, owner)
    return job_id


def end_version(journal: Journal, owner: OwningService = RENDER) -> None:
    """Work on the next version to its end."""
    claim = claimed(journal, owner)
    drafts = [EventDraft(kind=kind) for kind in (EventKind.PROGRESS, EventKind.BOUNCE_READY, EventKind.PROGRESS)]
    journal.append_events(claim, drafts)
    journal.finish(claim)


def register(
    journal: Journal, *, tenant: str = "local", job_id: str = "", kinds: frozenset[WebhookEventKind] | None = None
) -> str:
    """A new webhook's id."""
    new = new_webhook(tenant=tenant, job_id=job_id, kinds=frozenset(WebhookEventKind) if kinds is None else kinds)
    return journal.create_webhook(new, LIMITS).webhook.webhook_id


def enqueue(journal: Journal, owner: OwningService = RENDER) -> None:
    """As a service does after a start: from where the journal says, to the end of the feed."""
    done = recorded = journal.webhook_position(owner)
    more = True
    while more:
        done, recorded, more = journal.enqueue_deliveries(owner, done, recorded)


def deliveries(journal: Journal, webhook_id: str, tenant: str = "local") -> list[WebhookDelivery]:
    """All, oldest first."""
    return list(reversed(journal.webhook_deliveries(tenant, webhook_id, page_size=MANY).deliveries))


def claim(journal: Journal, webhook_id: str, number: int = 1, *, max_attempts: int = 9) -> list[WebhookAttempt]:
    """Claims of render_service."""
    wanted = {webhook_id: number}
    return list(journal.claim_deliveries(RENDER, wanted, lease_s=60.0, max_attempts=max_attempts))


def test_ends_and_bounces_of_a_tenant_become_deliveries_once(journal: Journal) -> None:
    """Of the events after the registration, in order, whatever service they are of, and not of another tenant."""
    ended_job(journal)
    hook, other = register(journal), register(journal, tenant="studio")
    job_ids = [ended_job(journal), ended_job(journal, owner=SEPARATION)]
    ended_job(journal, tenant="nobody")
    for _ in range(2):  # the second time as another host does
        for owner in OwningService:
            enqueue(journal, owner)
    found = deliveries(journal, hook)
    assert [(one.job_id, one.kind, one.sequence, one.version) for one in found] == [
        (job_id, kind, sequence, 1)
        for job_id in job_ids
        for kind, sequence in ((WebhookEventKind.BOUNCE_READY, 4), (WebhookEventKind.VERSION_ENDED, 6))
    ]
    assert len({one.delivery_id for one in found}) == 4
    assert deliveries(journal, other, "studio") == []


def test_a_webhook_for_a_job_misses_nothing_of_it_whenever_it_is_registered(journal: Journal) -> None:
    """Before, while and after it runs. Other jobs are not its business."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    first = register(journal, job_id=job_id)
    end_version(journal)
    enqueue(journal)
    late = register(journal, job_id=job_id)
    journal.accept_version(new_version(job_id), limit=MANY)
    end_version(journal)
    ended_job(journal)
    enqueue(journal)
    sequences = [one.sequence for one in deliveries(journal, first)]
    assert len(sequences) == 4
    assert [one.sequence for one in deliveries(journal, late)] == sequences


def test_only_the_kinds_that_were_asked_for_are_delivered(journal: Journal) -> None:
    """Here the end."""
    hook = register(journal, kinds=ENDED_ONLY)
    ended_job(journal)
    enqueue(journal)
    assert [one.kind for one in deliveries(journal, hook)] == [WebhookEventKind.VERSION_ENDED]


def test_events_while_no_service_ran_are_delivered_by_the_next_start(journal: Journal) -> None:
    """Also by the first start ever, and where thousands of events without webhooks lie between."""
    hook = register(journal)
    ended_job(journal)
    work = claimed_job(journal)
    journal.append_events(work, [EventDraft(kind=EventKind.PROGRESS)] * 1200)
    enqueue(journal)
    assert len(deliveries(journal, hook)) == 2
    position = journal.webhook_position(RENDER)
    journal.append_events(work, [EventDraft(kind=EventKind.PROGRESS)] * 1200)
    enqueue(journal)
    assert journal.webhook_position(RENDER) > position, "a restart has few events to look at again"
    journal.finish(work)
    enqueue(journal)
    assert len(deliveries(journal, hook)) == 3


def claimed_job(journal: Journal) -> Claim:
    """A running job."""
    journal.accept(new_job(), limit=MANY)
    return claimed(journal)


def test_an_attempt_is_claimed_by_one_process_and_its_end_recorded(timed: Journal, clock: ManualClock) -> None:
    """It carries what is needed to send it."""
    hook = register(timed, kinds=ENDED_ONLY)
    job_id = ended_job(timed)
    enqueue(timed)
    clock.advance(1)
    (due,) = timed.due_webhooks(RENDER)
    assert (due.webhook_id, due.tenant, due.deliveries) == (hook, "local", 1)
    (attempt,) = claim(timed, hook, 5)
    assert (attempt.event.job_id, attempt.event.sequence, attempt.number) == (job_id, 6, 1)
    assert attempt.url == "https://receiver.example/hook"
    assert claim(timed, hook) == []
    assert timed.due_webhooks(RENDER) == []
    assert timed.due_webhooks(SEPARATION) == []
    assert timed.oldest_waiting_delivery_s(RENDER) == pytest.approx(1.0, abs=0.01)
    assert timed.record_attempt(attempt, AttemptResult(status_code=204))
    (ended,) = deliveries(timed, hook)
    assert (ended.state, ended.attempts, ended.status_code, ended.problem) == ("DELIVERED", 1, 204, None)
    assert (ended.end_time, ended.next_attempt_time) == (clock.now(), None)
    assert timed.oldest_waiting_delivery_s(RENDER) == 0.0


def test_an_attempt_of_a_process_that_died_is_made_again_after_its_lease(timed: Journal, clock: ManualClock) -> None:
    """If that process was only slow, its result no longer counts. After the last attempt the delivery ends."""
    hook = register(timed, kinds=ENDED_ONLY)
    ended_job(timed)
    enqueue(timed)
    clock.advance(1)
    (lost,) = claim(timed, hook, max_attempts=2)
    clock.advance(59)
    assert claim(timed, hook, max_attempts=2) == []
    clock.advance(2)
    (again,) = claim(timed, hook, max_attempts=2)
    assert (again.delivery_id, again.number) == (lost.delivery_id, 2)
    assert not timed.record_attempt(lost, AttemptResult(status_code=204))
    clock.advance(61)
    assert claim(timed, hook, max_attempts=2) == []
    (ended,) = deliveries(timed, hook)
    assert (ended.state, ended.attempts, ended.problem) == ("FAILED", 2, WebhookProblem.INTERRUPTED)


def test_a_failed_attempt_is_repeated_at_its_time_and_a_clock_that_was_set_back_delays_nothing(
    timed: Journal, clock: ManualClock
) -> None:
    """The pause is the caller's; the journal keeps its time of day."""
    hook = register(timed, kinds=ENDED_ONLY)
    ended_job(timed)
    enqueue(timed)
    clock.advance(1)
    (attempt,) = claim(timed, hook)
    result = AttemptResult(problem=WebhookProblem.STATUS, status_code=503, retry_after_s=30.0)
    assert timed.record_attempt(attempt, result)
    (waiting,) = deliveries(timed, hook)
    assert (waiting.state, waiting.status_code, waiting.problem) == ("WAITING", 503, WebhookProblem.STATUS)
    clock.advance(29)
    assert claim(timed, hook) == []
    clock.advance(2)
    (attempt,) = claim(timed, hook)
    assert timed.record_attempt(attempt, AttemptResult(problem=WebhookProblem.TIMEOUT, retry_after_s=3600.0))
    clock.advance(-24 * 3600)
    assert [one.number for one in claim(timed, hook)] == [3]


def test_a_receiver_that_is_gone_gets_nothing_more(timed: Journal, clock: ManualClock) -> None:
    """Its webhook is disabled: what waits fails, what happens later becomes no delivery, and no retry is possible."""
    hook = register(timed)
    ended_job(timed)
    enqueue(timed)
    clock.advance(1)
    (attempt,) = claim(timed, hook)
    timed.record_attempt(attempt, AttemptResult(problem=WebhookProblem.GONE, status_code=410))
    ended_job(timed)
    enqueue(timed)
    found = deliveries(timed, hook)
    assert [(one.state, one.problem) for one in found] == [("FAILED", WebhookProblem.GONE)] * 2
    assert timed.webhooks("local", page_size=9).webhooks[0].disable_time == clock.now()
    with pytest.raises(FailedPrecondition, match="410 Gone"):
        timed.retry_webhook_delivery("local", found[0].delivery_id)


def test_a_retry_makes_an_ended_delivery_due_with_all_its_attempts(timed: Journal, clock: ManualClock) -> None:
    """Also one that was delivered. Attempts go on counting."""
    hook = register(timed, kinds=ENDED_ONLY)
    ended_job(timed)
    enqueue(timed)
    clock.advance(1)
    (attempt,) = claim(timed, hook, max_attempts=1)
    timed.record_attempt(attempt, AttemptResult(problem=WebhookProblem.STATUS, status_code=500))
    assert deliveries(timed, hook)[0].state == "FAILED"
    due = timed.retry_webhook_delivery("local", attempt.delivery_id)
    assert (due.state, due.next_attempt_time, due.end_time) == ("WAITING", clock.now(), None)
    (again,) = claim(timed, hook, max_attempts=1)
    assert (again.number, again.series_number) == (2, 1)
    for tenant, delivery_id in (("studio", attempt.delivery_id), ("local", "wd-0"), ("local", "\0")):
        with pytest.raises(NotFound):
            timed.retry_webhook_delivery(tenant, delivery_id)


@pytest.mark.parametrize("pause_s", [None, 3600.0])
def test_a_retry_during_an_attempt_is_not_lost_when_that_fails(
    timed: Journal, clock: ManualClock, pause_s: float | None
) -> None:
    """The delivery stays due, with all its attempts, even if the one that ran was the last."""
    hook = register(timed, kinds=ENDED_ONLY)
    ended_job(timed)
    enqueue(timed)
    clock.advance(1)
    (attempt,) = claim(timed, hook, max_attempts=1)
    timed.retry_webhook_delivery("local", attempt.delivery_id)
    result = AttemptResult(problem=WebhookProblem.STATUS, status_code=500, retry_after_s=pause_s)
    assert timed.record_attempt(attempt, result)
    (waiting,) = deliveries(timed, hook)
    assert (waiting.state, waiting.status_code, waiting.problem) == ("WAITING", 500, WebhookProblem.STATUS)
    (again,) = claim(timed, hook, max_attempts=1)
    assert (again.number, again.series_number) == (2, 1)


def test_webhooks_are_bounded_for_a_tenant_and_for_a_job(journal: Journal) -> None:
    """Each bound is its own."""
    job_id = ended_job(journal)
    for _ in range(3):
        register(journal)
    for _ in range(2):
        register(journal, job_id=job_id)
    for of_job, limit in (("", "webhooks"), (job_id, "webhooks_per_job")):
        with pytest.raises(ResourceExhausted) as refused:
            register(journal, job_id=of_job)
        assert refused.value.metadata["limit"] == limit
    register(journal, tenant="studio")
    for tenant, of_job in (("studio", job_id), ("local", "j-00000000000000000000000000"), ("local", "\0")):
        with pytest.raises(NotFound):
            register(journal, tenant=tenant, job_id=of_job)


def test_a_webhook_whose_deliveries_pile_up_gets_no_more_of_them(timed: Journal) -> None:
    """They fail at once and can be retried later; another webhook of the tenant is not affected."""
    full = register(timed, kinds=frozenset({WebhookEventKind.BOUNCE_READY}))
    work = claimed_job(timed)
    timed.append_events(work, [EventDraft(kind=EventKind.BOUNCE_READY)] * (MAX_WAITING_OF_WEBHOOK + 1))
    enqueue(timed)
    found = deliveries(timed, full)
    assert [one.state for one in found].count("WAITING") == MAX_WAITING_OF_WEBHOOK
    assert [one.problem for one in found if one.state == "FAILED"] == [WebhookProblem.TOO_MANY_WAITING]
    other = register(timed, kinds=ENDED_ONLY)
    timed.finish(work)
    enqueue(timed)
    assert [one.state for one in deliveries(timed, other)] == ["WAITING"]


def test_a_webhook_goes_with_its_job_and_deliveries_go_with_either(journal: Journal) -> None:
    """Nothing is left that names a job or a URL that was removed."""
    job_id = ended_job(journal)
    of_job, of_all = register(journal, job_id=job_id), register(journal)
    journal.start_delete("local", job_id, RENDER)
    with pytest.raises(NotFound):
        register(journal, job_id=job_id)
    journal.finish_delete("local", job_id)
    ended_job(journal)
    enqueue(journal)
    with pytest.raises(NotFound):
        deliveries(journal, of_job)
    assert len(deliveries(journal, of_all)) == 2
    with pytest.raises(NotFound):
        journal.delete_webhook("studio", of_all)
    journal.delete_webhook("local", of_all)
    assert journal.webhooks("local", page_size=9).webhooks == ()
    assert journal.due_webhooks(RENDER) == []


def test_ended_deliveries_are_removed_after_their_time(timed: Journal, clock: ManualClock) -> None:
    """In batches; those that wait stay."""
    hook = register(timed)
    for _ in range(2):
        ended_job(timed)
    enqueue(timed)
    clock.advance(1)
    for attempt in claim(timed, hook, 3):
        timed.record_attempt(attempt, AttemptResult(status_code=200))
    assert timed.prune_deliveries(RENDER, older_than_s=60, limit=2) == 0
    clock.advance(61)
    removed = [timed.prune_deliveries(RENDER, older_than_s=60, limit=2) for _ in range(3)]
    assert removed == [2, 1, 0]
    assert [one.state for one in deliveries(timed, hook)] == ["WAITING"]


def test_lists_have_pages(journal: Journal) -> None:
    """Each row on one page, newest first; tokens are for one list."""
    hooks = [register(journal) for _ in range(3)]
    ended_job(journal)
    enqueue(journal)
    token, seen = "", []
    for _ in range(3):
        page = journal.webhooks("local", page_size=1, page_token=token)
        seen += [one.webhook_id for one in page.webhooks]
        token = page.next_token
    assert (sorted(seen), token) == (sorted(hooks), "")
    first = journal.webhook_deliveries("local", hooks[0], page_size=1)
    second = journal.webhook_deliveries("local", hooks[0], page_size=1, page_token=first.next_token)
    kinds = [one.kind for one in (*first.deliveries, *second.deliveries)]
    assert (kinds, second.next_token) == ([WebhookEventKind.VERSION_ENDED, WebhookEventKind.BOUNCE_READY], "")


def test_a_repeated_request_returns_the_webhook_that_it_registered(journal: Journal) -> None:
    """With its secret, for as long as it exists; not that of another tenant, and not for other content."""
    limits = WebhookLimits(per_tenant=1, per_job=1)
    job_id = ended_job(journal)
    first = journal.create_webhook(new_webhook(request_id="r-1", secret="whsec_first"), limits)
    again = journal.create_webhook(new_webhook(request_id="r-1", secret="whsec_second"), limits)
    assert again == first
    assert again.secret == "whsec_first"
    other = journal.create_webhook(new_webhook(tenant="studio", request_id="r-1", secret="whsec_other"), limits)
    assert other.secret == "whsec_other"
    ends = frozenset({WebhookEventKind.VERSION_ENDED})
    for changed in (
        new_webhook(request_id="r-1", url="https://other.example/"),
        new_webhook(request_id="r-1", job_id=job_id),
        new_webhook(request_id="r-1", kinds=ends),
    ):
        with pytest.raises(AlreadyExists) as refused:
            journal.create_webhook(changed, limits)
        assert refused.value.reason == "REQUEST_ID_REUSED"
        assert refused.value.metadata == {"request_id": "r-1", "webhook_id": first.webhook.webhook_id}
    journal.delete_webhook("local", first.webhook.webhook_id)
    assert journal.create_webhook(new_webhook(request_id="r-1", kinds=ends), limits).webhook != first.webhook


def test_a_job_takes_the_request_ids_of_its_webhooks_with_it(journal: Journal) -> None:
    """So the id can be used again."""
    limits = WebhookLimits(per_tenant=9, per_job=9)
    job_id = ended_job(journal)
    journal.create_webhook(new_webhook(job_id=job_id, request_id="r-1"), limits)
    journal.start_delete("local", job_id, RENDER)
    journal.finish_delete("local", job_id)
    assert journal.create_webhook(new_webhook(request_id="r-1"), limits).webhook.job_id == ""
