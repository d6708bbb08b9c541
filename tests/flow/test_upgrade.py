"""A journal of release 0.1 is upgraded by the services, and downgraded with the commands of docs/tasks/upgrade.md."""

from __future__ import annotations

from pathlib import Path

from sonichaos_client import Client, JobState
from sonichaos_client.verify import verify_zip
from tests.flow.conftest import FreshPair, add_personas
from tests.support import documented_shell
from tests.support.databases import kept_journal
from tests.support.journal_rows import url_of
from tests.support.pair import eventually
from tests.support.takes import brief, take

PAGE = "docs/tasks/upgrade.md"
RELEASE_0_1 = 3
ENDED = {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


def states(client: Client) -> dict[str, JobState]:
    """The state of each job."""
    return {job.job_id: JobState(job.state) for job in client.list_jobs()}


def test_a_journal_is_upgraded_downgraded_and_upgraded_again(
    fresh_pair: FreshPair, clips: dict[str, Path], tmp_path: Path
) -> None:
    """The jobs of release 0.1 are listed by this one; a take of this one survives a downgrade, with the same audit chain."""
    (downgrade,) = documented_shell.documented(PAGE, "tests/flow/test_upgrade.py")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    kept_journal(RELEASE_0_1, url_of(data), data)
    pair = fresh_pair(data=data, start=False)
    pair.start()
    add_personas(pair.client, clips)
    made = take(pair.client, brief(stems=True)).job
    eventually(lambda: set(states(pair.client).values()) <= ENDED, "what release 0.1 left waiting has ended")
    before, chain = states(pair.client), pair.client.verify_audit_chain()
    assert len(before) > 1
    assert chain.intact
    pair.stop()

    given = documented_shell.environment(tmp_path, SONICHAOS_DATA=str(data))
    assert documented_shell.run(downgrade, tmp_path, given) == f"{RELEASE_0_1}\n"

    pair.start()
    assert states(pair.client) == before
    assert JobState(pair.client.get_job(made.job_id).state) is JobState.DONE
    assert not verify_zip(pair.client.download(made.job_id, tmp_path / "out").path).failures
    assert pair.client.verify_audit_chain(head_sequence=chain.head_sequence, head_digest=chain.head_digest).intact
