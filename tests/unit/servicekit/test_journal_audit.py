"""The audit chain: append-only, verifiable by anyone, with prompts that can be erased."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from servicekit.errors import FailedPrecondition, InvalidToken, NotFound
from servicekit.journal import AuditRow, ChainHead, Claim, Erasure, Journal, canonical_json
from tests.support.journal_rows import PROMPT, audited, claimed, new_job, open_journal, request

MANY = 1000


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path) as opened:
        yield opened


def claim_new(journal: Journal, tenant: str = "local") -> Claim:
    """A claim on a new job."""
    journal.accept(new_job(request(tenant=tenant)), limit=MANY)
    return claimed(journal)


def write(journal: Journal, claim: Claim, kind: str = "bounce", **facts: object) -> AuditRow:
    """An audit row with a prompt."""
    return audited(journal, claim, kind, {"lufs": -14.25, "plan": {"seed": 7}, **facts}, prompt=PROMPT)


def tamper(folder: Path, *statements: str) -> None:
    """Change the database directly, after removing the triggers, as an attacker would."""
    raw = sqlite3.connect(folder / "journal.sqlite3")
    with raw:
        for trigger in ("audit_rows_keep", "audit_rows_stay"):
            raw.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            raw.execute(statement)
    raw.close()


def test_anyone_can_check_the_chain_with_sha256_alone(journal: Journal) -> None:
    """Each digest is SHA-256 over the previous digest and the body, the first previous one being zeros."""
    for _ in range(3):
        write(journal, claim_new(journal))
    rows = journal.audit_rows("local").rows
    previous = "0" * 64
    for row in rows:
        assert row.previous_digest == previous
        assert hashlib.sha256((previous + row.body_json).encode()).hexdigest() == row.digest
        body = json.loads(row.body_json)
        assert (body["jobId"], body["sequence"], body["tenant"]) == (row.job_id, row.sequence, "local")
        assert canonical_json(body) == row.body_json
        assert PROMPT not in row.body_json
        previous = row.digest
    report = journal.verify_chain("local")
    assert (report.intact, report.head) == (True, ChainHead(3, previous))


def test_each_tenant_has_a_chain_of_its_own(journal: Journal) -> None:
    """Other tenants' rows are neither listed nor chained."""
    write(journal, claim_new(journal))
    claim = claim_new(journal, tenant="other")
    write(journal, claim)
    assert [row.job_id for row in journal.audit_rows("other").rows] == [claim.version.job_id]
    assert [row.sequence for row in journal.audit_rows("other").rows] == [1]
    assert journal.verify_chain("nobody").head == ChainHead(0, "0" * 64)


def test_a_retry_after_a_crash_writes_no_second_row(journal: Journal) -> None:
    """The same job, version and kind returns the existing row, whatever the retry measured."""
    claim = claim_new(journal)
    first = write(journal, claim)
    assert write(journal, claim, lufs=-13.0) == first
    assert write(journal, claim, kind="stems").sequence == 2


@pytest.mark.parametrize(
    ("statement", "sequence", "detail"),
    [
        (
            "UPDATE audit_rows SET body_json = replace(body_json, '-14.25', '-14.26') WHERE sequence = 2",
            2,
            "digest does not match",
        ),
        ("UPDATE audit_rows SET job_id = 'job-x' WHERE sequence = 2", 2, "column differs"),
        ("UPDATE audit_rows SET create_us = create_us + 1 WHERE sequence = 3", 3, "column differs"),
        ("UPDATE audit_rows SET prompt = 'another' WHERE sequence = 1", 1, "prompt does not match"),
        ("UPDATE audit_rows SET prompt = 'another', salt = NULL WHERE sequence = 1", 1, "prompt does not match"),
        ("DELETE FROM audit_rows WHERE sequence = 2", 2, "missing"),
        ("DELETE FROM audit_rows WHERE sequence = 4", 4, "ends before the exported head"),
    ],
)
def test_any_change_is_found(tmp_path: Path, journal: Journal, statement: str, sequence: int, detail: str) -> None:
    """A changed body, column or prompt, a deleted row and a truncated chain are found at their row."""
    for _ in range(4):
        write(journal, claim_new(journal))
    head = journal.verify_chain("local").head
    tamper(tmp_path, statement)
    report = journal.verify_chain("local", head)
    assert not report.intact
    assert report.broken_sequence == sequence
    assert detail in report.detail


def test_a_chain_is_verified_in_batches(journal: Journal) -> None:
    """However long it is, a few hundred rows are in memory at a time, and no statement reads them all."""
    for _ in range(3):
        write(journal, claim_new(journal))
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM audit_rows" in statement:
            statements.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert journal.verify_chain("local").intact
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert statements
    assert all(" LIMIT " in statement for statement in statements), statements


