"""A take from end to end: brief, bounce, stems, ZIP."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import pytest

from servicekit.audio.loudness import measure
from sonichaos.jobs.v1 import job_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos_client import FileKind, JobEvent, Licence
from sonichaos_client.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidRequestError,
    JobFailedError,
    NotFoundError,
)
from sonichaos_client.verify import verify_zip
from tests.support.pair import LivePair
from tests.support.takes import STEMS, Story, brief, check_numbers, collect_events, fetch, pcm_of, take, unpacked

LICENCE = Licence(tier="sync", licensee="Nova Films", terms="https://example.com/terms")


@pytest.fixture(scope="module")
def early() -> dict[str, bytes]:
    """What could be downloaded at BOUNCE_READY."""
    return {}


@pytest.fixture(scope="module")
def story(live_pair: LivePair, early: dict[str, bytes]) -> Story:
    """A take with stems, its bounce downloaded at BOUNCE_READY."""

    def react(event: JobEvent) -> None:
        if event.kind == job_pb2.EVENT_KIND_BOUNCE_READY:
            early["bounce"] = fetch(live_pair.client.create_signed_url(event.job_id, kind=FileKind.BOUNCE).url)

    wanted = brief(live_pair.persona, stems=True, licence=LICENCE, labels={"scene": "12a"}, key="A minor")
    return take(live_pair.client, wanted, react)


@pytest.fixture(scope="module")
def saved(live_pair: LivePair, story: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ZIP as the client downloads it."""
    return live_pair.client.download(story.job.job_id, tmp_path_factory.mktemp("out")).path


def test_events_are_numbered_typed_and_rise(story: Story) -> None:
    """Numbers run from 1 without a gap, states are QUEUED, RUNNING, DONE, both tracks go from 0 to 1 in one attempt."""
    check_numbers(story.events)
    states = [event.state for event in story.events if event.kind == job_pb2.EVENT_KIND_STATE]
    assert states == [job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_DONE]
    for track in (job_pb2.PROGRESS_TRACK_RENDER, job_pb2.PROGRESS_TRACK_STEMS):
        told_of = [event for event in story.events if event.track == track]
        assert (told_of[0].fraction, told_of[-1].fraction) == (0.0, 1.0)
        assert {event.attempt for event in told_of} == {1}
    stages = list(dict.fromkeys(event.stage for event in story.events if event.stage))
    names = ["PLAN", "DENOISE", "VOCODE", "BOUNCE", "HANDOFF", "RECEIVE", "SEPARATE", "PACKAGE", "STORE"]
    assert [job_pb2.Stage.Name(stage).removeprefix("STAGE_") for stage in stages] == names
    assert {event.version for event in story.events} == {1}


def test_the_bounce_is_ready_before_the_stems(story: Story, early: dict[str, bytes]) -> None:
    """BOUNCE_READY comes before any step of a stem is done; the file can be fetched then and is the stored one."""
    kinds = [event.kind for event in story.events]
    ready = kinds.index(job_pb2.EVENT_KIND_BOUNCE_READY)
    first_stems = next(i for i, event in enumerate(story.events) if event.track == job_pb2.PROGRESS_TRACK_STEMS)
    assert ready < first_stems < kinds.index(job_pb2.EVENT_KIND_STEMS_READY)
    stored = story.version.files.bounce
    assert hashlib.sha256(early["bounce"]).hexdigest() == stored.sha256
    assert len(early["bounce"]) == stored.size_bytes


def test_the_row_says_what_was_made(story: Story) -> None:
    """The job holds the resolved brief, the source of each value, files, timings of all stages and audit rows."""
    resolved, version = story.version.brief, story.version
    assert story.job.state == job_pb2.JOB_STATE_DONE
    assert (resolved.seed, resolved.key, resolved.tempo_map.points[0].bpm) == (7, "A minor", 120.0)
    assert (resolved.tempo_source, resolved.key_source, resolved.seed_source) == ("caller", "caller", "caller")
    prefix = f"jobs/{story.job.job_id}/"
    assert version.files.bounce.key == prefix + "bounce.wav"
    assert version.files.manifest.key == prefix + "v1.json"
    assert version.files.zip.key == prefix + "v1.zip"
    assert version.files.latents.key == prefix + "v1.latents.safetensors"
    assert {timing.stage for timing in version.timings} == {event.stage for event in story.events if event.stage}
    assert len(version.audit_digests) == 2
    assert version.loudness.true_peak_dbtp <= -1.0


