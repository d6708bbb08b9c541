"""Re-render of one stem: the next version beside the original, with three stems and all else unchanged."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from render_service.composer.midi.reading import Tone, read_midi
from render_service.plan import plan_from_json
from servicekit.journal.personal import whole_body
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos_client import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidRequestError,
    Job,
    JobFailedError,
    NotFoundError,
    SonichaosError,
    Stem,
    TempoMap,
    TempoPoint,
)
from sonichaos_client.verify import verify_zip
from tests.flow.conftest import FreshPair
from tests.support.pair import RENDER, SEPARATION, Pair
from tests.support.rerenders import files_of, folder_of, of, start_rerender
from tests.support.takes import STEMS, Story, at, brief, check_numbers, collect_events, pcm_of, take, until
from tests.support.tiny_separator import tiny_separator

BPM = 170.0
BAR_S = 4 * 60.0 / BPM  # no whole number of samples


@pytest.fixture(scope="module")
def pair(module_pair: FreshPair, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A pair whose separator gives audible stems."""
    repo = tiny_separator(tmp_path_factory.mktemp("loud") / "separator", gain=12.0)
    return module_pair(SONICHAOS_SEPARATOR_REPO=str(repo), SONICHAOS_RENDER_STEPS="12")


@pytest.fixture(scope="module")
def base(pair: Pair) -> Story:
    """The original that most tests re-render: two bars and most of a third."""
    return take(pair.client, brief("tone", stems=True, key="A minor", seconds=4.0, bpm=BPM))


def again(pair: Pair, job_id: str, stem: Stem = Stem.VOCALS, **changes: object) -> tuple[Story, job_pb2.Version]:
    """Re-render and watch to the end; all events of the job, and the new version."""
    fields = {"persona_id": "hiss", "seed": 5, "base_version": 1, **changes}
    made = pair.client.rerender_stem(job_id, stem, **fields)  # type: ignore[arg-type]
    story = collect_events(pair.client, made.message)
    return story, next(version for version in story.job.versions if version.number == made.version)


@pytest.fixture(scope="module")
def remade(pair: Pair, base: Story) -> tuple[Story, job_pb2.Version, dict[str, str]]:
    """The original's vocals with another persona, from its latents, and the stored files from before."""
    before = folder_of(pair, base.job.job_id)
    story, version = again(pair, base.job.job_id, strength=0.9)
    return story, version, before


Remade = tuple[Story, job_pb2.Version, dict[str, str]]


def test_v2_lies_beside_v1(pair: Pair, base: Story, remade: Remade, tmp_path: Path) -> None:
    """v2 has its own files, v1 and its latents keep every byte, and the job stays DONE."""
    story, version, before = remade
    job_id = base.job.job_id
    after = folder_of(pair, job_id)
    assert set(after) - set(before) == {"v2.wav", "v2.mid", "v2.json", "v2.zip"}
    assert {name: after[name] for name in before} == before
    assert (story.job.state, version.state) == (job_pb2.JOB_STATE_DONE, job_pb2.JOB_STATE_DONE)
    assert story.job.versions[0] == base.job.versions[0]
    assert (version.base_version, version.rerendered_stem) == (1, brief_pb2.STEM_VOCALS)
    assert (version.brief.persona_id, version.brief.seed, version.brief.key) == ("hiss", 5, "A minor")
    assert version.files.bounce.sha256 == after["v2.wav"]
    saved = pair.client.download(job_id, tmp_path, version=2).path
    assert saved.name == f"{job_id}-v2.zip"
    assert verify_zip(saved).failures == ()


def test_three_stems_are_kept_and_the_bounce_is_their_sum(pair: Pair, base: Story, remade: Remade) -> None:
    """The other stems are those of v1 byte for byte; in integers, new bounce = old bounce - old stem + new stem."""
    old, new = (files_of(pair, base.job.job_id, number) for number in (1, 2))
    for name in STEMS:
        assert (old[f"{name}.wav"] == new[f"{name}.wav"]) == (name != "vocals")
    was, now = ({name: pcm_of(files[f"{name}.wav"]) for name in ("bounce", "vocals")} for files in (old, new))
    assert np.array_equal(now["bounce"], was["bounce"] - was["vocals"] + now["vocals"])
    assert not np.array_equal(now["vocals"], was["vocals"])
    assert new["bounce.wav"] == (pair.data / "store" / "jobs" / base.job.job_id / "v2.wav").read_bytes()


