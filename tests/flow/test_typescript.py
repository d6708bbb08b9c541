"""The TypeScript examples against the live pair: in Node.js, and in Chromium through Envoy."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from sonichaos_client import Client
from sonichaos_client.verify import verify_zip
from tests.conftest import require_debian
from tests.support.doc_blocks import ROOT
from tests.support.envoy import envoy_before, require_envoy
from tests.support.example_flow import check_example, digests, entry_sha256
from tests.support.pair import LivePair
from tests.support.tiny_separator import audible_stems
from tests.support.typescript_build import CHROMIUM, Pages, node_answers
from tests.support.walkthrough import Walkthrough, followed, walkthrough

THIS = "tests/flow/test_typescript.py"
NODE, BROWSER, STUBS = followed(ROOT / "docs/clients/typescript.md", THIS)
TOO_LONG = {f"label-{number:02}": "x" * 300 for number in range(32)}
REFUSED = {"fact": "createRender", "service": "render", "input": {"labels": TOO_LONG}}


@pytest.fixture(scope="module")
def envoy(example_pair: LivePair, pages: Pages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Envoy in front of the pair."""
    folder = tmp_path_factory.mktemp("envoy")
    addresses = (example_pair.render_address, example_pair.separation_address)
    with envoy_before(*addresses, pages.origin, folder) as address:
        yield f"http://{address}"


@pytest.fixture(scope="module")
def settings(models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Tiny models for the services that a reader starts."""
    return {**models, **audible_stems(tmp_path_factory.mktemp("models"))}


@contextmanager
def services_of(walk: Walkthrough) -> Iterator[Client]:
    """A client of the services that the reader has started."""
    sockets = walk.home / ".local/share/sonichaos/run"
    with Client(f"unix:{sockets}/render.sock", f"unix:{sockets}/separation.sock") as client:
        yield client


def test_the_guide_for_node(settings: dict[str, str], tmp_path: Path) -> None:
    """One job of two calls, no event lost or repeated by a disconnect, one stem alone, v2's whole ZIP; then a project of one's own.

    The README has the same commands.
    """
    (readme,) = followed(ROOT / "clients/typescript/README.md", THIS)
    assert [block.code for block in readme] == [
        block.code.removeprefix("cd clients/typescript\n") for block in NODE[1:3]
    ]
    with walkthrough(tmp_path, NODE, **settings) as walk:
        printed = walk.follow(NODE)[NODE[2].line]
        with services_of(walk) as client:
            example = check_example(printed, client)
        out = walk.folder / "clients/typescript/out"
        assert digests(out) == {example["stemSha256"], example["zipSha256"]}
        report = verify_zip(out / f"{example['jobId']}-v2.zip")
        assert report.valid, report.failures
        imported = 'import { watchJob } from "@sonichaos/client"; console.log(typeof watchJob)'
        mixer = walk.home / "mixer"
        assert walk.network.run(f"node --input-type=module -e '{imported}'", mixer, walk.environment) == "function\n"


def test_the_guide_for_browsers(settings: dict[str, str], tmp_path: Path) -> None:
    """The same by gRPC-Web, with both services behind one address; the stems come by Range requests across origins."""
    require_debian("chromium", CHROMIUM)
    require_envoy()
    with walkthrough(tmp_path, BROWSER, **settings) as walk:
        walk.follow(BROWSER)
        press = 'echo \'{"fill": {"persona": "neon-drift"}}\' | node build/test/browser.js http://localhost:8080/'
        shown = json.loads(walk.network.run(press, walk.folder / "clients/typescript", walk.environment))
        assert shown["players"] == 2, shown["result"]
        with services_of(walk) as client:
            example = check_example(json.dumps(json.loads(shown["result"])), client)
            job = client.get_job(example["jobId"])
    assert example["rerenderedSha256"] == entry_sha256(job.versions[1], "vocals.wav")
    assert example["rerenderedSha256"] != example["stemSha256"]


def test_the_packages_that_generate_stubs(tmp_path: Path) -> None:
    """They are installed; tests/wire/test_typescript_client.py runs what they are for."""
    with walkthrough(tmp_path, STUBS) as walk:
        walk.follow(STUBS)
        assert {"buf", "protoc-gen-es"} <= {path.name for path in (walk.home / "stubs/node_modules/.bin").iterdir()}


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
