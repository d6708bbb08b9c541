"""The ``sonichaos`` command against the live pair, as a person and as a script use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pair import LivePair
from tests.support.takes import pcm_of

SONICHAOS = Path(sys.executable).parent / "sonichaos"
BRIEF = ("--prompt", "upbeat synths", "--seconds", "2", "--seed", "7", "--bpm", "120", "--key", "A minor")


def sonichaos(pair: LivePair, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    return subprocess.run(
        [str(SONICHAOS), *arguments], env=dict(pair.env), capture_output=True, text=True, check=False, timeout=300
    )


def lines(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The JSON objects on stdout, of a successful run."""
    assert run.returncode == 0, run.stdout + run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The download folder."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def take(live_pair: LivePair, folder: Path) -> list[dict[str, Any]]:
    """A take with stems, rendered by a script."""
    arguments = ("render", *BRIEF, "--persona", live_pair.persona, "--stems", "--json", "--out", str(folder))
    return lines(sonichaos(live_pair, *arguments))


@pytest.fixture(scope="module")
def job_id(take: list[dict[str, Any]]) -> str:
    """The take's job id."""
    return str(take[0]["jobId"])


def test_a_script_reads_the_take_line_by_line(take: list[dict[str, Any]], job_id: str, folder: Path) -> None:
    """The job, its numbered events on both tracks, the file, the job as it ended."""
    *events, file, last = take[1:]
    assert [int(event["sequence"]) for event in events] == list(range(1, len(events) + 1))
    assert {event["track"] for event in events} >= {"PROGRESS_TRACK_RENDER", "PROGRESS_TRACK_STEMS"}
    assert any(event["kind"] == "EVENT_KIND_BOUNCE_READY" for event in events)
    assert (last["jobId"], last["state"]) == (job_id, "JOB_STATE_DONE")
    assert file["path"] == str(folder / f"{job_id}-v1.zip")
    assert file["sha256"] == last["versions"][0]["files"]["zip"]["sha256"]


