"""What the example of every client does and prints: the same flow, and a last line of JSON that says what came of it.

Create a take with stems twice with one request id, follow it with one disconnect, download one stem of v1, re-render the vocals.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos_client import Client


def check_example(stdout: str, client: Client) -> dict[str, Any]:
    """The last line that an example printed, if it is true of the job that it names."""
    printed: dict[str, Any] = json.loads(stdout.strip().splitlines()[-1])
    job = client.get_job(printed["jobId"])
    assert [version.state for version in job.versions] == [job_pb2.JOB_STATE_DONE] * 2
    assert printed["versions"] == [version.number for version in job.versions] == [1, 2]
    assert job.versions[1].rerendered_stem == brief_pb2.STEM_VOCALS
    assert printed["events"] == job.last_sequence
    assert 0 < printed["resumedAfter"] < printed["events"]
    assert printed["stemSha256"] == entry_sha256(job.versions[0], f"{printed['stem']}.wav")
    (only,) = [one for one in client.list_jobs() if one.request_id == job.request_id]
    assert only.job_id == job.job_id
    return printed


def entry_sha256(version: job_pb2.Version, name: str) -> str:
    """The digest of one file of a version's ZIP."""
    (digest,) = [entry.sha256 for entry in version.files.zip_entries if entry.name == name]
    return digest


def digests(folder: Path) -> set[str]:
    """SHA-256 of each file of a folder."""
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