def test_the_zip_passes_the_independent_check(saved: Path, early: dict[str, bytes]) -> None:
    """Layout, headers, digests, schema, loudness, true peak and exact sum are valid, and bounce.wav is the stored bounce."""
    report = verify_zip(saved)
    assert report.failures == ()
    files = unpacked(saved)
    assert list(files) == ["bounce.wav", "drums.wav", "bass.wav", "vocals.wav", "other.wav", "manifest.json"]
    assert files["bounce.wav"] == early["bounce"]
    bounce = pcm_of(files["bounce.wav"])
    stems = [pcm_of(files[f"{name}.wav"]) for name in STEMS]
    assert bounce.shape == (2, 88200)
    assert {stem.shape for stem in stems} == {bounce.shape}
    assert np.array_equal(np.sum(stems, axis=0), bounce)
    peak = measure(bounce).true_peak_dbtp
    assert peak is not None
    assert peak <= -1.0


def test_a_range_request_fetches_one_stem(live_pair: LivePair, story: Story, saved: Path) -> None:
    """Offset and length of each file in the job fetch exactly that file from the ZIP's signed URL."""
    url = live_pair.client.create_signed_url(story.job.job_id).url
    files = unpacked(saved)
    assert [entry.name for entry in story.version.files.zip_entries] == list(files)
    for entry in story.version.files.zip_entries:
        data = fetch(url, entry.offset_bytes, entry.offset_bytes + entry.size_bytes - 1)
        assert data == files[entry.name]
        assert hashlib.sha256(data).hexdigest() == entry.sha256


def test_a_changed_url_is_refused(live_pair: LivePair, story: Story) -> None:
    """A URL for one file does not open another, and a changed expiry is no longer signed."""
    url = live_pair.client.create_signed_url(story.job.job_id, ttl=timedelta(seconds=60)).url
    for changed in (url.replace("v1.zip", "bounce.wav"), url[:-1] + ("0" if url[-1] != "0" else "1")):
        with pytest.raises(HTTPError) as refused:
            fetch(changed)
        assert refused.value.code in {401, 403, 404}


def test_the_manifest_says_the_same(live_pair: LivePair, story: Story, saved: Path) -> None:
    """The stored manifest is the one in the ZIP, and agrees with job and model."""
    inside = unpacked(saved)["manifest.json"]
    assert fetch(live_pair.client.create_signed_url(story.job.job_id, kind=FileKind.MANIFEST).url) == inside
    manifest = json.loads(inside)
    assert manifest["jobId"] == story.job.job_id
    assert manifest["version"] == 1
    assert manifest["createdAt"].rstrip("Z") == story.job.create_time.ToDatetime().replace(microsecond=0).isoformat()
    assert (manifest["sampleRate"], manifest["bitDepth"], manifest["frames"]) == (44100, 24, 88200)
    assert (manifest["seed"], manifest["key"], manifest["prompt"]) == (7, "A minor", "upbeat synths, energetic")
    assert manifest["persona"]["id"] == live_pair.persona
    assert manifest["model"]["name"] == "tiny"
    assert manifest["labels"] == {"scene": "12a"}
    assert manifest["licence"]["licensee"] == "Nova Films"
    assert manifest["stems"]["separator"]["name"] == "tiny_ft"
    assert manifest["lufs"] == manifest["bounce"]["lufs"] == pytest.approx(story.version.loudness.lufs)
    assert manifest["fingerprint"]


def test_the_audit_rows_make_it_licensable(live_pair: LivePair, story: Story) -> None:
    """One row for the bounce and one for the stems hold every input by value or digest; the chain is intact."""
    client, files = live_pair.client, story.version.files
    bounce_row, stems_row = client.list_audit_rows(story.job.job_id)
    assert (bounce_row.kind, stems_row.kind) == ("bounce", "stems")
    assert list(story.version.audit_digests) == [bounce_row.digest, stems_row.digest]
    persona = client.get_persona(live_pair.persona)
    for row in (bounce_row, stems_row):
        body = json.loads(row.body_json)
        assert row.prompt == "upbeat synths, energetic"
        assert row.prompt not in row.body_json
        assert "Nova Films" not in row.body_json
        assert json.loads(row.personal_json)["licence.licensee"] == "Nova Films"
        assert body["bounce"] == {"key": files.bounce.key, "sha256": files.bounce.sha256}
        assert "licence.licensee" in body["personalSha256"]
        assert body["plan"]["personaId"] == live_pair.persona
        assert body["plan"]["personaEmbedding"] == pytest.approx(list(persona.embedding))
        assert body["plan"]["seed"] == 7
        assert body["renderer"]["digests"] == {m.role: m.sha256 for m in client.get_render_model().models}
        assert body["lufs"] == pytest.approx(story.version.loudness.lufs)
        assert body["fingerprint"]
    separated = json.loads(stems_row.body_json)
    assert separated["zip"]["sha256"] == files.zip.sha256
    assert separated["stems"] == {e.name[:-4]: e.sha256 for e in files.zip_entries if e.name[:-4] in STEMS}
    assert separated["separator"]["weightsSha256"] == client.get_separation_model().weights_sha256
    answer = client.verify_audit_chain()
    assert (answer.intact, answer.detail) == (True, "")