def test_the_story_has_both_tracks(remade: Remade) -> None:
    """Events continue v1's sequence on both tracks, from plan to store; BOUNCE_READY and STEMS_READY come together at the end."""
    story, _, _ = remade
    check_numbers(story.events)
    mine = [event for event in story.events if event.version == 2]
    stages = list(dict.fromkeys(job_pb2.Stage.Name(event.stage)[6:] for event in mine if event.stage))
    assert " ".join(stages) == "PLAN DENOISE VOCODE BOUNCE HANDOFF RECEIVE SEPARATE ALIGN PACKAGE STORE"
    for track in (job_pb2.PROGRESS_TRACK_RENDER, job_pb2.PROGRESS_TRACK_STEMS):
        fractions = [event.fraction for event in mine if event.track == track]
        assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    kinds = [event.kind for event in mine if event.kind != job_pb2.EVENT_KIND_PROGRESS]
    ready = [job_pb2.EVENT_KIND_BOUNCE_READY, job_pb2.EVENT_KIND_STEMS_READY]
    assert kinds == [job_pb2.EVENT_KIND_STATE, job_pb2.EVENT_KIND_STATE, *ready, job_pb2.EVENT_KIND_STATE]


def test_manifest_and_audit_row_say_how(pair: Pair, base: Story, remade: Remade) -> None:
    """Both name base, stem, start, kept stems and measurements; the row holds every input, and the chain is intact."""
    _, version, _ = remade
    manifest = json.loads(files_of(pair, base.job.job_id, 2)["manifest.json"])
    facts = manifest["rerender"]
    assert (facts["baseVersion"], facts["stem"], facts["persona"], facts["seed"]) == (1, "vocals", "hiss", 5)
    assert (facts["fresh"], facts["strength"], facts["accepted"]) == (False, 0.9, False)
    assert {stem: kept["version"] for stem, kept in facts["kept"].items()} == {"drums": 1, "bass": 1, "other": 1}
    assert set(facts["delivered"]) == {"grid", "drums", "bass", "notes", "calibrated"}
    assert (facts["judgedAgainst"], facts["zeroMs"]) == ("score", None)
    assert any(words.startswith("vocals: ") for words in manifest["processing"])
    (row,) = [row for row in pair.client.list_audit_rows(base.job.job_id) if row.version == 2]
    assert list(version.audit_digests) == [row.digest]
    body = json.loads(row.body_json)
    assert body["plan"]["personaId"] == "hiss"
    assert body["rerender"] == {name: value for name, value in facts.items() if name != "onsets"}
    assert body["order"]["latents"]["sha256"] == base.version.files.latents.sha256
    assert body["order"]["base"]["zip"]["sha256"] == base.version.files.zip.sha256
    assert body["zip"]["sha256"] == version.files.zip.sha256
    assert body["stems"]["drums"] == manifest["stems"]["files"]["drums"]["sha256"]
    assert pair.client.verify_audit_chain().intact


def test_a_replay_of_a_re_render(pair: Pair, base: Story, remade: Remade) -> None:
    """It gives the same samples, and refuses by name if an input is missing."""
    job_id = base.job.job_id
    answer = pair.client.replay(job_id, version=2)
    assert answer.outcome == render_pb2.REPLAY_OUTCOME_EXACT
    assert answer.stored_sha256 == remade[1].files.bounce.sha256
    latents = pair.data / "store" / base.version.files.latents.key
    away = latents.rename(pair.folder / "latents")
    with pytest.raises(FailedPreconditionError) as missing:
        pair.client.replay(job_id, version=2)
    away.rename(latents)
    assert missing.value.reason == "INPUT_MISSING"
    assert missing.value.metadata["missing"] == base.version.files.latents.key


def test_a_request_id_gives_the_same_version(pair: Pair, base: Story, remade: Remade) -> None:
    """A retry creates nothing; the same id with another request is refused."""
    fields = {"job": base.job.job_id, "stem": Stem.OTHER, "persona_id": "hiss", "request_id": "once"}
    first = pair.client.rerender_stem(**fields)  # type: ignore[arg-type]
    assert pair.client.rerender_stem(**fields).version == first.version  # type: ignore[arg-type]
    with pytest.raises(AlreadyExistsError) as reused:
        pair.client.rerender_stem(**fields, prompt="calm horns")  # type: ignore[arg-type]
    assert reused.value.reason == "REQUEST_ID_REUSED"
    done = pair.client.wait(first.message, version=first.version)
    assert [version.number for version in done.versions] == [1, 2, 3]
    assert done.versions[2].base_version == 2
    assert {kept["version"] for kept in kept_of(pair, base.job.job_id, 3).values()} == {1, 2}


