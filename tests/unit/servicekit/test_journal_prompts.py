"""Lists of jobs by a text in their prompts, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from servicekit.errors import InvalidToken
from servicekit.journal import JobFilter, JobState, Journal, OwningService, listing
from tests.support.journal_rows import claimed, new_job, new_version, request
from tests.support.manual_clock import ManualClock

MANY = 1000


@pytest.fixture
def clock() -> ManualClock:
    """A clock that only moves when it is advanced."""
    return ManualClock(datetime(2026, 3, 1, 12, 0, tzinfo=UTC))


@pytest.fixture
def journal(any_database: str, clock: ManualClock) -> Iterator[Journal]:
    """An open journal on each kind of database."""
    with Journal.open(any_database, clock=clock) as opened:
        yield opened


def take(journal: Journal, prompt: str, *, tenant: str = "local", persona_id: str = "nova") -> str:
    """A new job with this prompt."""
    asked = new_job(request(tenant=tenant), brief={"prompt": prompt}, persona_id=persona_id, labels={"a": "b"})
    return journal.accept(asked, limit=MANY).job.job_id


def found(journal: Journal, text: str, *, tenant: str = "local", page_size: int = 50, **others: object) -> list[str]:
    """The ids that all pages list, newest first."""
    wanted, token, ids = JobFilter(prompt_contains=text, **others), "", []  # type: ignore[arg-type]
    while True:
        page = journal.jobs(tenant, wanted, page_size=page_size, page_token=token)
        assert len(page.jobs) <= page_size
        ids += [job.job_id for job in page.jobs]
        token = page.next_token
        if not token:
            return ids


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Warm Tape PIANO", "tape piano"),
        ("ÄRGER in Öland", "ärger in ö"),
        ("eine straße", "STRASSE"),
        ("ДОЖДЬ в Москве", "дождь В"),
        ("ΟΔΟΣ", "οδος"),
        ('a "quoted" \\ 100% under_score', '"QUOTED" \\ 100% under_'),
        ("💿 vinyl", "💿 V"),
    ],
)
def test_a_text_is_found_in_any_case(journal: Journal, prompt: str, text: str) -> None:
    """Of any alphabet, and with characters that JSON escapes."""
    job_id = take(journal, prompt)
    take(journal, "something else")
    assert found(journal, text) == [job_id]


@pytest.mark.parametrize("text", ["%", "_", "w%d", "w__d", "*", ".", "w.*d", "\\", '"', "prompt", "personaId"])
def test_a_text_is_literal(journal: Journal, text: str) -> None:
    """No character stands for others, and only the prompt is searched, not what is stored beside it."""
    take(journal, "weird")
    assert found(journal, text) == []


def test_other_filters_hold_too(journal: Journal) -> None:
    """Tenant, persona, labels, state and service; a re-render's own prompt does not count."""
    mine = take(journal, "slow waltz")
    take(journal, "slow waltz", tenant="other")
    other_persona = take(journal, "slow waltz", persona_id="ember")
    take(journal, "fast waltz")
    assert sorted(found(journal, "SLOW")) == sorted([mine, other_persona])
    assert found(journal, "slow", persona_id="nova", labels={"a": "b"}) == [mine]
    assert found(journal, "slow", labels={"a": "c"}) == []
    assert found(journal, "slow", states=frozenset({JobState.DONE})) == []
    assert found(journal, "slow", owner=OwningService.SEPARATION) == []
    journal.finish(claimed(journal))
    journal.accept_version(new_version(mine, brief={"prompt": "polka"}), limit=MANY)
    assert found(journal, "polka") == []


def test_an_erased_prompt_contains_nothing(journal: Journal) -> None:
    """Nor does that of an upload."""
    job_id = take(journal, "slow waltz")
    journal.accept(new_job(owner=OwningService.SEPARATION, brief={"prompt": ""}), limit=MANY)
    journal.finish(claimed(journal))
    assert found(journal, "waltz") == [job_id]
    journal.erase_prompt("local", job_id)
    assert found(journal, "waltz") == []
    assert found(journal, " ") == []


@pytest.mark.parametrize("page_size", [1, 2, 3, 50])
def test_pages_have_every_match_once(
    journal: Journal, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, page_size: int
) -> None:
    """Also where prompts are read in several parts, where jobs were accepted at once, and where a page looks at few jobs."""
    monkeypatch.setattr(listing, "_PROMPTS", 2)
    matches = []
    for number in range(11):
        clock.advance(number % 2)
        job_id = take(journal, "slow waltz" if number in {0, 1, 4, 5, 9} else "march")
        matches += [job_id] if number in {0, 1, 4, 5, 9} else []
    newest_first = [job.job_id for job in journal.jobs("local", JobFilter()).jobs if job.job_id in matches]
    for examined in (2000, 5):
        monkeypatch.setattr(listing, "EXAMINED_JOBS", examined)
        assert found(journal, "Waltz", page_size=page_size) == newest_first


def test_a_page_token_is_bound_to_the_text(journal: Journal) -> None:
    """Neither another text nor none can be asked for with it."""
    for _ in range(3):
        take(journal, "slow waltz")
    token = journal.jobs("local", JobFilter(prompt_contains="waltz"), page_size=1).next_token
    for text in ("Waltz", "slow", ""):
        with pytest.raises(InvalidToken):
            journal.jobs("local", JobFilter(prompt_contains=text), page_token=token)
    assert len(journal.jobs("local", JobFilter(prompt_contains="waltz"), page_token=token).jobs) == 2
