"""The bounce stage: the waveform of a take becomes its stored 24-bit WAV, with manifest and audit row.

Letters: ``C`` channels (2), ``T`` samples a channel.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from safetensors.numpy import save

from jobs_service.journal_json import VersionFiles, loudness_json
from render_service.audit import BounceFacts, bounce_draft, manifest_of
from render_service.composer.midi.writing import midi_bytes
from render_service.renderers.renderer import Latents, Waveform
from servicekit.audio.limiter import LOOK_AHEAD_MS, MAX_GAIN_DB, MAX_REDUCTION_DB, Levelled, level
from servicekit.audio.loudness import Loudness, measure
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, Pcm24, from_pcm24, to_pcm24
from servicekit.audio.true_peak import limit_true_peak
from servicekit.audio.wav import Wav, read_wav
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest import FileFacts, Manifest
from servicekit.delivery.manifest_json import manifest_text
from servicekit.journal import Version
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import read_verified
from servicekit.work import Progress, StagedFiles

MAX_TRUE_PEAK_DBTP = -1.0
FADE_IN_MS = 3.0
FADE_OUT_MS = 10.0
_REACHED_LU = 0.1
_MAX_WAV_BYTES = 64 * 1024 * 1024  # 180 s are 47.6 MB


@dataclass(frozen=True, kw_only=True)
class Bounce:
    """A bounce with its samples ``wav.pcm`` ``(2, T)`` int32. Manifest and audit rows are made from ``facts``."""

    wav: Wav
    facts: BounceFacts

    @cached_property
    def manifest(self) -> Manifest:
        """That of the version without stems. Needs the digest of the WAV, which storing it computes in passing."""
        return manifest_of(self.facts, frames=self.wav.frames, bounce=FileFacts.of(self.wav))

    @property
    def pcm(self) -> Pcm24:
        """The samples ``(2, T)``."""
        return self.wav.pcm

    @property
    def sha256(self) -> str:
        """SHA-256 of the WAV."""
        return self.wav.digest.sha256

    @property
    def loudness(self) -> Loudness:
        """Loudness of the rounded samples."""
        return self.wav.facts.loudness

    def samples(self) -> Waveform:
        """The samples that are lent: ``(2, T)`` float32, exact multiples of 2^-23."""
        return from_pcm24(self.wav.pcm)

    def file_at(self, key: str) -> StoredFile:
        """The WAV as a file of the store; without a key for one that is not stored."""
        return StoredFile(key=key, sha256=self.sha256, size_bytes=self.wav.size_bytes)


def make_bounce(waveform: Waveform, facts: BounceFacts) -> Bounce:
    """Bring to the plan's loudness with a true peak of at most -1 dBTP, round to 24 bits and measure. Raises Internal NOT_FINITE.

    The ends are faded, unless they are those of a loop. A plan without a loudness target gets one gain for the true peak.
    """
    plan = facts.plan
    if plan.target_lufs is None:
        limited, processing = _limit_by_gain(waveform)
    else:
        faded, fades = (waveform, ()) if plan.loop else _fade_ends(waveform)
        levelled = level(faded, plan.target_lufs, max_dbtp=MAX_TRUE_PEAK_DBTP, loop=plan.loop)
        limited, processing = levelled.waveform, (*fades, *_level_processing(levelled, plan.target_lufs))
    return _from_pcm(to_pcm24(limited, stage="BOUNCE"), replace(facts, processing=facts.processing + processing))


def _limit_by_gain(waveform: Waveform) -> tuple[Waveform, tuple[str, ...]]:
    """The waveform under one gain, and what is said about it."""
    limited, gain_db = limit_true_peak(waveform, MAX_TRUE_PEAK_DBTP)
    processing = (f"gain {gain_db:.2f} dB for a true peak of at most {MAX_TRUE_PEAK_DBTP:g} dBTP",) if gain_db else ()
    return limited, processing


def _fade_ends(waveform: Waveform) -> tuple[Waveform, tuple[str, ...]]:
    """The waveform with raised-cosine fades, so that it begins and ends at 0 without a click, and what is said about it."""
    faded = waveform.copy()
    frames = waveform.shape[1]
    for ms, ends in ((FADE_IN_MS, faded), (FADE_OUT_MS, faded[:, ::-1])):
        fade_frames = min(round(ms * SAMPLE_RATE_HZ / 1000.0), frames)
        ends[:, :fade_frames] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(fade_frames) / fade_frames, dtype=np.float32)
    return faded, (f"fade-in of {FADE_IN_MS:g} ms and fade-out of {FADE_OUT_MS:g} ms",)


def _level_processing(levelled: Levelled, target_lufs: float) -> Iterator[str]:
    """What was done to the loudness, for the manifest."""
    if levelled.gain_db:
        yield f"gain {levelled.gain_db:+.2f} dB for a loudness of {target_lufs:g} LUFS{_shortfall(levelled, target_lufs)}"
    if levelled.max_reduction_db:
        yield (
            f"look-ahead limiter ({LOOK_AHEAD_MS:g} ms) at {MAX_TRUE_PEAK_DBTP:g} dBTP: "
            f"at most {levelled.max_reduction_db:.2f} dB of reduction"
        )


def _shortfall(levelled: Levelled, target_lufs: float) -> str:
    """Why the target was not reached; nothing where it was."""
    if levelled.lufs is None or target_lufs - levelled.lufs < _REACHED_LU:
        return ""
    limit = f"{MAX_GAIN_DB:g} dB of gain" if levelled.gain_db >= MAX_GAIN_DB else f"{MAX_REDUCTION_DB:g} dB of limiting"
    return f", of which {limit} allows {levelled.lufs:.1f} LUFS"


def _from_pcm(pcm: Pcm24, facts: BounceFacts) -> Bounce:
    loudness = measure(pcm)
    draft = manifest_of(facts, frames=pcm.shape[1], bounce=FileFacts.draft("bounce", loudness))
    wav = Wav(pcm, draft.wav_facts("bounce", loudness))
    return Bounce(wav=wav, facts=facts)


def store_midi(facts: BounceFacts, staged: StagedFiles) -> StoredFile | None:
    """Store the notes of a version as a Standard MIDI File; None, and nothing, without a score."""
    plan = facts.plan
    if plan.score is None:
        return None
    data = midi_bytes(plan.score, tempo_map=plan.tempo_map, key=plan.key, seconds=plan.seconds)
    return staged.put_bytes("midi", data, content_type="audio/midi")


def store_bounce(
    bounce: Bounce, latents: Latents, store: ObjectStore, progress: Progress, *, stems_wanted: bool
) -> VersionFiles:
    """Store bounce, manifest, latents and notes, then commit them with the audit row and the event in one transaction.

    Returns the files. Raises as the store and the journal do; then what was stored is removed.
    """
    with progress.staged_files(store) as staged:
        with staged.writer("bounce", content_type="audio/wav") as sink:
            bounce.wav.write_to(sink)
        text = manifest_text(bounce.manifest).encode()
        manifest = staged.put_bytes("manifest", text, content_type="application/json", is_final=not stems_wanted)
        metadata = {"frontEnd": latents.front_end_id, "samples": str(latents.samples)}
        data = save({"latents": latents.values}, metadata=metadata)
        stored_latents = staged.put_bytes("latents", data, content_type="application/octet-stream")
        midi = store_midi(bounce.facts, staged)
        files = VersionFiles(bounce=sink.stored, manifest=manifest, latents=stored_latents, midi=midi)
        progress.bounce_ready(
            files=files.json(),
            loudness=loudness_json(bounce.loudness),
            audit=bounce_draft(bounce.manifest, bounce.facts, sink.stored, stored_latents, midi),
        )
    return files


def read_bounce(version: Version, facts: BounceFacts, store: ObjectStore) -> Bounce:
    """Read a stored bounce. ``facts`` are those of its audit row. Raises DataLoss if its digest differs."""
    stored = version.files["bounce"]
    data = read_verified(store, stored["key"], stored["sha256"], max_bytes=_MAX_WAV_BYTES)
    return _from_pcm(read_wav(io.BytesIO(data), name=stored["key"]), facts)
