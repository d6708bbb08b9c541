"""What a re-render replaces, and the stage that aligns the new stem with it."""

from __future__ import annotations

from dataclasses import dataclass

from separation_service.alignment import BarRange, Grid, Key
from separation_service.alignment.timing import StemNotes
from separation_service.receive import ReceivedBounce
from separation_service.rerender.align import AlignedStem, align
from separation_service.rerender.base_version import BaseVersion, BaseVersionRef
from separation_service.rerender.target import AlignmentTarget
from separation_service.separate import SeparatedStems
from separation_service.timing.progress import StageProgress
from servicekit.audio.pcm24 import from_pcm24
from servicekit.delivery.names import StemName

MAX_TRUE_PEAK_DBTP = -1.0
"""Limit for the bounce of a take that was rendered here (docs/contract.md, section 3). An upload keeps its own peak."""


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """Which stem of which version is replaced, on which grid; ``region`` None: in the whole take.

    ``notes`` that the new stem plays, None where they are unknown. ``match_mix``: the bounce keeps its loudness and third octaves
    too, not only the stem its loudness; ``prefer_new_sound``: with as little change of the new sound as that allows. ``loop``: the
    take's end leads into its start.
    """

    stem: StemName
    base: BaseVersionRef
    grid: Grid
    region: BarRange | None
    allow_drift: bool
    match_mix: bool
    prefer_new_sound: bool = False
    notes: StemNotes | None = None
    loop: bool = False


def align_replacement(
    mix: ReceivedBounce, stems: SeparatedStems, base: BaseVersion, replacement: Replacement, progress: StageProgress
) -> AlignedStem:
    """Align the only one of ``stems``, separated from ``mix``, with the base version. Raises as `align`."""
    key = mix.manifest.key
    target = AlignmentTarget(
        base=base.take,
        grid=replacement.grid,
        key=None if key is None else Key.named(key),
        region=replacement.region,
        allow_drift=replacement.allow_drift,
        match_mix=replacement.match_mix,
        prefer_new_sound=replacement.prefer_new_sound,
        notes=replacement.notes,
        loop=replacement.loop,
        max_true_peak_dbtp=None if base.is_upload else MAX_TRUE_PEAK_DBTP,
    )
    waveform = from_pcm24(mix.wav.read(0, mix.frames))
    return align(waveform, stems.read(0, stems.frames)[0], target, progress)
