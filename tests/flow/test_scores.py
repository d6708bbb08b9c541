"""Takes from a caller's score, and their notes, from end to end."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import mido
import pytest

from render_service.composer.midi.reading import read_midi
from sonichaos.render.v1 import render_pb2
from sonichaos_client import AlreadyExistsError, FileKind, InvalidRequestError, Score
from tests.support.pair import LivePair
from tests.support.takes import Story, brief, fetch, take


def song() -> bytes:
    """Two bars at 140 bpm in E minor: a bass line and a melody, as a sequencer writes it."""
    file = mido.MidiFile(ticks_per_beat=480)
    metas = (mido.MetaMessage("set_tempo", tempo=428571), mido.MetaMessage("key_signature", key="Em"))
    file.tracks.append(mido.MidiTrack(metas))
    for channel, (name, program, pitches) in enumerate((("Bass", 33, (28, 31)), ("Lead", 81, (71, 74, 76, 79)))):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        track.append(mido.Message("program_change", channel=channel, program=program))
        for pitch in pitches:
            track.append(mido.Message("note_on", channel=channel, note=pitch, velocity=90))
            track.append(mido.Message("note_off", channel=channel, note=pitch, time=1920 // len(pitches)))
        file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


@pytest.fixture(scope="module")
def played(live_pair: LivePair) -> Story:
    """A take of the song, with stems."""
    wanted = brief(live_pair.persona, seconds=4.0, stems=True, score=Score(midi=song()))
    wanted.ClearField("bpm")
    return take(live_pair.client, wanted)


def pitches(data: bytes) -> dict[str, list[int]]:
    """The pitches of each track of a file, by its name."""
    return {track.name: [tone.pitch for tone in track.tones] for track in read_midi(data).tracks}


def test_a_midi_file_is_played_and_comes_back(live_pair: LivePair, played: Story, tmp_path: Path) -> None:
    """Tempo and key are the file's; v1.mid has its notes and no others, by the digest of the row; a replay is exact."""
    resolved = played.version.brief
    assert resolved.score.midi_sha256 == hashlib.sha256(song()).hexdigest()
    assert (resolved.tempo_map.points[0].bpm, resolved.key) == (140.0, "E minor")
    assert (resolved.tempo_source, resolved.key_source) == ("score", "score")
    saved = live_pair.client.download(played.job.job_id, tmp_path, kind=FileKind.MIDI)
    assert saved.path.name == f"{played.job.job_id}-v1.mid"
    assert saved.sha256 == played.version.files.midi.sha256
    assert pitches(saved.path.read_bytes()) == {"Bass": [28, 31], "Line (synths)": [71, 74, 76, 79]}
    assert live_pair.client.replay(played.job.job_id).outcome == render_pb2.REPLAY_OUTCOME_EXACT


def test_chords_are_composed_over(live_pair: LivePair) -> None:
    """Their key is estimated; the same request id with other chords is refused."""
    client = live_pair.client
    wanted = brief(live_pair.persona, score=Score(chords="Am F"))
    job = client.create_render(wanted, request_id="chords-1")
    resolved = job.message.brief
    assert resolved.score.chords == "Am F"
    assert (resolved.key, resolved.key_source) == ("A minor", "score")
    assert client.create_render(wanted, request_id="chords-1").job_id == job.job_id
    with pytest.raises(AlreadyExistsError):
        client.create_render(brief(live_pair.persona, score=Score(chords="Am G")), request_id="chords-1")
    done = client.wait(job)
    basses = pitches(fetch(client.create_signed_url(done.job_id, kind=FileKind.MIDI).url))["Bass"]
    assert {pitch % 12 for pitch in basses} <= {9, 0, 4}


def test_scores_that_cannot_be_played_create_no_job(live_pair: LivePair) -> None:
    """The fields are named."""
    for score, field in ((Score(midi=b"MThd"), "brief.score.midi"), (Score(chords="Am ?"), "brief.score.chords")):
        with pytest.raises(InvalidRequestError) as refused:
            live_pair.client.create_render(brief(live_pair.persona, score=score))
        assert [violation.field for violation in refused.value.violations] == [field]
