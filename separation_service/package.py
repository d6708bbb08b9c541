"""Stems become four WAVs, and with the bounce and the completed manifest the files of a ZIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from separation_service.engine import SeparatorInfo
from separation_service.receive import Received
from separation_service.scratch import BufferWav, PcmBuffer, Scratch
from separation_service.separate import Separated
from separation_service.stems.exact_sum import Stems24, block_count, exact_stems, raw_stems
from separation_service.timing.progress import StageProgress
from servicekit.audio.loudness import Meter
from servicekit.audio.pcm24 import CHANNELS, SAMPLE_RATE_HZ, Pcm24
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.manifest import FileFacts, SeparatorFacts, StemsFacts
from servicekit.delivery.manifest_json import manifest_text
from servicekit.delivery.names import STEMS, StemMode, StemName
from servicekit.delivery.zip_archive import TextContent
from servicekit.delivery.zip_headers import PackedFile


@dataclass(frozen=True, kw_only=True)
class Package:
    """The files of a version in the order of the ZIP: bounce, drums, bass, vocals, other, manifest.

    ``fingerprint`` is the separation's.
    """

    job_id: str
    version: int
    files: tuple[PackedFile, ...]
    manifest_json: str
    fingerprint: Mapping[str, str]

    @property
    def keys(self) -> VersionKeys:
        """Where the version's files lie in the store."""
        return VersionKeys(self.job_id, self.version)

    @property
    def audio_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(file.digest.size_bytes for file in self.files)


def pack(
    received: Received,
    stems: Separated,
    scratch: Scratch,
    progress: StageProgress,
    *,
    mode: StemMode,
    separator: SeparatorInfo,
    fingerprint: Mapping[str, str],
) -> Package:
    """Integers, loudness, digests, manifest; one progress step a block of samples, one a stem and one for the manifest.

    ``stems`` are the four of the ZIP. Raises `Internal` NOT_FINITE and `ResourceExhausted` DISK_FULL.
    """
    steps = _Steps(progress, total=block_count(received.frames) + len(STEMS) + 1)
    recorders = [_Recorder(scratch.pcm(received.frames)) for _ in STEMS]
    under_way: list[Future[None]] = []

    def take(fitted: Stems24) -> None:
        # A block is measured and written while the next one is fitted.
        _wait_for(under_way)
        under_way[:] = [threads.submit(recorder.add, pcm) for recorder, pcm in zip(recorders, fitted, strict=True)]
        steps.one_more()

    def finish(stem: StemName, recorder: _Recorder) -> BufferWav:
        wav = BufferWav(recorder.track, received.manifest.wav_facts(stem, recorder.meter.loudness()))
        _ = wav.digest
        return wav

    with ThreadPoolExecutor(len(STEMS), thread_name_prefix="pack") as threads:
        fitted = (exact_stems if mode is StemMode.EXACT else raw_stems)(received.wav, stems, take)
        _wait_for(under_way)
        wavs = []
        for wav in threads.map(finish, STEMS, recorders):
            wavs.append(wav)
            steps.one_more()
    facts = StemsFacts(
        mode=mode,
        separator=SeparatorFacts(name=separator.name, weights_sha256=separator.weights_sha256),
        files=tuple(FileFacts.of(wav) for wav in wavs),
        residual_rule=fitted.residual_rule,
        residual_dbfs=fitted.residual_dbfs,
        excess_samples=fitted.excess_samples,
    )
    manifest = received.manifest.with_stems(facts, fingerprint=fingerprint)
    text = manifest_text(manifest)
    steps.one_more()
    audio = [PackedFile(f"{wav.facts.name}.wav", wav, wav.digest) for wav in (received.wav, *wavs)]
    return Package(
        job_id=manifest.job_id,
        version=manifest.version,
        files=(*audio, PackedFile.of("manifest.json", TextContent(text))),
        manifest_json=text,
        fingerprint=fingerprint,
    )


def warm_packing(scratch: Scratch) -> None:
    """Load what fitting and measuring need, on a second of silence."""
    bounce, stems = scratch.pcm(SAMPLE_RATE_HZ), scratch.floats(len(STEMS) * CHANNELS, SAMPLE_RATE_HZ)
    bounce.append(np.zeros((CHANNELS, SAMPLE_RATE_HZ), dtype=np.int32))
    stems.append(np.zeros((len(STEMS) * CHANNELS, SAMPLE_RATE_HZ), dtype=np.float32))
    meter = Meter()
    exact_stems(bounce, Separated(names=STEMS, track=stems, fingerprint={}), lambda fitted: meter.add(fitted[0]))
    meter.loudness()


def _wait_for(futures: Sequence[Future[None]]) -> None:
    """Raise what one of them raised."""
    for future in futures:
        future.result()


class _Recorder:
    """A stem as it is written and measured."""

    def __init__(self, track: PcmBuffer) -> None:
        self.track = track
        self.meter = Meter()

    def add(self, pcm: Pcm24) -> None:
        self.track.append(pcm)
        self.meter.add(pcm)


class _Steps:
    """Counts the steps of a stage."""

    def __init__(self, progress: StageProgress, *, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def one_more(self) -> None:
        self._done += 1
        self._progress.step(self._done, total=self._total)
