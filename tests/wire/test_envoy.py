"""Envoy in front of both services: with TLS and with the page, as docs/deployment.md shows it, and for the Python client."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sonichaos.render.v1 import render_pb2
from sonichaos_client import AsyncClient, Client
from tests.support.certificates import Authority
from tests.support.envoy import ROOT, connection_manager, envoy_before
from tests.support.native_clients import LANGUAGES, native_client
from tests.support.scripted_service import ZIP
from tests.support.scripted_services import scripted_pair
from tests.support.typescript_build import node_answers
from tests.support.web_bridge import bridge_before, small_page

API_KEY = "sonichaos_abcdefghij23_" + "s" * 43


def _documented() -> tuple[str, str]:
    """The additions for the listener and for the clusters."""
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    section = page.split("## gRPC-Web with Envoy\n")[1].split("\n## ")[0]
    listener, clusters = re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return listener, clusters


def test_calls_and_their_key_pass_over_tls(tmp_path: Path) -> None:
    """A take is rendered and followed through Envoy; the service sees the caller's key."""
    authority = Authority.create(tmp_path)
    certificate = authority.server()
    files = {"certificate.pem": certificate.certificate, "key.pem": certificate.key, "ca.pem": authority.ca}

    def add_tls(config: dict[str, Any]) -> None:
        listener, cluster = (
            yaml.safe_load(
                re.sub(r"/etc/envoy/([a-z.]+)", lambda found: str(files[found[1]]), text).replace(
                    "studio.example.com", "localhost"
                )
            )
            for text in _documented()
        )
        config["static_resources"]["listeners"][0]["filter_chains"][0] |= listener
        for one in config["static_resources"]["clusters"]:
            one.update(cluster)

    environment = {"SONICHAOS_CA": str(authority.ca), "SONICHAOS_API_KEY": API_KEY}
    question = {"fact": "fetchTake", "service": "render", "input": {"out": str(tmp_path)}}
    with scripted_pair(certificate) as pair:
        pair.render.personas["ember"] = render_pb2.Persona(id="ember")
        pair.render.resumed.set()
        addresses = [one.removeprefix("https://") for one in (pair.render_address, pair.separation_address)]
        with envoy_before(*addresses, "https://app.example.com", tmp_path, add_tls) as address:
            (answer,) = node_answers(f"https://{address}", [question], environment=environment)
        assert "error" not in answer, answer
        assert {caller.authorization for caller in pair.render.callers} == {(f"Bearer {API_KEY}",)}
    assert (tmp_path / "v1.zip").read_bytes() == ZIP


def test_a_page_of_another_name_reaches_nothing(tmp_path: Path) -> None:
    """A name that points to this machine for a moment would give any page the services, as if it were of the same origin."""
    with (
        scripted_pair() as pair,
        envoy_before(pair.render_address, pair.separation_address, "https://app.example.com", tmp_path) as address,
    ):
        statuses = {}
        for host in (address, "localhost:1", "rebound.example.com", "rebound.example.com:50070"):
            connection = http.client.HTTPConnection(address, timeout=30)
            headers = {"Host": host, "Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1"}
            connection.request("POST", "/sonichaos.jobs.v1.JobsService/ListJobs", bytes(5), headers)
            statuses[host] = connection.getresponse().status
            connection.close()
        assert len(pair.render.calls) == 2
    assert list(statuses.values()) == [200, 200, 404, 404]


async def test_the_python_client_finds_both_services_behind_one_address(tmp_path: Path) -> None:
    """Takes and uploads alike: its calls name the service that is meant."""
    with scripted_pair() as pair:
        take = pair.render.accept("j-take", stems=False)
        upload = pair.separation.accept("j-upload", stems=True)
        addresses = (pair.render_address, pair.separation_address)
        with envoy_before(*addresses, "https://app.example.com", tmp_path) as address:
            with Client(address) as client:
                assert client.get_job(take.job_id) == take
                assert client.get_job(upload.job_id) == upload
                assert len(list(client.watch(upload.job_id))) == len(pair.separation.events[upload.job_id])
            async with AsyncClient(address) as other:
                assert (await other.get_job(upload.job_id)).job_id == upload.job_id


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_client_that_names_the_service_finds_both(language: str, tmp_path: Path) -> None:
    """A take and an upload through one address: the call that reads a job, and the stream of its events."""
    client = native_client(language)
    with scripted_pair() as pair:
        take = pair.render.accept("j-take", stems=False)
        upload = pair.separation.accept("j-upload", stems=True)
        addresses = (pair.render_address, pair.separation_address)
        with envoy_before(*addresses, "https://app.example.com", tmp_path) as address:
            result = client.read_through(address, take.job_id, upload.job_id)
        assert result.returncode == 0, result.stderr
        events = len(pair.separation.events[upload.job_id])
    assert events
    assert json.loads(result.stdout) == {"take": take.job_id, "upload": upload.job_id, "events": events}


def test_the_page_behind_envoy(tmp_path: Path) -> None:
    """As docs/deployment.md shows it: files and readiness come from the page's server, calls go to the services directly."""
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    section = text.split("## The page\n")[1].split("\n## ")[0]
    route, cluster = re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    none = f"unix:{tmp_path}/none.sock"
    with scripted_pair() as pair, bridge_before(none, none, small_page(tmp_path / "page")) as page:

        def add_page(config: dict[str, Any]) -> None:
            resources = config["static_resources"]
            added = yaml.safe_load(cluster.replace("50074", page.rpartition(":")[2]))
            resources["clusters"].append(added)
            (host_routes,) = connection_manager(config)["route_config"]["virtual_hosts"]
            host_routes["routes"][:0] = yaml.safe_load(route)

        take = pair.render.accept("j-take", stems=False)
        addresses = (pair.render_address, pair.separation_address)
        with envoy_before(*addresses, "https://app.example.com", tmp_path, add_page) as address:
            assert get(address, "/").startswith(b"<!doctype html>")
            assert b"console.log" in get(address, "/assets/index-Ab3_d-9x.js")
            assert json.loads(get(address, "/readiness.json"))["services"].keys() == {
                "render_service",
                "separation_service",
            }
            with Client(address) as client:
                assert client.get_job(take.job_id) == take


def get(address: str, path: str) -> bytes:
    """The body of a file."""
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200
    body = answer.read()
    connection.close()
    return body
