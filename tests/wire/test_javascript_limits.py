"""What a client in JavaScript can rely on with default options: in Node.js, and in Chromium by gRPC-Web.

The browser calls through Envoy, and through the server of `sonichaos up --web`. A real JobsService stands for render_service, a
scripted one for separation_service. All clients answer the same questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import grpc
import pytest

from servicekit.journal import Checkpoint, Journal, Stage
from tests.support.envoy import envoy_before
from tests.support.jobs_server import Wire, serving_in_thread
from tests.support.journal_rows import new_job, open_journal
from tests.support.scripted_service import ScriptedService
from tests.support.scripted_services import scripted_pair
from tests.support.typescript_build import Pages, node_answers, serving_pages
from tests.support.web_bridge import facts_page

JOBS = 200
POINTS = 512
LIMIT_BYTES = 4 * 1024 * 1024
BEYOND_DOUBLE = 2**53 + 1  # no number of JavaScript
MAX_UINT64 = 2**64 - 1
UNKNOWN, QUIET, HUGE, BROKEN = "j-unknown", "j-quiet", "j-huge", "j-broken"
Answers = dict[str, Any]


@dataclass(frozen=True)
class Upstream:
    """The services, and in front of them Envoy and the server of the page."""

    address: str
    envoy: str
    pages: Pages
    own_page: Pages
    separation: ScriptedService
    ended_id: str
    waiting_id: str

    def questions(self) -> dict[str, dict[str, Any]]:
        """What both clients are asked, by a name."""
        largest = str(MAX_UINT64)
        return {
            "sizes": _question("getJob", jobId=self.ended_id),
            "pages": _question("listJobs"),
            "refused call": _question("getJob", jobId=UNKNOWN),
            "refused stream": _question("watch", jobId=UNKNOWN),
            "after the end": _question("watch", jobId=self.ended_id, afterSequence=largest),
            "left": _question("leaveWatch", jobId=self.waiting_id),
            "other service": _question("getJob", "separation", jobId=self.ended_id),
            "sequences": _question("watch", "separation", jobId=HUGE, afterSequence=str(BEYOND_DOUBLE + 2)),
            "after the largest": _question("watch", "separation", jobId=HUGE, afterSequence=largest),
            "broken stream": _question("watch", "separation", jobId=BROKEN),
        }

    def answers(self, client: str) -> Answers:
        """The answers of a client: Node.js connects to render_service directly, Chromium calls Envoy or its own page's server."""
        asked = self.questions()
        self.separation.disconnects = [99, 99, 2]
        if client == "own page":
            return dict(zip(asked, self.own_page.answers(self.own_page.origin, list(asked.values())), strict=True))
        if client == "chromium":
            return dict(zip(asked, self.pages.answers(f"http://{self.envoy}", list(asked.values())), strict=True))
        found: Answers = {}
        for service, address in (("render", self.address), ("separation", self.envoy)):
            chosen = {name: question for name, question in asked.items() if question["service"] == service}
            found |= zip(chosen, node_answers(address, list(chosen.values())), strict=True)
        return found


def _question(fact: str, service: str = "render", **given: str) -> dict[str, Any]:
    return {"fact": fact, "service": service, "input": given}


def _ended_job(journal: Journal, wire: Wire) -> str:
    """A job that is done, with files larger than any disk."""
    job_id = wire.accept()
    claim = wire.claim()
    size = {"sizeBytes": str(BEYOND_DOUBLE), "sha256": "0" * 64}
    entry = {"name": "vocals.wav", "offsetBytes": str(BEYOND_DOUBLE), "sizeBytes": str(MAX_UINT64), "sha256": "1" * 64}
    files = {
        "bounce": {"key": "jobs/x/bounce.wav", **size},
        "zip": {"key": "jobs/x/v1.zip", **size},
        "zipEntries": [entry],
    }
    journal.checkpoint(claim, Checkpoint(files=files, stage=Stage.BOUNCE))
    journal.finish(claim)
    return job_id


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The services, Envoy and the page's server."""
    folder = tmp_path_factory.mktemp("upstream")
    points = [
        {"startSeconds": float(index), "bpm": 90 + index / 7, "beatsPerBar": 4, "beatUnit": 4}
        for index in range(POINTS)
    ]
    with (
        open_journal(folder) as journal,
        serving_in_thread(folder, journal) as wire,
        scripted_pair() as scripted,
        serving_pages() as pages,
        envoy_before(wire.rpc.addresses[0], scripted.separation_address, pages.origin, folder) as envoy,
        facts_page(wire.rpc.addresses[0], scripted.separation_address) as own_page,
    ):
        ended_id = _ended_job(journal, wire)
        for _ in range(JOBS - 1):
            last = journal.accept(new_job(brief={"tempoMap": {"points": points}}), limit=JOBS)
        separation = scripted.separation
        separation.disconnect_code = grpc.StatusCode.RESOURCE_EXHAUSTED
        for job_id in (HUGE, BROKEN):
            separation.accept(job_id, stems=False)
        for event in separation.events[HUGE]:
            event.sequence += BEYOND_DOUBLE
        yield Upstream(wire.rpc.addresses[0], envoy, pages, own_page, separation, ended_id, last.job.job_id)


