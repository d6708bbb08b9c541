"""The TypeScript example against the live pair."""

from __future__ import annotations

import json
from pathlib import Path

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.verify import verify_zip
from tests.support.pair import LivePair
from tests.support.typescript_build import render_example


def test_a_take_is_rendered_followed_through_a_cut_and_fetched(live_pair: LivePair, tmp_path: Path) -> None:
    """From TypeScript: a take with stems, no event lost or repeated by a cut connection, and a valid ZIP."""
    result = render_example(
        live_pair.render_address, tmp_path, "--persona", live_pair.persona, "--seconds", "2", "--disconnect-after", "2"
    )
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["disconnects"] >= 1
    job = live_pair.client.get_job(printed["jobId"])
    assert job.state == job_pb2.JOB_STATE_DONE
    assert printed["events"] == job.last_sequence
    assert printed["sha256"] == job.versions[0].files.zip.sha256
    report = verify_zip(Path(printed["path"]))
    assert report.valid, report.failures
