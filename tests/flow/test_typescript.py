"""The TypeScript examples against the live pair: in Node.js, and in Chromium through Envoy."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from sonichaos_client.verify import verify_zip
from tests.support.envoy import envoy_before
from tests.support.example_flow import check_example, digests, entry_sha256
from tests.support.pair import LivePair
from tests.support.typescript_build import Pages, node_answers, render_example

TOO_LONG = {f"label-{number:02}": "x" * 300 for number in range(32)}
REFUSED = {"fact": "createRender", "service": "render", "input": {"labels": TOO_LONG}}


@pytest.fixture(scope="module")
def envoy(example_pair: LivePair, pages: Pages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Envoy in front of the pair."""
    folder = tmp_path_factory.mktemp("envoy")
    addresses = (example_pair.render_address, example_pair.separation_address)
    with envoy_before(*addresses, pages.origin, folder) as address:
        yield f"http://{address}"


def test_the_whole_flow_in_node(example_pair: LivePair, tmp_path: Path) -> None:
    """One job of two calls, no event lost or repeated by a disconnect, one stem alone, and v2's whole ZIP."""
    options = ["--separation-address", example_pair.separation_address, "--persona", example_pair.persona]
    result = render_example(example_pair.render_address, tmp_path, *options, "--seconds", "2")
    assert result.returncode == 0, result.stderr
    printed = check_example(result.stdout, example_pair.client)
    assert digests(tmp_path) == {printed["stemSha256"], printed["zipSha256"]}
    report = verify_zip(tmp_path / f"{printed['jobId']}-v2.zip")
    assert report.valid, report.failures


def test_the_whole_flow_in_a_browser(example_pair: LivePair, pages: Pages, envoy: str) -> None:
    """The same by gRPC-Web, with both services behind one address; the stems come by Range requests across origins."""
    fields = {"address": envoy, "persona": example_pair.persona, "seconds": "2"}
    page = pages.example(fields)
    assert page["players"] == 2, page["result"]
    printed = check_example(json.dumps(json.loads(page["result"])), example_pair.client)
    job = example_pair.client.get_job(printed["jobId"])
    assert printed["rerenderedSha256"] == entry_sha256(job.versions[1], "vocals.wav")
    assert printed["rerenderedSha256"] != printed["stemSha256"]


def test_health_of_both_services_is_one_address(envoy: str) -> None:
    """For load balancers: 200 while both serve."""
    with urllib.request.urlopen(f"{envoy}/healthz", timeout=30) as answer:  # noqa: S310  loopback
        assert answer.status == HTTPStatus.OK


def test_an_error_of_32_fields_arrives(example_pair: LivePair, pages: Pages, envoy: str) -> None:
    """In Node.js and through Envoy, with default limits: the code, the first ten fields and their number."""
    (direct,) = node_answers(example_pair.render_address, [REFUSED])
    (proxied,) = pages.answers(envoy, [REFUSED])
    assert direct == proxied
    error: dict[str, Any] = direct["error"]
    assert (error["code"], error["reason"]) == ("InvalidArgument", "INVALID_FIELD")
    assert len(error["violations"]) == 10
    assert error["metadata"] == {"violations": "32"}
