"""The services pass the conformance suite. tests/wire/test_fake_conformance.py runs it against the fake."""

from __future__ import annotations

import json
from pathlib import Path

from sonichaos_client import Client
from sonichaos_client.testing.conformance import load_suite
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
    assert [result["id"] for result in results if result["result"] == "passed"] == [
        one.id for one in load_suite().cases
    ]
    assert (left, added) == ([], [])
