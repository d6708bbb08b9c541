"""The same brief gives the same samples under any load and after restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from servicekit.audio.wav import Wav
from servicekit.delivery.manifest_json import read_manifest
from servicekit.delivery.zip_archive import TextContent, write_zip, zip_folder
from servicekit.delivery.zip_headers import PackedFile
from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.errors import AlreadyExistsError, NotFoundError
from tests.flow.conftest import FreshPair
from tests.support.pair import RENDER, SEPARATION, LivePair, Pair, turn_held
from tests.support.takes import STEMS, at, brief, pcm_of, stems_of, take, unpacked, until


@pytest.fixture
def pair(fresh_pair: FreshPair) -> Pair:
    """A pair that may be stopped."""
    return fresh_pair()


def test_neither_load_nor_restarts_matter(pair: Pair, tmp_path: Path) -> None:
    """Alone, repeated, beside another take, after a restart and with the bounce sent in chunks: equal bounce and stems."""
    client = pair.client
    wanted = brief(stems=True, seconds=3.0)
    jobs = {"alone": take(client, wanted).job, "again": take(client, wanted).job}
    with turn_held(pair.data):
        other = client.create_render(brief(stems=True, seconds=5.0, seed=99))
        beside = client.create_render(wanted)
        for job in (other, beside):
            until(client, job, at(job_pb2.STAGE_PLAN))
    jobs["beside another"] = client.wait(beside)
    client.wait(other)
    for service in (RENDER, SEPARATION):
        pair.kill(service)
    pair.settings = {**pair.settings, "SONICHAOS_RENDER_HANDOFF": "chunks"}
    pair.start()
    jobs["after a restart, in chunks"] = take(client, wanted).job
    samples = {name: stems_of(client, job.job_id, tmp_path) for name, job in jobs.items()}
    assert {name: found for name, found in samples.items() if found != samples["alone"]} == {}
    different = take(client, brief(stems=True, seconds=3.0, seed=8)).job
    assert stems_of(client, different.job_id, tmp_path) != samples["alone"]


def test_the_zip_is_a_function_of_its_wavs_and_manifest(live_pair: LivePair, tmp_path: Path) -> None:
    """Packed again from the samples and the manifest inside it, the ZIP is the same, byte for byte."""
    job = take(live_pair.client, brief(live_pair.persona, stems=True)).job
    saved = live_pair.client.download(job.job_id, tmp_path).path
    files = unpacked(saved)
    text = files["manifest.json"].decode()
    manifest = read_manifest(text)
    assert manifest.stems is not None
    facts = {"bounce": manifest.bounce} | dict(zip(STEMS, manifest.stems.files, strict=True))
    wavs = {
        name: Wav(pcm_of(files[f"{name}.wav"]), manifest.wav_facts(name, of.loudness))  # type: ignore[arg-type]
        for name, of in facts.items()
    }
    packed = [PackedFile(f"{name}.wav", wav, wav.digest) for name, wav in wavs.items()]
    again = tmp_path / "again.zip"
    with again.open("wb") as sink:
        write_zip(sink, zip_folder(job.job_id, 1), [*packed, PackedFile.of("manifest.json", TextContent(text))])
    assert again.read_bytes() == saved.read_bytes()


def test_a_request_id_makes_one_job(live_pair: LivePair) -> None:
    """A retry returns the same job, also after it ended; another brief with the same id is refused, naming the job."""
    client = live_pair.client
    made = client.create_render(brief(live_pair.persona, seed=21), request_id="take-21")
    client.wait(made)
    assert client.create_render(brief(live_pair.persona, seed=21), request_id="take-21").job_id == made.job_id
    with pytest.raises(AlreadyExistsError) as reused:
        client.create_render(brief(live_pair.persona, seed=22), request_id="take-21")
    assert reused.value.reason == "REQUEST_ID_REUSED"
    assert reused.value.metadata["job_id"] == made.job_id


def test_another_persona_gives_another_take(live_pair: LivePair, tmp_path: Path) -> None:
    """With the same prompt and seed, another persona gives another take; an unknown persona id is refused by name."""
    client = live_pair.client
    first = take(client, brief(live_pair.persona, seed=31)).version.files.bounce
    second = take(client, brief(live_pair.other_persona, seed=31)).version.files.bounce
    paths = [live_pair.data / "store" / bounce.key for bounce in (first, second)]
    one, other = (pcm_of(path.read_bytes()) for path in paths)
    assert (one != other).any()
    known = {persona.id: list(persona.embedding) for persona in client.list_personas()}
    assert known[live_pair.persona] != known[live_pair.other_persona]
    with pytest.raises(NotFoundError) as missing:
        client.create_render(brief("nobdy"))
    assert missing.value.reason == "PERSONA_NOT_FOUND"
    assert live_pair.persona in missing.value.metadata["known"]