@pytest.fixture(scope="module", params=["node", "chromium", "own page"])
def answers(upstream: Upstream, request: pytest.FixtureRequest) -> Answers:
    """The answers of one client."""
    return upstream.answers(str(request.param))


def test_sizes_and_offsets_are_exact(answers: Answers) -> None:
    """Numbers beyond 2^53 arrive as they are."""
    sizes = answers["sizes"]
    assert sizes["zipBytes"] == str(BEYOND_DOUBLE)
    assert sizes["entries"] == [[str(BEYOND_DOUBLE), str(MAX_UINT64)]]


def test_sequences_are_exact(answers: Answers, upstream: Upstream) -> None:
    """Of requests and of events, up to 2^64 - 1."""
    events = range(BEYOND_DOUBLE + 3, BEYOND_DOUBLE + 8)
    assert answers["sequences"] == {"sequences": [str(number) for number in events]}
    assert answers["after the largest"] == {"sequences": []}
    asked = [request.after_sequence for request in upstream.separation.requests("WatchJob")]
    assert asked[-3:] == [BEYOND_DOUBLE + 2, MAX_UINT64, 0]


def test_a_watch_after_the_largest_sequence_ends_with_its_job(answers: Answers) -> None:
    """The real service takes 2^64 - 1 too."""
    assert answers["after the end"] == {"sequences": []}


def test_pages_of_large_jobs_arrive(answers: Answers) -> None:
    """200 jobs with 512 points each are more than 4 MiB: each page is below it, and no job is missed."""
    pages = answers["pages"]["pages"]
    assert sum(page["jobs"] for page in pages) == JOBS
    assert sum(page["bytes"] for page in pages) > LIMIT_BYTES
    assert all(page["bytes"] < LIMIT_BYTES for page in pages)
    assert sorted(answers["pages"]["points"]) == [0, POINTS]


def test_an_error_without_a_message_arrives_with_its_details(answers: Answers) -> None:
    """Of calls and of streams: such an answer has its status in the headers (trailers-only)."""
    error = answers["refused call"]["error"]
    assert (error["code"], error["reason"]) == ("NotFound", "JOB_NOT_FOUND")
    assert error["metadata"] == {"job_id": UNKNOWN}
    assert UNKNOWN in error["message"]
    assert answers["refused stream"] == {"sequences": [], "error": error}


def test_an_error_after_messages_arrives(answers: Answers) -> None:
    """The status of a stream that has sent events comes after them."""
    broken = answers["broken stream"]
    assert broken["sequences"] == ["1", "2"]
    assert (broken["error"]["code"], broken["error"]["message"]) == ("ResourceExhausted", "Socket closed")


def test_a_watch_that_is_left_closes_its_stream(answers: Answers) -> None:
    """By leaving the loop, and by a signal, which ends it with CANCELLED."""
    assert answers["left"] == {"open": 1, "closedByBreak": True, "code": "Canceled", "closedBySignal": True}


def test_one_address_serves_both_services(answers: Answers) -> None:
    """The header names the service whose jobs are meant, because both serve JobsService."""
    assert answers["other service"]["error"]["reason"] == "JOB_NOT_FOUND"
    assert "error" not in answers["sizes"]


def test_keepalive_pings_with_and_without_a_call(upstream: Upstream) -> None:
    """The connection stays: no GOAWAY (too_many_pings), and the next call uses it."""
    (counts,) = node_answers(upstream.address, [_question("keepalive", jobId=upstream.waiting_id)])
    for connection in (counts["withCall"], counts["withoutCall"]):
        assert connection["pings"] >= 4
        assert connection["acknowledged"] >= 4
        assert (connection["connections"], connection["goaways"]) == (1, 0)


def test_a_service_that_does_not_serve_is_seen(upstream: Upstream) -> None:
    """The address for load balancers; the scripted service has no health service."""
    assert _answer(upstream, "GET", "/healthz", {}).status == HTTPStatus.SERVICE_UNAVAILABLE


def test_pages_of_other_origins_are_not_allowed(upstream: Upstream) -> None:
    """Only a configured origin may call, from a browser."""
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-grpc-web"}
    path, origin = "/sonichaos.jobs.v1.JobsService/GetJob", upstream.pages.origin
    allowed = _answer(upstream, "OPTIONS", path, {"Origin": origin, **wanted})
    refused = _answer(upstream, "OPTIONS", path, {"Origin": "https://elsewhere.example.com", **wanted})
    assert allowed.headers["Access-Control-Allow-Origin"] == origin
    assert "Access-Control-Allow-Origin" not in refused.headers


def _answer(upstream: Upstream, method: str, path: str, headers: dict[str, str]) -> HTTPResponse:
    connection = HTTPConnection(upstream.envoy, timeout=30)
    connection.request(method, path, headers=headers)
    return connection.getresponse()
