"""A backup is made and restored with the commands of docs/tasks/backup.md, by doing it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sonichaos_client import JobState, NotFoundError
from sonichaos_client.verify import verify_zip
from tests.flow.conftest import FreshPair
from tests.support import documented_shell
from tests.support.databases import POSTGRESQL, SQLITE, empty_database, postgresql_programs, postgresql_server
from tests.support.pair import RENDER, SEPARATION, Pair
from tests.support.takes import brief, take


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """What SONICHAOS_JOURNAL_URL names before and after the restore: nothing, or two empty databases of PostgreSQL."""
    if request.param == SQLITE:
        yield ["", ""]
        return
    with postgresql_server(tmp_path / "postgresql") as server:
        yield [empty_database(server, name) for name in ("journal", "restored")]


def _run(commands: str, pair: Pair, folder: Path, url: str) -> None:
    given = documented_shell.environment(
        folder,
        SONICHAOS_RENDER_ADDRESS=pair.address(RENDER),
        SONICHAOS_SEPARATION_ADDRESS=pair.address(SEPARATION),
        SONICHAOS_DATA=str(pair.data),
        SONICHAOS_JOURNAL_URL=url,
    )
    if url:
        given["PATH"] = os.pathsep.join([str(postgresql_programs()), given["PATH"]])
    documented_shell.run(commands, folder, given)


def test_a_restored_backup_has_its_jobs_and_files(fresh_pair: FreshPair, databases: list[str], tmp_path: Path) -> None:
    """The take of before the backup is there again, with its files and the same audit chain; a later one is gone."""
    found = documented_shell.documented("docs/tasks/backup.md", "tests/flow/test_backup.py")
    back_up_sqlite, back_up_postgresql, back_up_store, restore_sqlite, restore_postgresql, restore_store, check = found
    url, restored = databases
    back_up, restore = (back_up_postgresql, restore_postgresql) if url else (back_up_sqlite, restore_sqlite)

    pair = fresh_pair(**({"SONICHAOS_JOURNAL_URL": url} if url else {}))
    kept = take(pair.client, brief(stems=True)).job
    _run(back_up, pair, tmp_path, url)
    _run(back_up_store, pair, tmp_path, url)
    later = take(pair.client, brief(seed=8)).job
    pair.client.delete(kept.job_id)
    pair.stop()
    _run(restore, pair, tmp_path, restored)
    _run(restore_store, pair, tmp_path, restored)
    if restored:
        pair.settings = {**pair.settings, "SONICHAOS_JOURNAL_URL": restored}
    pair.start()
    _run(check, pair, tmp_path, restored)
    assert JobState(pair.client.get_job(kept.job_id).state) is JobState.DONE
    assert not verify_zip(pair.client.download(kept.job_id, tmp_path / "out").path).failures
    with pytest.raises(NotFoundError):
        pair.client.get_job(later.job_id)
