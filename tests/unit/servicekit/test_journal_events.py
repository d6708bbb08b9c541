"""Events: one sequence per job without gaps and one ordered feed, also after kill -9."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest

from servicekit.errors import InvalidToken
from servicekit.journal import EventDraft, EventKind, JobState, OwningService
from tests.support.journal_processes import accept_and_append, append_forever, started
from tests.support.journal_rows import new_job, open_journal, url_of

MANY = 100_000


def test_a_kill_between_commits_leaves_no_gap(tmp_path: Path) -> None:
    """Every event committed by a killed process is there; numbers have no gaps, and later events continue them."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
    for _ in range(2):
        with started(append_forever, url_of(tmp_path)) as writer:
            seen = [writer.receive() for _ in range(12)]
            writer.kill()
        with open_journal(tmp_path) as journal:
            events = journal.events_after(job_id, 0, MANY).events
            assert [event.sequence for event in events] == list(range(1, len(events) + 1))
            assert max(event.steps_done for event in events) >= seen[-1]
            assert journal.job("local", job_id).last_sequence == len(events)
    with open_journal(tmp_path) as journal:
        claim = journal.claim(OwningService.RENDER, lease_s=10)
        assert claim is not None
        assert claim.attempt == 3
        journal.finish(claim)
        newest = journal.events_after(job_id, len(events), MANY).events
        assert [(event.sequence - len(events), event.state) for event in newest] == [
            (1, JobState.RUNNING),
            (2, JobState.DONE),
        ]


def test_a_feed_reader_misses_no_event_of_racing_writers(tmp_path: Path) -> None:
    """Reading from the last position on while two processes write returns every event once, in order."""
    with (
        open_journal(tmp_path) as journal,
        started(accept_and_append, url_of(tmp_path), 8) as one,
        started(accept_and_append, url_of(tmp_path), 8) as two,
    ):
        position, read = 0, []
        while True:
            running = one.process.is_alive() or two.process.is_alive()
            page = journal.feed_after(OwningService.SEPARATION, "local", position, 7)
            read += [event.position for event in page.events]
            position = page.as_of_position
            if not page.events and not running:
                break
        assert one.receive() == two.receive() == "done"
        everything = journal.feed_after(OwningService.SEPARATION, None, 0, MANY).events
        assert read == [event.position for event in everything]
        assert len(read) == 2 * 8 * 6


def test_a_page_has_the_position_up_to_which_it_is_complete(tmp_path: Path) -> None:
    """For a full page that is its last event, otherwise the newest event of all jobs."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        journal.cancel("local", job_id)
        journal.accept(new_job(), limit=MANY)
        first = journal.events_after(job_id, 0, 2)
        assert first.as_of_position == first.events[-1].position
        assert journal.events_after(job_id, 2, 2).as_of_position == journal.feed_head()


def test_listeners_get_the_events_of_each_commit(tmp_path: Path) -> None:
    """After the commit, in the committing thread, until the subscription ends."""
    received: list[tuple[str, EventKind, str]] = []
    with open_journal(tmp_path) as journal:

        def listener(events: object) -> None:
            for event in events:  # type: ignore[attr-defined]
                assert journal.events_after(event.job_id, event.sequence - 1, 1).events[0] == event
                received.append((event.job_id, event.kind, threading.current_thread().name))

        with journal.subscribe(listener):
            job_id = journal.accept(new_job(), limit=MANY).job.job_id
        journal.cancel("local", job_id)
    assert received == [(job_id, EventKind.STATE, threading.current_thread().name)]


def test_a_cursor_is_valid_only_for_its_tenant(tmp_path: Path) -> None:
    """It survives a restart; another tenant's cursor and a changed one are refused."""
    with open_journal(tmp_path) as journal:
        cursor = journal.cursor("local", 12)
    with open_journal(tmp_path) as journal:
        assert journal.position("local", cursor) == 12
        for tenant, text in (("other", cursor), ("local", cursor[:-3] + "AAA"), ("local", "12"), ("local", "")):
            with pytest.raises(InvalidToken):
                journal.position(tenant, text)


def test_a_cursor_does_not_show_how_many_events_other_tenants_have(tmp_path: Path) -> None:
    """Its bytes after the digest are not the position. See also test_journal_tokens.py."""
    with open_journal(tmp_path) as journal:
        raw = base64.urlsafe_b64decode(journal.cursor("local", 1234567) + "==")
        assert raw[16:] != b"1234567"


def test_events_of_one_commit_have_consecutive_numbers(tmp_path: Path) -> None:
    """Events appended together are numbered in their order."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        claim = journal.claim(OwningService.RENDER, lease_s=10)
        assert claim is not None
        journal.append_events(claim, [EventDraft(kind=EventKind.PROGRESS, steps_done=done) for done in range(5)])
        events = journal.events_after(job_id, 2, MANY).events
        assert [(event.sequence, event.steps_done) for event in events] == [(3 + done, done) for done in range(5)]
