"""A re-render's files: the new bounce and stem as WAVs, three stems as they are stored, and the manifest that tells of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from separation_service.engine import SeparatorInfo
from separation_service.package import Package
from separation_service.receive import Received
from separation_service.rerender.align import Aligned
from separation_service.rerender.base_version import Base
from separation_service.timing.progress import StageProgress
from servicekit.audio.loudness import Loudness, measure
from servicekit.audio.wav import Wav
from servicekit.delivery.manifest import FileFacts, Manifest, SeparatorFacts, StemsFacts
from servicekit.delivery.manifest_json import manifest_text
from servicekit.delivery.names import STEMS, StemName
from servicekit.delivery.zip_archive import TextContent
from servicekit.delivery.zip_headers import PackedFile
from servicekit.errors import Internal

STEPS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class NewVersion:
    """What a re-render made: the bounce, and the package that holds it."""

    bounce: Wav
    package: Package

    @property
    def loudness(self) -> Loudness:
        """Of the bounce."""
        return self.bounce.facts.loudness


def pack_rerender(
    received: Received,
    base: Base,
    aligned: Aligned,
    progress: StageProgress,
    *,
    separator: SeparatorInfo,
    fingerprint: Mapping[str, str],
) -> NewVersion:
    """Loudness, digests, manifest; three progress steps. ``received`` is the new mix, with the manifest that is completed here."""
    draft, stem = received.manifest, base.take.stem
    new = Wav(aligned.stem, draft.wav_facts(stem, measure(aligned.stem)))
    progress.step(1, total=STEPS)
    bounce = Wav(aligned.bounce, draft.wav_facts("bounce", measure(aligned.bounce)))
    progress.step(2, total=STEPS)
    stems = _stems_facts(base, stem, FileFacts.of(new), separator)
    manifest = replace(
        draft,
        bounce=FileFacts.of(bounce),
        processing=_processing(base, draft, aligned),
        rerender=_rerender_facts(draft, base, aligned, received),
    ).with_stems(stems, fingerprint=fingerprint)
    text = manifest_text(manifest)
    files: dict[str, PackedFile] = {
        "bounce": PackedFile("bounce.wav", bounce, bounce.digest),
        **{str(kind): file for kind, file in base.kept.items()},
        stem: PackedFile(f"{stem}.wav", new, new.digest),
    }
    package = Package(
        job_id=manifest.job_id,
        version=manifest.version,
        files=(*(files[name] for name in ("bounce", *STEMS)), PackedFile.of("manifest.json", TextContent(text))),
        manifest_json=text,
        fingerprint=fingerprint,
    )
    progress.step(STEPS, total=STEPS)
    return NewVersion(bounce=bounce, package=package)


def _stems_facts(base: Base, stem: StemName, new: FileFacts, separator: SeparatorInfo) -> StemsFacts:
    """Mode, residual and excess stay those of the base, in whose kept stems they lie; the separator is the new stem's."""
    before = base.manifest.stems
    if before is None:
        raise Internal(f"v{base.version} has no stems to keep", metadata={"stage": "PACKAGE"})
    files = tuple(new if name == stem else file for name, file in zip(STEMS, before.files, strict=True))
    now = SeparatorFacts(name=separator.name, weights_sha256=separator.weights_sha256)
    return replace(before, separator=now, files=files)


def _processing(base: Base, draft: Manifest, aligned: Aligned) -> tuple[str, ...]:
    mix = tuple(f"new mix: {what}" for what in draft.processing)
    return (*base.manifest.processing, *mix, *aligned.processing)


def _rerender_facts(draft: Manifest, base: Base, aligned: Aligned, received: Received) -> dict[str, Any]:
    separator = base.manifest.stems.separator if base.manifest.stems else None
    return {
        **(draft.rerender or {}),
        "kept": base.kept_facts,
        "keptSeparator": None
        if separator is None
        else {"name": separator.name, "weightsSha256": separator.weights_sha256},
        "mixSha256": received.wav.digest.sha256,
        **aligned.report.facts,
    }