def test_the_zip_keeps_the_contract(live_pair: LivePair, take: list[dict[str, Any]], job_id: str, folder: Path) -> None:
    """The downloaded ZIP verifies; with one byte changed, verification fails with its exit status."""
    archive = folder / f"{job_id}-v1.zip"
    assert lines(sonichaos(live_pair, "verify", str(archive), "--json"))[0]["valid"] is True
    changed = bytearray(archive.read_bytes())
    changed[len(changed) // 2] ^= 1
    (folder / "changed.zip").write_bytes(changed)
    assert sonichaos(live_pair, "verify", str(folder / "changed.zip")).returncode == 3


def test_the_audit_replays_the_take(live_pair: LivePair, job_id: str) -> None:
    """Two rows, an intact chain, and an exact replay on the machine that rendered it."""
    *rows, chain, replay = lines(sonichaos(live_pair, "audit", job_id, "--replay", "--json"))
    assert [row["kind"] for row in rows] == ["bounce", "stems"]
    assert chain["intact"] is True
    assert replay["outcome"] == "REPLAY_OUTCOME_EXACT"


@pytest.fixture
def added(live_pair: LivePair, clips: dict[str, Path], tmp_path: Path) -> Iterator[str]:
    """A persona that the command added from a folder of clips, and deletes again."""
    folder = tmp_path / "clips"
    folder.mkdir()
    shutil.copy(clips["hiss"], folder)
    arguments = ("persona", "add", "steam", "--clips", str(folder), "--prefix", "escaping steam")
    assert lines(sonichaos(live_pair, *arguments, "--json"))[0]["id"] == "steam"
    assert "steam" in [line["id"] for line in lines(sonichaos(live_pair, "personas", "--json"))]
    yield "steam"
    assert sonichaos(live_pair, "persona", "delete", "steam").returncode == 0


def test_a_person_adds_a_persona_follows_a_take_and_fetches_it_later(
    live_pair: LivePair, take: list[dict[str, Any]], added: str, tmp_path: Path
) -> None:
    """With a persona of the caller's; detached, watched as text, downloaded, signed, stems requested later, deleted.

    But for the persona the brief is that of `take`, and so is the plan that was made of it; what is heard is another.
    """
    detached = sonichaos(live_pair, "render", *BRIEF, "--persona", added, "--detach")
    job_id = detached.stdout.strip()
    assert detached.returncode == 0, detached.stderr
    watched = sonichaos(live_pair, "watch", job_id, "--out", str(tmp_path))
    assert watched.returncode == 0, watched.stderr
    assert "render [##########] 100%" in watched.stderr
    mine, before = (live_pair.client.get_job(job) for job in (job_id, take[0]["jobId"]))
    assert (mine.brief.persona_id, mine.brief.seed) == (added, before.brief.seed)
    assert mine.brief.tempo_map == before.brief.tempo_map
    with zipfile.ZipFile(take[-2]["path"]) as archive:
        theirs = pcm_of(archive.read(next(name for name in archive.namelist() if name.endswith("bounce.wav"))))
    ours = pcm_of((tmp_path / f"{job_id}-v1.wav").read_bytes())
    assert ours.shape == theirs.shape
    assert (ours != theirs).any()
    assert sonichaos(live_pair, "get", job_id, "--out", str(tmp_path)).returncode == 2
    url = sonichaos(live_pair, "sign-url", job_id).stdout.strip()
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  our own server on loopback
        assert answer.read() == (tmp_path / f"{job_id}-v1.wav").read_bytes()
    stems = sonichaos(live_pair, "stems", job_id, "--out", str(tmp_path))
    assert stems.returncode == 0, stems.stderr
    assert sonichaos(live_pair, "verify", str(tmp_path / f"{job_id}-v1.zip")).returncode == 0
    assert job_id in sonichaos(live_pair, "jobs").stdout
    assert sonichaos(live_pair, "delete", job_id).returncode == 0
    assert sonichaos(live_pair, "get", job_id).returncode == 2


def test_a_recording_is_separated(live_pair: LivePair, tmp_path: Path) -> None:
    """Any 44.1 kHz WAV gives a ZIP of the same form; another rate is refused."""
    seconds = np.arange(2 * 44100) / 44100
    samples = (8000 * np.sin(2 * np.pi * 220 * seconds)).astype("<i2").repeat(2)
    for rate_hz in (44100, 48000):
        with wave.open(str(tmp_path / f"{rate_hz}.wav"), "wb") as file:
            file.setparams((2, 2, rate_hz, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
    *_, saved, job = lines(
        sonichaos(live_pair, "separate", str(tmp_path / "44100.wav"), "--json", "--out", str(tmp_path))
    )
    assert job["owner"] == "OWNING_SERVICE_SEPARATION"
    assert sonichaos(live_pair, "verify", saved["path"]).returncode == 0
    refused = sonichaos(live_pair, "separate", str(tmp_path / "48000.wav"))
    assert refused.returncode == 2
    assert "INVALID_AUDIO" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--persona", "nobdy"), "PERSONA_NOT_FOUND"),
        (("--seconds", "1000"), "Error: --seconds: "),
        (("--bpm", "1000"), "Error: --bpm: "),
        (("--key", "H major"), "Error: --key: "),
        (("--prompt", ""), "Error: --prompt: "),
        (("--lyrics", "la la"), "UNSUPPORTED_BY_RENDERER"),
    ],
)
def test_refused_input_names_what_is_wrong(live_pair: LivePair, arguments: tuple[str, str], said: str) -> None:
    """Exit status 2, and the option or the reason in the message."""
    run = sonichaos(live_pair, "render", *BRIEF, "--persona", live_pair.persona, *arguments)
    assert run.returncode == 2, run.stderr
    assert said in run.stderr
