"""`sonichaos conformance`: a server that breaks a rule is found, and what differs is shown. The fake runs behind a proxy."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2
from sonichaos_client.cli import cli
from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.testing.fake import ANY_PORT, FakeOptions, FakeSonichaos, start_fake
from tests.support.altering_proxy import Alter, altering_proxy, same

PLAIN = "watch.one_track_without_stems"
TAKE_OF_A_NAME = """
fixtures:
  server:
    why: Which personas there are.
    steps:
      - rpc: RenderService/ListPersonas
        save: personas
cases:
  - id: own.seed_is_kept
    why: A seed that the caller chose is the take's.
    needs: [server]
    steps:
      - rpc: RenderService/CreateRender
        request: {brief: {prompt: a take, personaId: "${server.personas.personas[0].id}", seconds: 2, seed: SEED}}
        expect: {response: {job: {brief: {seed: 5}}}}
"""


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeSonichaos]:
    """Fake services, 20 times as fast."""
    options = FakeOptions(render_listen=ANY_PORT, separation_listen=ANY_PORT, url_listen=ANY_PORT, speed=20.0)
    with start_fake(options) as running:
        yield running


def conformance(render_address: str, separation_address: str, *arguments: str) -> Result:
    """Run the command in this process."""
    addresses = ("--address", render_address, "--separation-address", separation_address)
    return CliRunner().invoke(cli, ["conformance", *addresses, *arguments])


def without_the_fourth_event() -> Alter:
    """A server that loses an event of each watch."""

    def alter(method: str, message: bytes) -> list[bytes]:
        if method != "WatchJob":
            return [message]
        return [] if jobs_service_pb2.WatchJobResponse.FromString(message).event.sequence == 4 else [message]

    return alter


def with_a_repeated_event() -> Alter:
    """A server that sends an event twice."""
    return lambda method, message: [message, message] if method == "WatchJob" else [message]


def with_a_falling_fraction() -> Alter:
    """A server whose progress jumps back to 0 with each other event."""
    numbers = itertools.count()

    def alter(method: str, message: bytes) -> list[bytes]:
        if method != "WatchJob":
            return [message]
        response = jobs_service_pb2.WatchJobResponse.FromString(message)
        if response.event.kind == job_pb2.EVENT_KIND_PROGRESS and next(numbers) % 2:
            response.event.fraction = 0.0
        return [response.SerializeToString()]

    return alter


def with_another_seed() -> Alter:
    """A server that returns another seed than it was given."""

    def alter(method: str, message: bytes) -> list[bytes]:
        if method != "GetJob":
            return [message]
        response = jobs_service_pb2.GetJobResponse.FromString(message)
        response.job.brief.seed += 1
        return [response.SerializeToString()]

    return alter


@pytest.mark.parametrize(
    ("broken", "case", "shown"),
    [
        (without_the_fourth_event, "watch.numbers_without_gaps", '$consecutive {"path": "event.sequence", "first": 1}'),
        (with_a_repeated_event, "watch.numbers_without_gaps", "the numbers [1, 1, 2, 2,"),
        (with_a_falling_fraction, "watch.fraction_never_falls", "0.0 after 0."),
        (with_another_seed, "jobs.facts_of_a_take", "received  8"),
    ],
    ids=["lost event", "repeated event", "falling fraction", "other seed"],
)
def test_a_broken_rule_is_found(fake: FakeSonichaos, broken: Callable[[], Alter], case: str, shown: str) -> None:
    """Exit status 3; the table has the case, its rule, and what was expected and received."""
    with altering_proxy(fake.render_address, broken()) as address:
        result = conformance(address, fake.separation_address, "--filter", case)
    assert result.exit_code == ExitStatus.MISMATCH, result.output
    assert f"FAIL  {case}" in result.stdout
    assert shown in result.stdout
    assert "        expected  " in result.stdout
    assert result.stdout.endswith("0 passed, 1 failed.\n")


def test_an_error_without_details_is_found(fake: FakeSonichaos) -> None:
    """As a proxy makes them that drops trailers it does not know."""
    with altering_proxy(fake.render_address, with_details=False) as address:
        result = conformance(address, fake.separation_address, "--filter", "jobs.odd_ids", "--json")
    assert result.exit_code == ExitStatus.MISMATCH
    found = json.loads(result.stdout)
    assert (found["id"], found["result"]) == ("jobs.odd_ids", "failed")
    assert found["differences"][0]["step"] == "step 1 (rpc JobsService/GetJob)"
    assert found["differences"][0]["expected"] == "NOT_FOUND JOB_NOT_FOUND"
    assert found["differences"][0]["received"].startswith("NOT_FOUND: no job")


def test_a_server_that_keeps_the_rules_passes(fake: FakeSonichaos) -> None:
    """Through the same proxy, so that what the tests above find is not the proxy; one JSON object per case and line."""
    with altering_proxy(fake.render_address, same) as address:
        result = conformance(address, fake.separation_address, "--filter", "watch.n", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == ExitStatus.DONE, result.output
    assert [line["id"] for line in lines] == ["watch.numbers_without_gaps", "watch.newest_version_by_default"]
    assert {line["result"] for line in lines} == {"passed"}
    assert all(line["differences"] == [] for line in lines)


def test_what_the_suite_created_is_removed(fake: FakeSonichaos) -> None:
    """Jobs of cases and fixtures are gone at the end, those of others stay."""
    with fake.client() as client:
        persona = next(iter(client.list_personas()))
        other = client.create_render(prompt="of another caller", persona_id=persona.id, seconds=2.0)
        result = conformance(fake.render_address, fake.separation_address, "--filter", PLAIN)
        assert result.exit_code == ExitStatus.DONE, result.output
        assert [job.job_id for job in client.list_jobs()] == [other.job_id]


def test_cases_of_a_folder_of_ones_own(fake: FakeSonichaos, tmp_path: Path) -> None:
    """A case that does not fit exits with 3; a file that is none, with 2."""
    file = tmp_path / "own.yaml"
    for text, status in (
        (TAKE_OF_A_NAME.replace("SEED", "5"), ExitStatus.DONE),
        (TAKE_OF_A_NAME.replace("SEED", "6"), ExitStatus.MISMATCH),
        ("cases: [{id: nothing}]", ExitStatus.INVALID_INPUT),
        ("cases: [", ExitStatus.INVALID_INPUT),
    ):
        file.write_text(text, encoding="utf-8")
        result = conformance(fake.render_address, fake.separation_address, "--cases", str(tmp_path))
        assert result.exit_code == status, result.output


def test_no_server_and_no_case() -> None:
    """75 without a server, 2 for a filter that names no case."""
    assert conformance("127.0.0.1:1", "127.0.0.1:1").exit_code == ExitStatus.TRY_AGAIN
    assert conformance("127.0.0.1:1", "127.0.0.1:1", "--filter", "no such case").exit_code == ExitStatus.INVALID_INPUT
