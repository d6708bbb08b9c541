"""Whose version is next: fair between tenants, by priority within a tenant, and queue positions that say so."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, takewhile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servicekit.clock import SystemClock
from servicekit.errors import ResourceExhausted
from servicekit.journal import Claim, Journal, OwningService, Version
from tests.support.journal_rows import claimed, new_job, open_journal, request

MANY = 1000
TENANTS = ("ada", "bob", "cleo", "dan")


@pytest.fixture
def journal(any_database: str) -> Iterator[Journal]:
    """An empty journal."""
    with Journal.open(any_database, clock=SystemClock()) as opened:
        yield opened


def accept(
    journal: Journal, tenant: str, *, seconds: float = 8.0, priority: int = 0, limit: int = MANY
) -> tuple[str, str]:
    """Tenant and job id of a new take."""
    new = replace(new_job(request(tenant=tenant)), audio_seconds=seconds, priority=priority)
    return tenant, journal.accept(new, limit=limit).job.job_id


def of(claim: Claim) -> tuple[str, str]:
    """Tenant and job id of a claimed take."""
    return claim.job.tenant, claim.job.job_id


def claim_all(journal: Journal) -> list[tuple[str, str]]:
    """Claim and finish every waiting take; returns them in that order."""
    found = []
    while (claim := journal.claim(OwningService.RENDER, lease_s=30)) is not None:
        journal.finish(claim)
        found.append(of(claim))
    return found


def version(journal: Journal, take: tuple[str, str]) -> Version:
    """The take's version 1."""
    return journal.job(*take).versions[0]


def test_a_tenant_with_500_jobs_does_not_delay_another_ones_first(journal: Journal) -> None:
    """It is the next to be claimed, its queue position says so, and from then on the two alternate."""
    for _ in range(500):
        accept(journal, "ada")
    for _ in range(3):
        journal.finish(claimed(journal))
    takes = [accept(journal, "bob") for _ in range(3)]
    assert [version(journal, take).queue_position for take in takes] == [0, 2, 4]
    assert of(claimed(journal)) == takes[0]
    assert [claimed(journal).job.tenant for _ in range(5)] == ["ada", "bob", "ada", "bob", "ada"]


def test_seconds_of_audio_count_and_not_jobs(journal: Journal) -> None:
    """Beside takes of 60 s, a tenant's takes of 20 s are claimed three at a time."""
    for _ in range(3):
        accept(journal, "ada", seconds=60)
    for _ in range(9):
        accept(journal, "bob", seconds=20)
    tenants = [tenant for tenant, _ in claim_all(journal)]
    assert tenants == ["ada", *3 * ["bob"], "ada", *3 * ["bob"], "ada", *3 * ["bob"]]


def test_very_short_takes_count_as_a_second(journal: Journal) -> None:
    """A tenant cannot have many of them worked on in one turn."""
    for _ in range(6):
        accept(journal, "ada", seconds=0.0)
    accept(journal, "bob", seconds=1.0)
    accept(journal, "bob", seconds=1.0)
    assert [tenant for tenant, _ in claim_all(journal)] == [*2 * ["ada", "bob"], *4 * ["ada"]]


def test_a_tenant_gains_nothing_from_having_been_idle(journal: Journal) -> None:
    """After an hour of work for others alone, it takes turns with them as if it had just come."""
    for _ in range(3):
        accept(journal, "ada", seconds=1200)
    claim_all(journal)
    for tenant in ("bob", "ada"):
        for _ in range(4):
            accept(journal, tenant, seconds=600)
    assert [tenant for tenant, _ in claim_all(journal)][:4] == [
        "bob",
        "bob",
        "bob",
        "ada",
    ]  # ada's last take counts 1200


def test_the_highest_priority_of_a_tenant_is_first(journal: Journal) -> None:
    """Among equal ones the longest waiting; another tenant's turn does not depend on priorities."""
    plain, low, other = accept(journal, "ada"), accept(journal, "ada", priority=-100), accept(journal, "bob")
    urgent, urgent_too = (accept(journal, "ada", priority=100) for _ in range(2))
    takes = [urgent, other, urgent_too, plain, low]
    assert [version(journal, take).queue_position for take in takes] == [0, 1, 2, 3, 4]
    assert version(journal, urgent).priority == 100
    assert claim_all(journal) == takes