def kept_of(pair: Pair, job_id: str, version: int) -> dict[str, dict[str, object]]:
    """The origin of a version's kept stems."""
    manifest = json.loads(files_of(pair, job_id, version)["manifest.json"])
    kept: dict[str, dict[str, object]] = manifest["rerender"]["kept"]
    return kept


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"stem": Stem.DRUMS}, FailedPreconditionError, "SWITCHED_OFF"),
        ({"stem": Stem.UNSPECIFIED}, InvalidRequestError, "INVALID_FIELD"),
        ({"persona_id": "", "seed": None}, InvalidRequestError, "INVALID_FIELD"),
        ({"persona_id": "tone", "seed": None, "base_version": 1}, InvalidRequestError, "INVALID_FIELD"),
        ({"persona_id": "nobody"}, NotFoundError, "PERSONA_NOT_FOUND"),
        ({"base_version": 99}, NotFoundError, "VERSION_NOT_FOUND"),
        ({"from_bar": 2}, InvalidRequestError, "INVALID_FIELD"),
        ({"from_bar": 2, "to_bar": 4}, InvalidRequestError, "INVALID_FIELD"),
        ({"strength": 1.5}, InvalidRequestError, "INVALID_FIELD"),
        ({"strength": 0.5, "from_noise": True}, InvalidRequestError, "INVALID_FIELD"),
        ({"bpm": 100.0}, InvalidRequestError, "INVALID_FIELD"),
        ({"job": "j-01hq0000000000000000000000"}, NotFoundError, "JOB_NOT_FOUND"),
    ],
    ids=str,
)
def test_what_is_refused(
    pair: Pair, base: Story, changes: dict[str, object], kind: type[SonichaosError], reason: str
) -> None:
    """Each with its own reason, before a version is created."""
    fields = {"job": base.job.job_id, "stem": Stem.BASS, "persona_id": "hiss", "seed": 5, **changes}
    before = len(pair.client.get_job(base.job.job_id).versions)
    with pytest.raises(kind) as refused:
        pair.client.rerender_stem(**fields)  # type: ignore[arg-type]
    assert refused.value.reason == reason
    if reason == "SWITCHED_OFF":
        assert refused.value.metadata == {"setting": "drums_rerender"}
    assert len(pair.client.get_job(base.job.job_id).versions) == before


def test_a_region(pair: Pair, base: Story) -> None:
    """Only the named bars change; before and after them every bit of every file is the same."""
    job_id = base.job.job_id
    _, version = again(pair, job_id, Stem.BASS, from_bar=2, to_bar=2)
    old, new = (files_of(pair, job_id, number) for number in (1, version.number))
    facts = json.loads(new["manifest.json"])["rerender"]
    assert facts["region"] == {"fromBar": 2, "toBar": 2}
    first, last = (math.ceil(line * BAR_S * 44100) for line in (1, 2))
    for name in ("bass", "bounce"):
        before, after = (pcm_of(files[f"{name}.wav"]) for files in (old, new))
        assert np.array_equal(before[:, :first], after[:, :first])
        assert np.array_equal(before[:, last:], after[:, last:])
        changed = np.flatnonzero((before != after).any(axis=0))
        assert changed.size > 0.8 * (last - first)
    assert {name for name in STEMS if old[f"{name}.wav"] != new[f"{name}.wav"]} == {"bass"}
    assert new["bounce.wav"] == (pair.data / "store" / "jobs" / job_id / f"v{version.number}.wav").read_bytes()
    assert [seam["bar"] for seam in facts["seams"]] == [2, 3]
    for seam in facts["seams"]:
        assert BAR_S <= seam["fromSecond"] < seam["toSecond"] < 2 * BAR_S