def test_a_rewritten_chain_does_not_contain_the_exported_head(tmp_path: Path, journal: Journal) -> None:
    """A forged row with all later digests recomputed is found with a head that was exported before."""
    for _ in range(3):
        write(journal, claim_new(journal))
    head = journal.verify_chain("local").head
    statements, previous = [], "0" * 64
    for row in journal.audit_rows("local").rows:
        body = row.body_json.replace("-14.25", "-9.0")
        digest = hashlib.sha256((previous + body).encode()).hexdigest()
        values = f"body_json = '{body}', previous_digest = '{previous}', digest = '{digest}'"
        statements.append(f"UPDATE audit_rows SET {values} WHERE sequence = {row.sequence}")  # noqa: S608  own values
        previous = digest
    tamper(tmp_path, *statements)
    assert journal.verify_chain("local").intact, "forged well"
    report = journal.verify_chain("local", head)
    assert (report.intact, report.broken_sequence) == (False, 3)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_rows SET body_json = '{}'",
        "UPDATE audit_rows SET prompt = 'another'",
        "UPDATE audit_rows SET personal = 'another'",
        "UPDATE audit_rows SET salt = 'another', prompt = NULL",
        "UPDATE audit_rows SET digest = 'x', prompt = NULL, salt = NULL",
        "DELETE FROM audit_rows",
    ],
)
def test_the_database_itself_refuses_changes(tmp_path: Path, journal: Journal, statement: str) -> None:
    """Triggers refuse changes that do not go through the journal."""
    write(journal, claim_new(journal))
    raw = sqlite3.connect(tmp_path / "journal.sqlite3")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    raw.close()


def test_an_erased_prompt_is_nowhere_and_the_chain_stays_intact(tmp_path: Path, journal: Journal) -> None:
    """No file of the journal contains the prompt any more, brief and plan have none, and the chain verifies."""
    job_id = journal.accept(new_job(request("r1")), limit=MANY).job.job_id
    claim = claimed(journal)
    audited(journal, claim, "bounce", {}, prompt=PROMPT)
    with pytest.raises(FailedPrecondition, match="needs its prompt"):
        journal.erase_prompt("local", job_id)
    journal.finish(claim)
    with pytest.raises(NotFound):
        journal.erase_prompt("other", job_id)
    assert journal.audit_rows("local").rows[0].prompt == PROMPT
    assert journal.erase_prompt("local", job_id) == Erasure(audit_rows=1, purge_pending=False)
    version = journal.job("local", job_id).versions[0]
    assert (version.brief["prompt"], version.plan["text"]["prompt"], version.plan["seed"]) == ("", "", 7)
    assert journal.audit_rows("local").rows[0].prompt is None
    assert journal.verify_chain("local").intact
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(files) >= 2
    assert not [path for path in files if PROMPT.encode() in path.read_bytes()]
    assert not journal.accept(new_job(request("r1")), limit=MANY).created


@pytest.mark.parametrize(
    "body", [{"prompt": "x"}, {"plan": [{"prompt": "x"}]}, {"sequence": 4}, {"lufs": float("nan")}]
)
def test_an_invalid_body_is_refused(journal: Journal, body: dict[str, object]) -> None:
    """A prompt in the body could never be erased; the journal's own keys and NaN are refused too."""
    claim = claim_new(journal)
    with pytest.raises(ValueError, match=r"prompt|journal writes|JSON compliant"):
        audited(journal, claim, "bounce", body)
    assert not journal.audit_rows("local").rows


def test_pages_of_rows_are_oldest_first(journal: Journal) -> None:
    """Paging returns every row once; a page token for another query is refused."""
    claims = [claim_new(journal), claim_new(journal)]
    for number in range(5):
        write(journal, claims[number % 2], kind=f"kind-{number}")
    second_job = claims[1].version.job_id
    found, token = [], ""
    while True:
        page = journal.audit_rows("local", page_size=2, page_token=token)
        found += [row.sequence for row in page.rows]
        token = page.next_token
        if not token:
            break
        with pytest.raises(InvalidToken):
            journal.audit_rows("local", second_job, page_token=token)
    assert found == [1, 2, 3, 4, 5]
    assert [row.sequence for row in journal.audit_rows("local", second_job).rows] == [2, 4]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON)
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: object) -> None:
    """It parses to the same value, and writing that value again gives the same text."""
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


def test_canonical_json_sorts_keys_by_utf16() -> None:
    """RFC 8785 section 3.2.3: a supplementary character sorts by its surrogates, before U+FB33."""
    assert canonical_json({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "b": 4, "a": [1.0, "ü"]}) == (
        '{"a":[1.0,"ü"],"b":4,"€":3,"\U0001f600":2,"\ufb33":1}'
    )
