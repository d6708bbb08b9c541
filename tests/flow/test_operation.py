"""What an operator sees: drain, health, reflection, metrics, logs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.errors import UnavailableError
from tests.flow.conftest import FreshPair
from tests.support.pair import RENDER, SEPARATION, LivePair, eventually, turn_held
from tests.support.s3_servers import free_port
from tests.support.service_processes import ROOT
from tests.support.takes import at, brief, check_numbers, collect_events, take, until


def test_sigterm_drains(fresh_pair: FreshPair) -> None:
    """New work is refused with RetryInfo; work that does not end in time resumes at the next start."""
    pair = fresh_pair(SONICHAOS_DRAIN_SECONDS="4")
    client = pair.client
    job = client.create_render(brief(stems=True))
    until(client, job, at(job_pb2.STAGE_DENOISE))
    with turn_held(pair.data):
        until(client, job, at(job_pb2.STAGE_SEPARATE))
        pair.signal(RENDER, signal.SIGTERM)
        eventually(lambda: pair.health(RENDER) == health_pb2.HealthCheckResponse.NOT_SERVING, "health says NOT_SERVING")
        with pytest.raises(UnavailableError) as refused:
            client.create_render(brief(seed=1))
        assert refused.value.reason == "DRAINING"
        assert refused.value.retry_after_s
        assert client.get_job(job.job_id).state == job_pb2.JOB_STATE_RUNNING
        pair.wait_gone(RENDER)
    pair.start(RENDER)
    story = collect_events(client, job)
    check_numbers(story.events)
    assert story.job.state == job_pb2.JOB_STATE_DONE
    assert max(event.attempt for event in story.events if event.track == job_pb2.PROGRESS_TRACK_STEMS) == 2
    assert {event.attempt for event in story.events if event.track == job_pb2.PROGRESS_TRACK_RENDER} == {1}


def test_a_running_take_may_end_while_the_service_drains(fresh_pair: FreshPair) -> None:
    """Running work ends normally within drain_seconds, and then the process exits."""
    pair = fresh_pair()
    job = pair.client.create_render(brief(seconds=4.0))
    until(pair.client, job, at(job_pb2.STAGE_DENOISE))
    pair.signal(RENDER, signal.SIGTERM)
    pair.wait_gone(RENDER)
    pair.start(RENDER)
    story = collect_events(pair.client, job)
    assert story.job.state == job_pb2.JOB_STATE_DONE
    assert {event.attempt for event in story.events if event.track} == {1}


def test_reflection_shows_every_service(live_pair: LivePair) -> None:
    """Both services list their RPC services and descriptors, so that generic tools can call them."""
    wanted = {
        live_pair.render_address: ["sonichaos.render.v1.RenderService", "sonichaos.jobs.v1.JobsService"],
        live_pair.separation_address: [
            "sonichaos.separation.v1.SeparationService",
            "sonichaos.handoff.v1.HandoffService",
            "sonichaos.jobs.v1.JobsService",
        ],
    }
    for address, names in wanted.items():
        with grpc.insecure_channel(address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            assert {*names, "grpc.health.v1.Health"} <= set(database.get_services())
            methods = DescriptorPool(database).FindServiceByName("sonichaos.jobs.v1.JobsService").methods_by_name
            assert "WatchJob" in methods


def test_metrics_and_logs_tell_of_a_job(fresh_pair: FreshPair) -> None:
    """Prometheus counts versions and times stages; each line of both logs is one JSON object, those of a job carry its id."""
    ports = {RENDER: free_port(), SEPARATION: free_port()}
    pair = fresh_pair(
        SONICHAOS_RENDER_METRICS_PORT=str(ports[RENDER]), SONICHAOS_SEPARATION_METRICS_PORT=str(ports[SEPARATION])
    )
    job = take(pair.client, brief(stems=True)).job
    pages = {}
    for service, port in ports.items():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            pages[service] = page.read().decode()
    assert 'sonichaos_render_versions_total{state="DONE"} 1.0' in pages[RENDER]
    assert 'sonichaos_render_stage_seconds_count{stage="DENOISE"} 1.0' in pages[RENDER]
    assert 'sonichaos_separation_stage_seconds_count{stage="SEPARATE"} 1.0' in pages[SEPARATION]
    assert "sonichaos_render_rpcs_total" in pages[RENDER]
    lines = pair.log_lines(RENDER)
    assert {line["service"] for line in lines} == {RENDER}
    assert {"work started", "work ended"} <= {line["event"] for line in lines if line.get("job_id") == job.job_id}
    assert {line["service"] for line in pair.log_lines(SEPARATION)} == {SEPARATION}


def test_the_command_uses_the_running_pair(live_pair: LivePair) -> None:
    """``sonichaos --json`` commands read the addresses from the environment and show the same jobs."""
    job = take(live_pair.client, brief(live_pair.persona, seed=51)).job
    command = [sys.executable, "-m", "sonichaos_client"]
    ended = subprocess.run(
        [*command, "--json", "get", job.job_id],
        env=dict(live_pair.env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(ended.stdout.splitlines()[0])["jobId"] == job.job_id