def test_a_replay_is_exact(live_pair: LivePair, story: Story) -> None:
    """Rendered again from the audit row, the take has the same samples."""
    answer = live_pair.client.replay(story.job.job_id)
    assert answer.outcome == render_pb2.REPLAY_OUTCOME_EXACT
    assert answer.stored_sha256 == story.version.files.bounce.sha256


def test_a_take_without_stems_has_one_track(live_pair: LivePair, tmp_path: Path) -> None:
    """Its watch ends with the render; stems can be requested later, once, and the ZIP holds the same bounce."""
    client = live_pair.client
    plain = take(client, brief(live_pair.persona))
    check_numbers(plain.events)
    assert {event.track for event in plain.events if event.track} == {job_pb2.PROGRESS_TRACK_RENDER}
    assert plain.events[-1].state == job_pb2.JOB_STATE_DONE
    assert not plain.version.files.HasField("zip")
    with pytest.raises(NotFoundError) as missing:
        client.create_signed_url(plain.job.job_id, kind=FileKind.ZIP)
    assert missing.value.reason == "FILE_NOT_FOUND"

    again = collect_events(client, client.add_stems(plain.job.job_id))
    check_numbers(again.events)
    assert again.events[: len(plain.events)] == plain.events
    assert again.version.files.bounce == plain.version.files.bounce
    assert verify_zip(client.download(plain.job.job_id, tmp_path).path).failures == ()
    with pytest.raises(FailedPreconditionError) as wrong:
        client.add_stems(plain.job.job_id)
    assert wrong.value.reason == "WRONG_STATE"


def test_a_bounce_that_was_changed_on_disk_is_never_used(live_pair: LivePair) -> None:
    """A flipped bit in the stored bounce is DATA_LOSS on replay and when stems are requested."""
    client = live_pair.client
    plain = take(client, brief(live_pair.persona, seed=8))
    path = live_pair.data / "store" / plain.version.files.bounce.key
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataLossError) as lost:
        client.replay(plain.job.job_id)
    assert lost.value.reason == "DIGEST_MISMATCH"
    with pytest.raises(JobFailedError) as failed:
        client.wait(client.add_stems(plain.job.job_id))
    assert failed.value.reason == "DIGEST_MISMATCH"
    assert failed.value.retry_after_s is None


def test_an_erased_prompt_is_in_no_file_of_the_installation(live_pair: LivePair) -> None:
    """Only the named manifest still holds it until the job is deleted; the chain is intact and a replay is refused."""
    client, prompt = live_pair.client, "a lullaby for the lighthouse keeper"
    job_id = take(client, brief(live_pair.persona, prompt=prompt)).job.job_id
    erased = client.erase_prompt(job_id)
    assert (erased.audit_rows, list(erased.keys_with_prompt)) == (1, [f"jobs/{job_id}/v1.json"])
    with pytest.raises(FailedPreconditionError) as refused:
        client.replay(job_id)
    assert refused.value.reason == "INPUT_MISSING"
    files = [path for path in live_pair.data.rglob("*") if path.is_file()]
    assert [path.name for path in files if prompt.encode() in path.read_bytes()] == ["v1.json"]
    client.delete(job_id)
    assert client.erase_prompt(job_id).audit_rows == 0
    assert client.verify_audit_chain().intact
    assert not [path for path in live_pair.data.rglob("*") if path.is_file() and prompt.encode() in path.read_bytes()]
    with pytest.raises(NotFoundError):
        client.erase_prompt("j-01k00000000000000000000000")


def test_half_a_head_is_refused(live_pair: LivePair) -> None:
    """A digest without its sequence would be compared with nothing."""
    with pytest.raises(InvalidRequestError) as refused:
        live_pair.client.verify_audit_chain(head_digest="ab" * 32)
    assert [violation.field for violation in refused.value.violations] == ["head_sequence"]