def test_a_released_version_is_next_again(journal: Journal) -> None:
    """What was not done is not counted: its tenant loses no turn."""
    takes = [accept(journal, tenant) for tenant in ("ada", "bob", "ada", "bob")]
    claim = claimed(journal)
    assert of(claim) == takes[0]
    journal.finish(claimed(journal))
    journal.release(claim)
    assert claim_all(journal) == [takes[0], takes[2], takes[3]]


def test_an_abandoned_version_is_claimed_before_all_others(journal: Journal) -> None:
    """Its turn was counted when it was claimed first."""
    takes = [accept(journal, tenant) for tenant in ("ada", "bob", "ada")]
    claim = claimed(journal)
    journal.drop(claim)
    assert claim_all(journal) == takes


def test_a_full_queue_takes_the_first_version_of_another_tenant(journal: Journal) -> None:
    """Nobody can fill it for the others."""
    for _ in range(3):
        accept(journal, "ada", limit=3)
    with pytest.raises(ResourceExhausted, match="the queue is full: at most 3 versions may wait, 3 do"):
        accept(journal, "ada", limit=3)
    accept(journal, "bob", limit=3)
    with pytest.raises(ResourceExhausted, match="the queue is full: at most 3 versions may wait, 4 do"):
        accept(journal, "bob", limit=3)


def test_a_queue_position_counts_the_versions_of_all_tenants_and_names_none(journal: Journal) -> None:
    """The job that a tenant reads has nothing of another tenant's jobs but their number ahead of it."""
    others = [accept(journal, tenant) for tenant in TENANTS[1:]]
    own = accept(journal, "ada")
    job = journal.job(*own)
    assert job.versions[0].queue_position == 3
    assert not [text for take in others for text in take if text in repr(job)]


@dataclass(frozen=True)
class Claimed:
    """A claimed take, and the tenants that had waiting takes when it was claimed, its own among them."""

    tenant: str
    seconds: float
    waiting: frozenset[str]


ARRIVALS = st.tuples(st.sampled_from(TENANTS), st.sampled_from([2.0, 8.0, 30.0, 180.0]), st.integers(-1, 1))
STEPS = st.lists(st.one_of(ARRIVALS, st.none()), min_size=8, max_size=40)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_no_tenant_waits_for_more_than_its_share(steps: Sequence[tuple[str, float, int] | None]) -> None:
    """While two tenants wait, the audio claimed for each differs by no more than the longest take of each.

    A step is a new take or, for None, a claim. The takes that wait at the end are claimed in the order of their queue positions.
    """
    with tempfile.TemporaryDirectory() as folder, open_journal(Path(folder)) as journal:
        waiting: dict[str, list[tuple[str, str]]] = defaultdict(list)
        claims: list[Claimed] = []
        for step in steps:
            if step is not None:
                tenant, seconds, priority = step
                waiting[tenant].append(accept(journal, tenant, seconds=seconds, priority=priority))
            elif any(waiting.values()):
                claims.append(claim_one(journal, waiting))
        left = [take for takes in waiting.values() for take in takes]
        left.sort(key=lambda take: version(journal, take).queue_position or 0)
        order = []
        while any(waiting.values()):
            before = [take for takes in waiting.values() for take in takes]
            claims.append(claim_one(journal, waiting))
            order += [take for take in before if take not in waiting[take[0]]]
        assert order == left
    for one, other in combinations(TENANTS, 2):
        check_shares(claims, one, other)


def claim_one(journal: Journal, waiting: dict[str, list[tuple[str, str]]]) -> Claimed:
    """Claim and finish the next take, and remove it from ``waiting``."""
    who = frozenset(tenant for tenant, takes in waiting.items() if takes)
    claim = claimed(journal)
    journal.finish(claim)
    waiting[claim.job.tenant].remove(of(claim))
    return Claimed(claim.job.tenant, claim.version.audio_seconds, who)


def check_shares(claims: Sequence[Claimed], one: str, other: str) -> None:
    """In each stretch of claims during which both tenants waited, and in each part of it."""
    longest_s = sum(max((c.seconds for c in claims if c.tenant == tenant), default=0.0) for tenant in (one, other))
    for start in range(len(claims)):
        ahead_s = 0.0
        for claim in takewhile(lambda claim: {one, other} <= claim.waiting, claims[start:]):
            ahead_s += {one: claim.seconds, other: -claim.seconds}.get(claim.tenant, 0.0)
            assert abs(ahead_s) <= longest_s