def test_a_new_part_has_other_notes(pair: Pair, base: Story, remade: Remade) -> None:
    """In the plan and in the version's MIDI file; the other stems' notes stay, and without it all do."""
    job_id, client = base.job.job_id, pair.client
    _, version = again(pair, job_id, Stem.BASS, new_part=True, allow_drift=True)
    number = version.number
    plans = {
        row.version: whole_body(row.body_json, json.loads(row.personal_json)) for row in client.list_audit_rows(job_id)
    }
    old, new = (plan_from_json({**plans[key]["plan"], "prompt": ""}).score for key in (1, number))
    assert old is not None
    assert new is not None
    assert plans[number]["order"]["newPart"]
    for stem in STEMS:
        events = [[event for event in score.events if event.stem == stem] for score in (old, new)]
        assert (events[0] == events[1]) == (stem != "bass"), stem
    assert (new.sections, new.instrumentation) == (old.sections, old.instrumentation)
    before, after, kept = (tracks_of(pair, job_id, key) for key in (1, number, 2))
    assert {name for name in before if before[name] != after[name]} == {"Bass"}
    assert before.keys() == after.keys()
    assert kept == before


def test_a_re_rendered_loop_goes_round(pair: Pair) -> None:
    """From the last sample of the new stem and of the new bounce to the first is no further than between any two others."""
    made = take(pair.client, brief("tone", stems=True, loop=True, seconds=4.0, bpm=BPM))
    _, version = again(pair, made.job.job_id, Stem.OTHER, allow_drift=True)
    files = files_of(pair, made.job.job_id, version.number)
    for name in ("other", "bounce"):
        samples = pcm_of(files[f"{name}.wav"])
        assert samples.shape[1] == round(2 * BAR_S * 44100)
        assert np.abs(samples[:, 0] - samples[:, -1]).max() <= np.abs(np.diff(samples, axis=1)).max(), name
    (row,) = [row for row in pair.client.list_audit_rows(made.job.job_id) if row.version == version.number]
    assert json.loads(row.body_json)["order"]["loop"]


def tracks_of(pair: Pair, job_id: str, version: int) -> dict[str, tuple[Tone, ...]]:
    """The notes of each track of a version's MIDI file."""
    data = (pair.data / "store" / "jobs" / job_id / f"v{version}.mid").read_bytes()
    return {track.name: track.tones for track in read_midi(data).tracks}


@pytest.mark.parametrize("fields", [{}, {"from_noise": True}])
def test_from_noise_gives_another_stem(pair: Pair, base: Story, fields: dict[str, bool]) -> None:
    """The same request from noise, the default of a take with notes, gives another stem and records it."""
    _, version = again(pair, base.job.job_id, **fields)
    new = files_of(pair, base.job.job_id, version.number)
    assert new["vocals.wav"] != files_of(pair, base.job.job_id, 2)["vocals.wav"]
    facts = json.loads(new["manifest.json"])["rerender"]
    assert (facts["fresh"], facts["strength"]) == (True, None)


def test_two_at_once_have_two_numbers(pair: Pair) -> None:
    """Re-renders accepted at the same time become versions 2 and 3, and both end."""
    job_id = take(pair.client, brief(stems=True, seed=21)).job.job_id

    def ask(stem: Stem) -> int:
        return pair.client.rerender_stem(job_id, stem, persona_id="hiss", seed=4).version

    with ThreadPoolExecutor(2) as threads:
        numbers = list(threads.map(ask, (Stem.BASS, Stem.OTHER)))
    assert sorted(numbers) == [2, 3]
    for number in numbers:
        pair.client.wait(pair.client.get_job(job_id), version=number)
    rendered = {version.number: version.rerendered_stem for version in pair.client.get_job(job_id).versions}
    assert {rendered[number] for number in numbers} == {Stem.BASS, Stem.OTHER}
    names = pair.stored(job_id)
    assert [name for name in names if name.endswith(".zip")] == ["v1.zip", "v2.zip", "v3.zip"]
    pair.client.delete(job_id)
    assert pair.stored(job_id) == []


