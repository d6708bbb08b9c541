"""Files, texts and addresses that callers control: mutated, each reader refuses them in its own words and never fails otherwise."""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random

import mido
import numpy as np
import soundfile

from render_service.composer.given import GivenChords, GivenMidi
from render_service.composer.midi.smf import MidiError
from render_service.music.chord_text import ChordTextError
from render_service.music.key import Key, KeyFormatError
from render_service.music.prompt_words import read_prompt
from render_service.music.tempo_map import TempoMap
from render_service.personas.clips import Clip
from servicekit.audio.pcm24 import MAX_SAMPLE, MIN_SAMPLE
from servicekit.audio.upload import read_upload, read_upload_header
from servicekit.audio.wav import read_wav
from servicekit.delivery.manifest_json import manifest_text, read_manifest
from servicekit.errors import DataLoss, InvalidAudio, InvalidFields, InvalidToken
from servicekit.ids import is_job_id
from servicekit.journal.tokens import Sealer
from servicekit.store.byte_range import UnsatisfiableRange, parse_range
from servicekit.store.object_key import InvalidKey, check_key, download_name
from servicekit.store.url_signer import RefusedUrl, UrlSigner
from sonichaos_client.verify import verify_zip
from tests.support.mutation import mutated_bytes, mutated_text, reader
from tests.support.separation_pipeline import Take, take_of
from tests.support.stems_zip import delivery

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def audio(kind: str, subtype: str, seconds: float = 1.5) -> bytes:
    """Noise in a format."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * 44100), 2))
    sink = io.BytesIO()
    soundfile.write(sink, noise, 44100, format=kind, subtype=subtype)
    return sink.getvalue()


@cache
def midi() -> bytes:
    """A song of two tracks with tempo, metre and key."""
    song = mido.MidiFile(ticks_per_beat=480)
    meta, notes = mido.MidiTrack(), mido.MidiTrack()
    meta += [
        mido.MetaMessage("set_tempo", tempo=500_000),
        mido.MetaMessage("time_signature", numerator=3, denominator=4),
        mido.MetaMessage("key_signature", key="Am"),
        mido.MetaMessage("set_tempo", tempo=400_000, time=1440),
    ]
    for pitch in range(48, 72):
        notes += [
            mido.Message("note_on", channel=pitch % 10, note=pitch, velocity=90, time=0),
            mido.Message("note_off", channel=pitch % 10, note=pitch, velocity=0, time=240),
        ]
    song.tracks += [meta, notes]
    sink = io.BytesIO()
    song.save(file=sink)
    return sink.getvalue()


@cache
def take() -> Take:
    """A bounce of a thousand frames, and its manifest."""
    return take_of(np.arange(2000, dtype=np.int32).reshape(2, 1000))


@cache
def archive() -> bytes:
    """A delivered ZIP."""
    with tempfile.TemporaryDirectory() as folder:
        return delivery(frames=1500).pack(Path(folder) / "a.zip").read_bytes()


@reader
def test_uploads(rng: Random) -> None:
    """A mutated WAV is separated or refused as INVALID_AUDIO."""
    data = mutated_bytes(audio("WAV", rng.choice(("PCM_16", "PCM_24", "FLOAT", "DOUBLE", "PCM_U8"))), rng)
    with suppress(InvalidAudio):
        pcm = read_upload(data, read_upload_header(data, max_seconds=60.0))
        assert MIN_SAMPLE <= pcm.min() <= pcm.max() <= MAX_SAMPLE


@reader
def test_stored_wavs(rng: Random) -> None:
    """A damaged stored WAV is DATA_LOSS."""
    data = mutated_bytes(b"".join(take().wav.chunks()), rng)
    with suppress(DataLoss):
        read_wav(io.BytesIO(data), name="jobs/x/bounce.wav")


@reader
def test_clips(rng: Random) -> None:
    """A mutated clip of each format is decoded or refused as INVALID_AUDIO, naming it."""
    form = rng.choice((("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("OGG", "VORBIS")))
    with suppress(InvalidAudio):
        samples = Clip(data=mutated_bytes(audio(*form), rng)).waveform(name="clip 3")
        assert samples.shape[0] == 2
        assert np.isfinite(samples).all()


@reader
def test_midi_files(rng: Random) -> None:
    """A mutated MIDI file becomes a playable score or is a MidiError."""
    with suppress(MidiError):
        given_midi = GivenMidi.read(mutated_bytes(midi(), rng))
        tempo_map = given_midi.tempo_map() or TempoMap.constant(120.0)
        seconds = min(max(given_midi.seconds(tempo_map), 2.0), 180.0)
        given_midi.estimate_key(tempo_map, seconds)
        given_midi.score(tempo_map=tempo_map, seconds=seconds, instrumental=False)


@reader
def test_texts_of_briefs(rng: Random) -> None:
    """Chords, keys and prompts: read or refused by their own errors."""
    chords = mutated_text("| C | G7/B | Am F | F#m7b5 |", rng, "|ABCDEFG#bmdusj79/ %-\n\0é")
    with suppress(ChordTextError):
        GivenChords.read(chords).estimate_key()
    with suppress(KeyFormatError):
        Key.parse(mutated_text("F# minor", rng, "ABCDEFG#b majorinMAJOR\n\0é♯"))
    read_prompt(mutated_text("upbeat synths in A minor, 120 bpm, no vocals", rng, "0123456789 bpm.,-\n\0é"))


@reader
def test_manifests(rng: Random) -> None:
    """A mutated manifest is read, and then written again, or refused by field."""
    text = mutated_text(manifest_text(take().manifest), rng, '{}[]",:0123456789eE+-.truefalsn\\u')
    with suppress(InvalidFields):
        assert json.loads(manifest_text(read_manifest(text)))


@reader
def test_zips(rng: Random) -> None:
    """Verification of a mutated ZIP ends with a report; most changes are in the headers."""
    data = archive()
    at = rng.choice((0, len(data) - 900))
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(data[:at] + mutated_bytes(data[at:], rng))
        file.flush()
        assert verify_zip(file.name).checked


SIGNER = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=lambda: NOW)
SEALER = Sealer(b"k" * 32)


@reader
def test_urls_ranges_tokens_and_ids(rng: Random) -> None:
    """Only what was signed or sealed is taken; everything else is refused in its own words."""
    key = "jobs/j-01ks4k8000abcdefghjkmnpqrs/v1.zip"
    signed = SIGNER.sign(key, ttl_s=60).url.partition("?")[2]
    other_key = mutated_text(key, rng, "abcj/.-_%\\\0é ?&#")
    other_query = mutated_text(signed, rng, "0123456789abcdef&=%expires\0é")
    for name, query in ((other_key, signed), (key, other_query), (other_key, other_query)):
        try:
            SIGNER.check(name, query)
        except RefusedUrl:
            continue
        assert (name, query) == (key, signed)
    with suppress(InvalidKey):
        checked = check_key(other_key)
        assert not {"..", "", "."} & set(checked.split("/"))
        assert "/" not in download_name(checked)
    with suppress(UnsatisfiableRange):
        part = parse_range(mutated_text("bytes=0-499", rng, "bytes=0123456789-, \t\0é"), 1000)
        assert part is None or 0 <= part.first < part.end <= 1000
    token = SEALER.seal([1, "j"], "jobs", "local")
    other_token = mutated_text(token, rng, "ABCabc0189-_=\0é")
    with suppress(InvalidToken):
        SEALER.open(other_token, "jobs", "local")
        assert other_token == token
    assert not is_job_id(other_key)
