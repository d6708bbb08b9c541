"""Uploads: a recording is uploaded, separated and delivered in the same form as a take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import Brief, OwningService, StemMode
from sonichaos_client.errors import AlreadyExistsError
from sonichaos_client.verify import verify_zip
from tests.support.pair import LivePair
from tests.support.service_processes import ROOT
from tests.support.takes import brief, check_numbers, collect_events, pcm_of, unpacked

_LACKING = ("prompt", "persona", "seed", "model", "tempoMap", "key")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, mono, 16 bits."""
    path = tmp_path_factory.mktemp("recording") / "take one.wav"
    sound = 0.4 * np.random.default_rng(5).normal(size=2 * 44100).clip(-2, 2)
    soundfile.write(path, sound, 44100, subtype="PCM_16")
    return path


def test_the_command_separates_a_file(live_pair: LivePair, recording: Path, tmp_path: Path) -> None:
    """``sonichaos separate`` downloads a valid ZIP; mono is doubled; fields that an upload lacks are null."""
    command = [sys.executable, "-m", "sonichaos_client", "separate", str(recording), "--out", str(tmp_path)]
    ended = subprocess.run(
        command, env=dict(live_pair.env), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    (saved,) = tmp_path.iterdir()
    assert verify_zip(saved).failures == ()
    files = unpacked(saved)
    bounce = pcm_of(files["bounce.wav"])
    sound, _ = soundfile.read(recording, dtype="int16")
    assert (bounce == sound.astype(np.int32) << 8).all()
    manifest = json.loads(files["manifest.json"])
    assert {name: manifest[name] for name in _LACKING} == dict.fromkeys(_LACKING)
    assert saved.name == f"{manifest['jobId']}-v1.zip"


def test_an_upload_is_a_job_of_separation_service(live_pair: LivePair, recording: Path) -> None:
    """It has one track, a bounce that is ready immediately, and audit rows with the file's digest; stem mode raw is recorded."""
    labels = {"reel": "3"}
    job = live_pair.client.separate_file(recording, request_id="reel-3", stem_mode=StemMode.RAW, labels=labels)
    story = collect_events(live_pair.client, job)
    check_numbers(story.events)
    assert story.job.owner == job_pb2.OWNING_SERVICE_SEPARATION
    assert {event.track for event in story.events if event.track} == {job_pb2.PROGRESS_TRACK_STEMS}
    kinds = [event.kind for event in story.events]
    assert kinds.index(job_pb2.EVENT_KIND_BOUNCE_READY) < kinds.index(job_pb2.EVENT_KIND_STEMS_READY)
    rows = list(live_pair.client.list_audit_rows(job.job_id))
    assert [row.kind for row in rows] == ["bounce", "stems"]
    body = json.loads(rows[1].body_json)
    assert json.loads(rows[1].personal_json)["upload.fileName"] == "take one.wav"
    assert "take one" not in rows[1].body_json
    assert body["zip"]["sha256"] == story.version.files.zip.sha256
    assert (body["stemMode"], rows[1].prompt) == ("raw", "")
    assert live_pair.client.verify_audit_chain().intact
    again = live_pair.client.separate_file(recording, request_id="reel-3", stem_mode=StemMode.RAW, labels=labels)
    assert again.job_id == job.job_id
    with pytest.raises(AlreadyExistsError) as reused:
        live_pair.client.separate_file(recording, request_id="reel-3", stem_mode=StemMode.RAW, labels={"reel": "4"})
    assert reused.value.reason == "REQUEST_ID_REUSED"


def test_following_all_jobs_from_a_cursor(live_pair: LivePair) -> None:
    """WatchJobs sends the events of several jobs, each job's in order, and resumes from any cursor without loss or repeat."""
    client = live_pair.client
    first = client.create_render(brief(live_pair.persona, seed=61))
    start = collect_events(client, first).events[0].cursor
    briefs: list[Brief] = [brief(live_pair.persona, seed=seed) for seed in (62, 63)]
    ids = {first.job_id, *(client.create_render(one).job_id for one in briefs)}
    whole, ended = [], {first.job_id} - {first.job_id}
    for event in client.watch_all(OwningService.RENDER, cursor=start):
        whole.append(event)
        if event.kind == job_pb2.EVENT_KIND_STATE and event.state == job_pb2.JOB_STATE_DONE:
            ended.add(event.job_id)
        if ended >= ids:
            break
    for job_id in ids:
        numbers = [event.sequence for event in whole if event.job_id == job_id]
        begin = 2 if job_id == first.job_id else 1
        assert numbers == list(range(begin, begin + len(numbers)))
    middle = len(whole) // 2
    rest = client.watch_all(OwningService.RENDER, cursor=whole[middle].cursor)
    assert [next(rest).cursor for _ in whole[middle + 1 :]] == [event.cursor for event in whole[middle + 1 :]]
    rest.close()
