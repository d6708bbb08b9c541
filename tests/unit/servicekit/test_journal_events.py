"""Events: one sequence a job without gaps, one feed that is never reordered, both through kill -9."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from servicekit.errors import InvalidToken
from servicekit.journal import EventDraft, EventKind, JobState, Owner
from tests.support.journal_processes import accept_and_append, append_forever, started
from tests.support.journal_rows import new_job, open_journal, url_of

MANY = 100_000


def test_a_kill_between_commits_leaves_no_gap(tmp_path: Path) -> None:
    """Every event that a killed process saw committed is there, numbers run from 1 without gaps, and the next go on."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
    for _ in range(2):
        with started(append_forever, url_of(tmp_path)) as writer:
            seen = [writer.hear() for _ in range(12)]
            writer.kill()
        with open_journal(tmp_path) as journal:
            events = journal.events_after(job_id, 0, MANY).events
            assert [event.sequence for event in events] == list(range(1, len(events) + 1))
            assert max(event.steps_done for event in events) >= seen[-1]
            assert journal.job("local", job_id).last_sequence == len(events)
    with open_journal(tmp_path) as journal:
        claim = journal.claim(Owner.RENDER, lease_s=10)
        assert claim is not None
        assert claim.attempt == 3
        journal.finish(claim)
        newest = journal.events_after(job_id, len(events), MANY).events
        assert [(event.sequence - len(events), event.state) for event in newest] == [
            (1, JobState.RUNNING),
            (2, JobState.DONE),
        ]


def test_a_reader_of_the_feed_misses_nothing_that_racing_writers_commit(tmp_path: Path) -> None:
    """Reading on from the last position while two processes write gives every event once, in the order of its position."""
    with (
        open_journal(tmp_path) as journal,
        started(accept_and_append, url_of(tmp_path), 8) as one,
        started(accept_and_append, url_of(tmp_path), 8) as two,
    ):
        position, read = 0, []
        while True:
            running = one.process.is_alive() or two.process.is_alive()
            page = journal.feed_after(Owner.SEPARATION, "local", position, 7)
            read += [event.position for event in page.events]
            position = page.as_of_position
            if not page.events and not running:
                break
        assert one.hear() == two.hear() == "done"
        everything = journal.feed_after(Owner.SEPARATION, None, 0, MANY).events
        assert read == [event.position for event in everything]
        assert len(read) == 2 * 8 * 6


def test_a_page_says_up_to_where_it_left_nothing_out(tmp_path: Path) -> None:
    """A full page ends with its last event, another with the newest of all, also those of others."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        journal.cancel("local", job_id)
        journal.accept(new_job(), limit=MANY)
        first = journal.events_after(job_id, 0, 2)
        assert first.as_of_position == first.events[-1].position
        assert journal.events_after(job_id, 2, 2).as_of_position == journal.feed_head()


def test_listeners_hear_each_commit_of_their_process(tmp_path: Path) -> None:
    """They are told of the numbered events after the commit, in the thread that made it, until they leave."""
    heard: list[tuple[str, EventKind, str]] = []
    with open_journal(tmp_path) as journal:

        def listen(events: object) -> None:
            for event in events:  # type: ignore[attr-defined]
                assert journal.events_after(event.job_id, event.sequence - 1, 1).events[0] == event
                heard.append((event.job_id, event.kind, threading.current_thread().name))

        with journal.listening(listen):
            job_id = journal.accept(new_job(), limit=MANY).job.job_id
        journal.cancel("local", job_id)
    assert heard == [(job_id, EventKind.STATE, threading.current_thread().name)]


def test_a_cursor_is_refused_unless_it_was_made_for_the_caller(tmp_path: Path) -> None:
    """It survives a restart, and neither another tenant's nor a changed one is taken."""
    with open_journal(tmp_path) as journal:
        cursor = journal.cursor("local", 12)
    with open_journal(tmp_path) as journal:
        assert journal.position("local", cursor) == 12
        for tenant, text in (("other", cursor), ("local", cursor[:-3] + "AAA"), ("local", "12"), ("local", "")):
            with pytest.raises(InvalidToken):
                journal.position(tenant, text)


def test_an_event_of_several_in_one_commit_has_its_own_number(tmp_path: Path) -> None:
    """Events appended together are numbered in their order."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        claim = journal.claim(Owner.RENDER, lease_s=10)
        assert claim is not None
        journal.append(claim, [EventDraft(kind=EventKind.PROGRESS, steps_done=done) for done in range(5)])
        events = journal.events_after(job_id, 2, MANY).events
        assert [(event.sequence, event.steps_done) for event in events] == [(3 + done, done) for done in range(5)]
