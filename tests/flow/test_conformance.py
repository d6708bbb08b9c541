"""The services pass the conformance suite. tests/wire/test_fake_conformance.py runs it against the fake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sonichaos_client.testing.conformance import load_suite
from tests.flow.conftest import running_up


def test_every_case_of_the_suite_passes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The command, against a pair of its own with the starter weights; no job, persona or webhook remains."""
    command = [str(Path(sys.executable).parent / "sonichaos"), "conformance", "--json", "--patience", "4"]
    with running_up(tmp_path_factory.mktemp("conformance"), {"SONICHAOS_THREADS": "2"}) as pair:
        ran = subprocess.run(command, env=pair.env, capture_output=True, text=True, check=False, timeout=600)
        left = [job.job_id for job in pair.client.list_jobs()]
        added = [persona.id for persona in pair.client.list_personas() if not persona.built_in]
    results = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [result for result in results if result["result"] == "failed"] == []
    assert ran.returncode == 0, ran.stderr
    assert [result["id"] for result in results if result["result"] == "passed"] == [
        one.id for one in load_suite().cases
    ]
    assert (left, added) == ([], [])
