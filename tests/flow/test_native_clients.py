"""The examples in C++, Ruby, Go and Java against a live pair."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.example_flow import check_example, entry_sha256
from tests.support.native_clients import LANGUAGES, native_client
from tests.support.pair import LivePair

PERSONA = "neon-drift"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_flow(language: str, example_pair: LivePair, tmp_path: Path) -> None:
    """One job of two calls, no event lost or repeated by a disconnect, the vocals alone, checked, before and after a re-render."""
    client = native_client(language)
    addresses = ["--address", example_pair.render_address, "--separation-address", example_pair.separation_address]
    result = client.run_example(*addresses, "--persona", PERSONA, "--seconds", "2", "--out", str(tmp_path))
    assert result.returncode == 0, result.stderr
    printed = check_example(result.stdout, example_pair.client)
    versions = example_pair.client.get_job(printed["jobId"]).versions
    for version in versions:
        assert f"v{version.number} is done: ZIP with SHA-256 {version.files.zip.sha256}\n" in result.stdout
        path = tmp_path / f"{printed['jobId']}-v{version.number}-vocals.wav"
        assert f"{path}: SHA-256 {entry_sha256(version, 'vocals.wav')}, as stored\n" in result.stdout
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry_sha256(version, "vocals.wav")
    assert len(list(tmp_path.iterdir())) == len(versions)
    assert "1 v1 EVENT_KIND_STATE JOB_STATE_QUEUED\n" in result.stdout
    assert " v1 STAGE_STORE 100 %\n" in result.stdout
