"""Packages a version: stems become four WAVs, and with bounce and completed manifest the files of a ZIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from separation_service.engine import SeparatorInfo, StemWaveforms
from separation_service.receive import ReceivedBounce
from separation_service.scratch import BufferWav, PcmBuffer, Scratch
from separation_service.separate import SeparatedStems
from separation_service.stems.exact_sum import Stems24, block_count, exact_stems, raw_stems
from separation_service.timing.progress import StageProgress
from servicekit.audio.loudness import Meter
from servicekit.audio.pcm24 import CHANNELS, SAMPLE_RATE_HZ, Pcm24
from servicekit.audio.wav import Wav
from servicekit.delivery.manifest import FileFacts, Manifest, SeparatorFacts, StemsFacts
from servicekit.delivery.manifest_json import manifest_text
from servicekit.delivery.names import STEMS, StemMode, StemName
from servicekit.delivery.zip_archive import TextContent
from servicekit.delivery.zip_headers import PackedFile
from servicekit.journal import Stage


@dataclass(frozen=True, kw_only=True)
class Package:
    """The files of a version. Its ``manifest_json`` is complete; ``fingerprint`` is the separation's.

    ``new_bounce`` is set where the bounce was made here, for a re-render: it is to be stored beside the ZIP.
    """

    manifest: Manifest
    manifest_json: str
    audio: tuple[PackedFile, ...]
    fingerprint: Mapping[str, str]
    new_bounce: Wav | None = None

    @property
    def files(self) -> tuple[PackedFile, ...]:
        """In the order of the ZIP: bounce, drums, bass, vocals, other, manifest."""
        return (*self.audio, PackedFile.of("manifest.json", TextContent(self.manifest_json)))


@dataclass(frozen=True, kw_only=True)
class AllStems:
    """An order for all four stems of a bounce. ``loop``: their ends lead into their starts, as the bounce's does."""

    mode: StemMode
    loop: bool = False


def pack(
    bounce: ReceivedBounce, stems: SeparatedStems, mode: StemMode, scratch: Scratch, progress: StageProgress
) -> Package:
    """Integers, loudness, digests, manifest; one progress step for each block of samples, each stem and the manifest.

    ``stems`` are the four of the ZIP. Raises `Internal` NOT_FINITE and `ResourceExhausted` DISK_FULL.
    """
    progress.stage(Stage.PACKAGE)
    steps = _Steps(progress, total=block_count(bounce.frames) + len(STEMS) + 1)
    recorders = [_Recorder(scratch.pcm(bounce.frames)) for _ in STEMS]
    pending: list[Future[None]] = []

    def on_block(fitted: Stems24) -> None:
        # A block is measured and written while the next one is fitted.
        _wait_for(pending)
        pending[:] = [threads.submit(recorder.add, pcm) for recorder, pcm in zip(recorders, fitted, strict=True)]
        steps.one_more()

    def finish(stem: StemName, recorder: _Recorder) -> BufferWav:
        wav = BufferWav(recorder.samples, bounce.manifest.wav_facts(stem, recorder.meter.loudness()))
        _ = wav.digest
        return wav

    with ThreadPoolExecutor(len(STEMS), thread_name_prefix="pack") as threads:
        fit = (exact_stems if mode is StemMode.EXACT else raw_stems)(bounce.wav, stems, on_block)
        _wait_for(pending)
        wavs = []
        for wav in threads.map(finish, STEMS, recorders):
            wavs.append(wav)
            steps.one_more()
    facts = StemsFacts(
        mode=mode,
        separator=separator_facts(stems.separator),
        files=tuple(FileFacts.of(wav) for wav in wavs),
        residual_rule=fit.residual_rule,
        residual_dbfs=fit.residual_dbfs,
        excess_samples=fit.excess_samples,
    )
    manifest = bounce.manifest.with_stems(facts, fingerprint=stems.fingerprint)
    text = manifest_text(manifest)
    steps.one_more()
    return Package(
        manifest=manifest,
        manifest_json=text,
        audio=tuple(PackedFile(f"{wav.facts.name}.wav", wav, wav.digest) for wav in (bounce.wav, *wavs)),
        fingerprint=stems.fingerprint,
    )


def separator_facts(info: SeparatorInfo) -> SeparatorFacts:
    """The separator as a manifest names it."""
    return SeparatorFacts(name=info.name, weights_sha256=info.weights_sha256)


def warm_packing(scratch: Scratch) -> None:
    """Load what fitting and measuring need, on a second of silence."""
    frames = SAMPLE_RATE_HZ
    bounce, stems = scratch.pcm(frames), np.zeros((len(STEMS), CHANNELS, frames), dtype=np.float32)
    bounce.append(np.zeros((CHANNELS, frames), dtype=np.int32))
    meter = Meter()
    exact_stems(bounce, _ArrayStems(stems), lambda fitted: meter.add(fitted[0]))
    meter.loudness()


@dataclass(frozen=True)
class _ArrayStems:
    """`ModelStems` over an array ``(S, C, T)``."""

    samples: StemWaveforms

    @property
    def frames(self) -> int:
        return int(self.samples.shape[2])

    def read(self, start: int, stop: int) -> StemWaveforms:
        return self.samples[:, :, start:stop]


def _wait_for(futures: Sequence[Future[None]]) -> None:
    """Wait for all of them. Raises what one of them raised."""
    for future in futures:
        future.result()


class _Recorder:
    """Writes and measures a stem."""

    def __init__(self, samples: PcmBuffer) -> None:
        self.samples = samples
        self.meter = Meter()

    def add(self, pcm: Pcm24) -> None:
        self.samples.append(pcm)
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
