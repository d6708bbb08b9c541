"""Personal data beside the audit chain: chained as salted digests, given back with the row, erasable without breaking the chain."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from servicekit.journal import OwningService
from servicekit.journal.audit_chain import FIRST_PREVIOUS, chained
from servicekit.journal.personal import PATHS, Personal, canonical_json, personal_values, whole_body, without
from tests.support.journal_rows import audited, claimed, new_job, open_journal
from tests.support.personal_data import Texts, audit_body

TEXTS = Texts("local")


def test_the_chained_body_has_digests_in_place_of_personal_values(tmp_path: Path) -> None:
    """Labels, licensee, prefix of the persona and file name; what else the licence has stays. The row gives them back."""
    with open_journal(tmp_path) as journal:
        journal.accept(new_job(), limit=10)
        row = audited(journal, claimed(journal), "bounce", audit_body(TEXTS), prompt=TEXTS.prompt)
        body = json.loads(row.body_json)
        assert not [text for text in TEXTS.all if text in row.body_json]
        assert body["licence"] == {"tier": "sync", "terms": "", "covers": "bounce"}
        assert set(body["personalSha256"]) == set(PATHS)
        assert audit_body(TEXTS).items() <= row.body().items()
        assert journal.verify_chain("local").intact


def test_a_body_without_personal_values_is_chained_as_it_is() -> None:
    """Empty labels and an empty licensee are none."""
    body = {"labels": {}, "licence": {"licensee": "", "tier": "sync"}, "plan": {"seed": 7}}
    assert personal_values(body) == {}
    assert without(body, {}) == body
    assert whole_body(canonical_json(body), {}) == body


def test_the_digest_is_that_of_salt_and_value() -> None:
    """So that whoever has both can prove the value, and without the salt nobody can confirm a guess."""
    personal = Personal.of({"labels": {"b": "2", "a": "1"}})
    assert personal is not None
    assert Personal.parse(personal.json()) == personal
    other = Personal.of(personal.values)
    assert other is not None
    assert other.digests() != personal.digests()
    zeros = Personal(bytes(32), {"labels": {"b": "2", "a": "1"}, "licence.licensee": "Zo\u00eb"})
    assert zeros.digests() == {
        "labels": hashlib.sha256(bytes(32) + b'{"a":"1","b":"2"}').hexdigest(),
        "licence.licensee": hashlib.sha256(bytes(32) + b'"Zo\xc3\xab"').hexdigest(),
    }


def test_changed_personal_data_breaks_the_chain_and_erased_data_does_not(tmp_path: Path) -> None:
    """The trigger refuses a change; without it, verification finds it."""
    with open_journal(tmp_path) as journal:
        journal.accept(new_job(), limit=10)
        claim = claimed(journal)
        row = audited(journal, claim, "bounce", audit_body(TEXTS), prompt=TEXTS.prompt)
        journal.fail(claim, {"code": 13})
        forged = Personal.of({**row.personal, "licence.licensee": "another"})
        assert forged is not None
        with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as connection:
            connection.execute("DROP TRIGGER audit_rows_keep")
            stored = connection.execute("SELECT personal FROM audit_rows").fetchone()
            connection.execute("UPDATE audit_rows SET personal = ?", (forged.json(),))
            connection.commit()
            assert journal.verify_chain("local").detail == "personal data does not match its chained digests"
            connection.execute("UPDATE audit_rows SET personal = ?", stored)
            connection.commit()
        assert journal.verify_chain("local").intact
        journal.start_erase("local", claim.job.job_id, OwningService.RENDER)
        assert journal.verify_chain("local").intact
        (erased,) = journal.audit_rows("local").rows
        assert (erased.prompt, erased.personal, erased.digest) == (None, {}, row.digest)
        assert erased.body()["labels"] == {}
        assert erased.body()["licence"]["licensee"] == ""


def test_an_erased_prompt_leaves_the_other_texts_verifiable(tmp_path: Path) -> None:
    """They have a salt of their own."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=10).job.job_id
        claim = claimed(journal)
        audited(journal, claim, "bounce", audit_body(TEXTS), prompt=TEXTS.prompt)
        journal.fail(claim, {"code": 13})
        journal.erase_prompt("local", job_id)
        (row,) = journal.audit_rows("local").rows
        assert row.prompt is None
        assert row.body()["licence"]["licensee"] == TEXTS.licensee
        assert journal.verify_chain("local").intact


def test_a_row_of_an_earlier_release_is_read_verified_and_counted_as_not_erasable(tmp_path: Path) -> None:
    """Its chained body has the values."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=10).job.job_id
        journal.cancel("local", job_id)
        write_earlier_row(tmp_path, job_id)
        (row,) = journal.audit_rows("local").rows
        assert row.body()["licence"]["licensee"] == TEXTS.licensee
        assert journal.verify_chain("local").intact
        journal.start_erase("local", job_id, OwningService.RENDER)
        remaining = journal.count_remaining("local", job_id)
        assert remaining["EARLIER_AUDIT_ROWS"] == 1


def write_earlier_row(folder: Path, job_id: str) -> None:
    """The audit row of a job as a release before the column ``personal`` wrote it."""
    time_us = 1_800_000_000_000_000
    facts = {"tenant": "local", "sequence": 1, "jobId": job_id, "version": 1, "kind": "bounce", "promptSha256": None}
    body = canonical_json({**audit_body(TEXTS), **facts, "createdAt": "2027-01-15T08:00:00.000000Z"})
    values = ("local", 1, job_id, 1, "bounce", body, FIRST_PREVIOUS, chained(FIRST_PREVIOUS, body), time_us)
    names = "tenant, sequence, job_id, version, kind, body_json, previous_digest, digest, create_us"
    with closing(sqlite3.connect(folder / "journal.sqlite3")) as connection:
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO audit_rows ({names}) VALUES ({marks})", values)  # noqa: S608
        connection.commit()
