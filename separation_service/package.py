"""Stems become four WAVs, and with the bounce and the completed manifest the files of a ZIP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from separation_service.engine import STEMS, SeparatorInfo, StemWaveforms
from separation_service.exact_sum import exact_stems, raw_stems
from separation_service.progress import StageProgress
from separation_service.receive import Received
from servicekit.audio.loudness import measure
from servicekit.audio.wav import Wav
from servicekit.delivery.manifest import FileFacts, SeparatorFacts, StemMode, StemsFacts
from servicekit.delivery.manifest_json import manifest_text
from servicekit.delivery.zip_archive import PackedFile, TextContent


@dataclass(frozen=True, kw_only=True)
class Package:
    """The files of a version in the order of the ZIP: bounce, drums, bass, vocals, other, manifest."""

    job_id: str
    version: int
    files: tuple[PackedFile, ...]
    manifest_json: str

    @property
    def audio_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(file.digest.size_bytes for file in self.files)


def pack(
    received: Received,
    stems: StemWaveforms,
    progress: StageProgress,
    *,
    mode: StemMode,
    separator: SeparatorInfo,
    fingerprint: Mapping[str, str],
) -> Package:
    """Integers, loudness, digests, manifest; one progress step a stem and one each for the sum and the manifest.

    ``stems`` is float32 ``(4, C, T)``. Raises `Internal` NOT_FINITE.
    """
    total = len(STEMS) + 2
    fit = exact_stems if mode == "exact" else raw_stems
    fitted = fit(received.wav.pcm, stems)
    progress.step(1, total=total)
    wavs = []
    for index, (stem, pcm) in enumerate(zip(STEMS, fitted.pcm, strict=True)):
        wavs.append(Wav(pcm, received.manifest.wav_facts(stem, measure(pcm))))
        _ = wavs[-1].digest
        progress.step(index + 2, total=total)
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
    audio = [PackedFile(f"{wav.facts.track}.wav", wav, wav.digest) for wav in (received.wav, *wavs)]
    return Package(
        job_id=manifest.job_id,
        version=manifest.version,
        files=(*audio, PackedFile.of("manifest.json", TextContent(text))),
        manifest_json=text,
    )
