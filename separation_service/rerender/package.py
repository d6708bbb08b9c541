"""Packages a re-render: new bounce and new stem as WAVs, three stems as they are stored, and the manifest of all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from separation_service.package import Package, separator_facts
from separation_service.receive import ReceivedBounce
from separation_service.rerender.align import AlignedStem
from separation_service.rerender.base_version import BaseVersion
from separation_service.separate import SeparatedStems
from separation_service.timing.progress import StageProgress
from servicekit.audio.loudness import measure
from servicekit.audio.wav import Wav
from servicekit.delivery.manifest import FileFacts, StemsFacts
from servicekit.delivery.manifest_json import manifest_text
from servicekit.delivery.names import STEMS, StemName
from servicekit.delivery.zip_headers import PackedFile
from servicekit.errors import Internal
from servicekit.journal import Stage

_STEPS = 3


def pack_rerender(
    mix: ReceivedBounce, stems: SeparatedStems, base: BaseVersion, aligned: AlignedStem, progress: StageProgress
) -> Package:
    """Loudness, digests, manifest; three progress steps. The manifest of the new ``mix`` is completed here."""
    progress.stage(Stage.PACKAGE, _STEPS)
    draft, stem = mix.manifest, base.take.stem
    new = Wav(aligned.stem, draft.wav_facts(stem, measure(aligned.stem)))
    progress.step(1, total=_STEPS)
    bounce = Wav(aligned.bounce, draft.wav_facts("bounce", measure(aligned.bounce)))
    progress.step(2, total=_STEPS)
    manifest = replace(
        draft,
        bounce=FileFacts.of(bounce),
        processing=(
            *base.manifest.processing,
            *(f"new mix: {line}" for line in draft.processing),
            *aligned.processing,
        ),
        rerender=_rerender_facts(mix, base, aligned),
    ).with_stems(_stems_facts(base, new, stems), fingerprint=stems.fingerprint)
    text = manifest_text(manifest)
    wavs: dict[StemName, PackedFile] = {**base.copied, stem: _packed(new)}
    progress.step(_STEPS, total=_STEPS)
    return Package(
        manifest=manifest,
        manifest_json=text,
        audio=(_packed(bounce), *(wavs[name] for name in STEMS)),
        fingerprint=stems.fingerprint,
        new_bounce=bounce,
    )


def _packed(wav: Wav) -> PackedFile:
    return PackedFile(f"{wav.facts.name}.wav", wav, wav.digest)


def _stems_facts(base: BaseVersion, new: Wav, stems: SeparatedStems) -> StemsFacts:
    """Mode, residual and excess are those of the base, for they are in its copied stems; the separator is the new stem's."""
    earlier = base.manifest.stems
    if earlier is None:
        raise Internal(f"v{base.manifest.version} has no stems to copy", metadata={"stage": Stage.PACKAGE})
    files = zip(STEMS, earlier.files, strict=True)
    return replace(
        earlier,
        separator=separator_facts(stems.separator),
        files=tuple(FileFacts.of(new) if name == base.take.stem else file for name, file in files),
    )


def _rerender_facts(mix: ReceivedBounce, base: BaseVersion, aligned: AlignedStem) -> dict[str, Any]:
    separator = base.manifest.stems.separator if base.manifest.stems else None
    return {
        **(mix.manifest.rerender or {}),
        "kept": base.copied_facts,
        "keptSeparator": None
        if separator is None
        else {"name": separator.name, "weightsSha256": separator.weights_sha256},
        "mixSha256": mix.wav.digest.sha256,
        **aligned.report.facts,
    }
