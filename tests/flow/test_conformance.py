"""The services pass the conformance suite. tests/wire/test_fake_conformance.py runs it against the fake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sonichaos_client import Client
from sonichaos_client.testing.conformance import load_suite
from tests.flow.conftest import running_up
from tests.support.doc_blocks import ROOT, blocks
from tests.support.walkthrough import followed, walkthrough

((COMMAND,),) = followed(ROOT / "docs/conformance.md", "tests/flow/test_conformance.py")
(START,) = [block for block in blocks(ROOT / "docs/clients/python.md", "sh") if block.runs_until_interrupt]


def test_every_case_of_the_suite_passes(tmp_path: Path) -> None:
    """The command of the page, with patience and as JSON, against the starter weights; no job, persona or webhook remains."""
    with walkthrough(tmp_path, [START, COMMAND], SONICHAOS_THREADS="2") as walk:
        walk.run(START)
        printed = walk.run(COMMAND, more=" --json --patience 4")
        sockets = walk.home / ".local/share/sonichaos/run"
        with Client(f"unix:{sockets}/render.sock", f"unix:{sockets}/separation.sock") as client:
            left = [job.job_id for job in client.list_jobs()]
            added = [persona.id for persona in client.list_personas() if not persona.built_in]
    results = [json.loads(line) for line in printed.splitlines()]
    assert [result for result in results if result["result"] == "failed"] == []
    skipped = {one.id for one in load_suite().cases if "control" in one.needs or one.destructive}
    passed = [result["id"] for result in results if result["result"] == "passed"]
    assert passed == [one.id for one in load_suite().cases if one.id not in skipped]
    assert (left, added) == ([], [])


def test_a_server_that_was_started_for_it_can_be_erased_and_drained(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only if that is asked for."""
    command = [str(Path(sys.executable).parent / "sonichaos"), "conformance", "--json", "--filter", "operations."]
    ids = {one.id for one in load_suite().cases if one.destructive and not one.needs}
    assert ids == {"operations.erase_tenant", "operations.drain"}
    with running_up(tmp_path_factory.mktemp("destructive"), {"SONICHAOS_THREADS": "2"}) as pair:
        for options, expected in (([], "skipped"), (["--destructive", "--patience", "4"], "passed")):
            ran = subprocess.run(
                [*command, *options], env=pair.env, capture_output=True, text=True, check=False, timeout=300
            )
            results = {one["id"]: one["result"] for one in map(json.loads, ran.stdout.splitlines())}
            assert {results[one] for one in ids} == {expected}, ran.stdout + ran.stderr
            assert ran.returncode == 0, ran.stderr
