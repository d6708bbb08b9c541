"""The bounce becomes stems, while this thread has the device."""

from __future__ import annotations

from collections.abc import Sequence

from separation_service.engine import STEMS, Separator, StemName, StemWaveforms
from separation_service.progress import StageProgress
from separation_service.receive import Received
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, from_pcm24
from servicekit.clock import Clock
from servicekit.gpu_turn import GpuTurn
from servicekit.journal import Stage


class Speed:
    """How fast the last separation was."""

    def __init__(self) -> None:
        self.realtime_factor = 0.0
        """Seconds of audio a second of work; 0 before the first."""

    def note(self, *, audio_s: float, work_s: float) -> None:
        """One separation ended."""
        self.realtime_factor = audio_s / max(work_s, 1e-9)


def separate(
    received: Received,
    separator: Separator,
    turn: GpuTurn,
    progress: StageProgress,
    *,
    clock: Clock,
    speed: Speed,
    stems: Sequence[StemName] = STEMS,
) -> StemWaveforms:
    """Stems ``(N, C, T)`` float32; one progress step a segment and model, none while it waits for its turn."""
    progress.stage(Stage.SEPARATE, separator.steps(received.frames, stems))
    with turn.taken(check=progress.check):
        began_s = clock.monotonic_s()
        mix = from_pcm24(received.wav.pcm)
        separated = separator.separate(mix, lambda done, total: progress.step(done, total=total), stems)
        if len(stems) == len(STEMS):  # fewer models say nothing of a whole separation's speed
            speed.note(audio_s=received.frames / SAMPLE_RATE_HZ, work_s=clock.monotonic_s() - began_s)
    return separated
