"""The conformance suite covers every RPC and every error reason, and its page names all that cases use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sonichaos.jobs.v1 import error_reason_pb2
from sonichaos_client.testing.conformance import CaseFileError, load_suite, reasons
from sonichaos_client.testing.conformance.inspections import KINDS
from sonichaos_client.testing.conformance.matching import MATCHERS
from sonichaos_client.testing.conformance.values import FUNCTIONS
from sonichaos_client.testing.conformance.wire import services

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
PROTO = (ROOT / "protos" / "sonichaos" / "jobs" / "v1" / "error_reason.proto").read_text(encoding="utf-8")
SUITE = load_suite()
STEPS = [step for case in (*SUITE.fixtures.values(), *SUITE.cases) for step in case.steps]
NOT_SERVED = {"AdmissionService", "FakeControlService"}
"""The operator serves the first, only the fake the second."""


def _expected_reasons(value: Any) -> Iterator[str]:
    """The values of each field ``reason``, of errors of calls and of versions."""
    if isinstance(value, dict):
        if isinstance(value.get("reason"), str):
            yield value["reason"].removeprefix("ERROR_REASON_")
        for item in value.values():
            yield from _expected_reasons(item)
    elif isinstance(value, list):
        for item in value:
            yield from _expected_reasons(item)


def test_every_rpc_has_a_case() -> None:
    """Each method that a server of the contract serves, the streams included."""
    wanted = {
        f"{name}/{method.name}"
        for name, service in services().items()
        if name not in NOT_SERVED
        for method in service.methods
    }
    called = {step["rpc"] for step in STEPS if "rpc" in step}
    assert wanted - called == set()
    others = {name for name in called - wanted if not name.startswith("FakeControlService/")}
    assert others == {"JobsService/NoSuchMethod"}


def test_every_reason_has_a_case_or_says_why_not() -> None:
    """And never both."""
    provoked = set(_expected_reasons([dict(step) for step in STEPS]))
    known = {name.removeprefix("ERROR_REASON_") for name, _ in error_reason_pb2.ErrorReason.items()} - {"UNSPECIFIED"}
    assert set(reasons()) == known
    assert {name for name, reason in reasons().items() if not reason.not_covered} == provoked


@pytest.mark.parametrize("name", sorted(reasons()))
def test_reasons_are_as_the_proto_says(name: str) -> None:
    """Status code and RetryInfo; the metadata are among those that the comment names."""
    found = re.search(rf"((?:  //[^\n]*\n)+)  ERROR_REASON_{name} =", PROTO)
    assert found
    comment = " ".join(line.strip().removeprefix("//").strip() for line in found[1].splitlines())
    reason = reasons()[name]
    status = comment.partition(".")[0]
    assert status == (f"{reason.code} with RetryInfo" if reason.retry else reason.code)
    for key in reason.metadata:
        assert re.search(rf"Metadata: [^.]*\b{key}\b", comment), key


def test_every_stream_rule_has_a_case() -> None:
    """Those of docs/contract.md, section 2, and docs/errors.md."""
    ids = {case.id for case in SUITE.cases}
    rules = {
        "numbers_without_gaps", "states_in_order", "bounce_before_stems", "two_tracks_with_stems", "one_track_without_stems",
        "one_track_of_an_upload", "fraction_never_falls", "again_from_the_start", "after_sequence", "resumed_after_a_cut",
        "live_resumed_after_a_cut", "ends_with_the_version", "newest_version_by_default", "after_the_last_number", "heartbeats",
        "heartbeat_of_one_job", "unknown_job",
    }  # fmt: skip
    assert {f"watch.{rule}" for rule in rules} <= ids
    assert {"watch_jobs.all_jobs_from_a_cursor", "watch_jobs.deleted_is_the_last_event"} <= ids
    assert {"watch_jobs.unknown_cursor", "cancel.passes_through_cancelling"} <= ids


def test_the_page_names_what_cases_use() -> None:
    """Each matcher, function, inspection and key of a step, so that a runner can be written from the page."""
    schema = json.loads(
        (ROOT / "clients/python/src/sonichaos_client/testing/conformance/case.schema.json").read_text(encoding="utf-8")
    )
    keys = {key for kind in schema["$defs"]["step"]["oneOf"] for key in kind["properties"]}
    for name in (*MATCHERS, *FUNCTIONS, *KINDS, *keys):
        assert re.search(rf"`{re.escape(name)}[`:]", PAGE), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases: [{id: a.b, why: too short here, steps: []}]", "cases"),
        ("cases: [{id: a.b, why: needs what is not there, needs: [nothing], steps: [{cut: a}]}]", "must name fixtures"),
        ("cases: [{id: a.b, why: has an unknown matcher, steps: [{check: 1, expect: {$larger: 0}}]}]", "\\$larger"),
        ("cases: [{id: a.b, why: has an unknown key here, steps: [{cut: a, twice: true}]}]", "steps"),
        ("cases: !!python/object/apply:os.getcwd []", "YAML"),
        (
            "cases: [{id: a.b, why: is there two times, steps: [{cut: a}]}, {id: a.b, why: is there two times, steps: [{cut: a}]}]",
            "twice",
        ),
    ],
)
def test_files_that_are_no_cases(tmp_path: Path, text: str, message: str) -> None:
    """The error names the file or the case."""
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(CaseFileError, match=message):
        load_suite(tmp_path)


def test_cases_are_plain_yaml() -> None:
    """Without tags, which would need a reader of Python's objects."""
    for file in (ROOT / "clients/python/src/sonichaos_client/testing/conformance/cases").iterdir():
        assert "!!" not in file.read_text(encoding="utf-8")
