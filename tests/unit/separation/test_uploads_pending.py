"""Uploads whose outcome is unknown for a while: none of their files stays."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from separation_service.uploads.pending import PendingUploads
from servicekit.clock import SystemClock
from servicekit.errors import Unavailable
from servicekit.ids import new_job_id
from servicekit.journal import Journal
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from tests.support.journal_rows import url_of


class SilentJournal(Journal):
    """A journal that does not answer for a while."""

    silent = False

    def has_job(self, job_id: str) -> bool:
        """Whether there is a job of that id."""
        if self.silent:
            raise Unavailable("the journal does not answer", reason="STORE_UNAVAILABLE", retry_after_s=1.0)
        return super().has_job(job_id)


def test_the_next_upload_removes_what_an_earlier_one_left(tmp_path: Path) -> None:
    """While the journal is silent, the bounce of a refused upload stays: its job may have been made."""
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=bytes(32), now=SystemClock().now)
    store, folder = FolderStore(tmp_path / "store", signer), tmp_path / "pending"
    folder.mkdir()
    first, second = (new_job_id(datetime(2026, 11, 28, hour, tzinfo=UTC)) for hour in (1, 2))
    with SilentJournal.open(url_of(tmp_path), clock=SystemClock()) as journal:
        pending = PendingUploads(folder, journal, store)
        with pytest.raises(Unavailable), pending.recorded(first):
            store.put_bytes(f"jobs/{first}/bounce.wav", b"RIFF", content_type="audio/wav")
            journal.silent = True
            raise Unavailable("the journal does not answer", reason="STORE_UNAVAILABLE", retry_after_s=1.0)
        assert list(store.keys()) == [f"jobs/{first}/bounce.wav"]
        journal.silent = False
        with pending.recorded(second):
            assert list(store.keys()) == []
    assert list(folder.iterdir()) == []