def test_an_upload_is_re_rendered(pair: Pair, tmp_path: Path) -> None:
    """With the caller's tempo map and key; the job moves to render_service, and the separated files stay.

    Also after the re-render was deleted.
    """
    rng = np.random.default_rng(3)
    beats = np.zeros(4 * 44100)
    for beat in range(8):
        beats[beat * 22050 : beat * 22050 + 2000] = rng.standard_normal(2000) * np.linspace(0.5, 0.0, 2000)
    recording = tmp_path / "beats.wav"
    soundfile.write(recording, np.stack([beats, beats]).T, 44100, subtype="PCM_24")
    heard = pair.client.analyze_file(recording)
    assert heard.seconds == pytest.approx(4.0)
    job = pair.client.wait(pair.client.separate_file(recording))
    assert job.owner == job_pb2.OWNING_SERVICE_SEPARATION
    wanted = {"stem": Stem.OTHER, "persona_id": "tone", "prompt": "synths", "seed": 6}
    with pytest.raises(InvalidRequestError) as lacking:
        pair.client.rerender_stem(job, **wanted)  # type: ignore[arg-type]
    assert {violation.field for violation in lacking.value.violations} == {"tempo_map", "key"}
    grid = TempoMap(points=[TempoPoint(bpm=120.0)])
    story, version = again(pair, job.job_id, base_version=0, tempo_map=grid, key="C major", allow_drift=True, **wanted)  # type: ignore[arg-type]
    assert version.state == job_pb2.JOB_STATE_DONE
    assert story.job.owner == job_pb2.OWNING_SERVICE_RENDER
    check_numbers(story.events)
    assert verify_zip(pair.client.download(job.job_id, tmp_path, version=2).path).failures == ()
    old, new = (files_of(pair, job.job_id, number) for number in (1, 2))
    assert old["drums.wav"] == new["drums.wav"]
    assert json.loads(new["manifest.json"])["tempoMap"]["points"][0]["bpm"] == 120.0
    assert pair.client.replay(job.job_id, version=2).outcome == render_pb2.REPLAY_OUTCOME_EXACT

    marked = pair.client.delete_version(job, 2)  # the message is from before the job moved
    assert [one.HasField("delete_time") for one in marked.versions] == [False, True]
    assert files_of(pair, job.job_id, 1) == old
    with pytest.raises(NotFoundError, match="its files were deleted"):
        pair.client.create_signed_url(job.job_id, version=2)
    with pytest.raises(FailedPreconditionError, match="the files of version 2, which was deleted"):
        pair.client.replay(job.job_id, version=2)


def test_a_killed_re_render_is_retried(pair: Pair, base: Story) -> None:
    """If either service dies during a re-render, the version restarts from its beginning; drums too once their switch is on.

    Drums of untrained models have no onsets: beyond the limits, unless the caller accepts it, and the report counts both.
    """
    client = pair.client
    made = start_rerender(pair, base.job.job_id)
    until(client, made.message, of(made.version, at(job_pb2.STAGE_SEPARATE)), after_sequence=made.message.last_sequence)
    pair.kill(SEPARATION)
    pair.start(SEPARATION)
    done = client.wait(made.message, version=made.version)
    assert done.versions[made.version - 1].state == job_pb2.JOB_STATE_DONE
    second = start_rerender(pair, base.job.job_id)
    until(
        client,
        second.message,
        of(second.version, at(job_pb2.STAGE_DENOISE)),
        after_sequence=second.message.last_sequence,
    )
    pair.kill(RENDER)
    pair.settings = {**pair.settings, "SONICHAOS_DRUMS_RERENDER": "true"}
    pair.start(RENDER)
    job = client.wait(second.message, version=second.version)
    attempts = {event.attempt for event in client.watch(job, version=second.version) if event.version == second.version}
    assert max(attempts) >= 2
    with pytest.raises(JobFailedError) as beyond:
        remake_drums(pair, base.job.job_id, allow_drift=False)
    assert beyond.value.reason == "DRIFT_EXCEEDED"
    assert (beyond.value.metadata["stem"], beyond.value.metadata["judged_against"]) == ("drums", "grid")
    assert pair.client.get_job(base.job.job_id).versions[-1].files.zip.key == ""
    remake_drums(pair, base.job.job_id, allow_drift=True)
    report = client.get_drift_report()
    assert [(drift.within_limits, drift.accepted) for drift in report.drifts] == [(False, True), (False, False)]
    assert not report.threshold_met
    assert client.verify_audit_chain().intact


def remake_drums(pair: Pair, job_id: str, *, allow_drift: bool) -> Job:
    """Raises JobFailedError as the version fails."""
    fields = {"persona_id": "hiss", "seed": 5, "base_version": 1, "allow_drift": allow_drift}
    made = pair.client.rerender_stem(job_id, Stem.DRUMS, **fields)  # type: ignore[arg-type]
    return pair.client.wait(made.message, version=made.version)
