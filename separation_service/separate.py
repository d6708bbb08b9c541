"""The bounce becomes stems, while this thread has the device."""

from __future__ import annotations

from separation_service.engine import Separator, StemWaveforms
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
    received: Received, separator: Separator, turn: GpuTurn, progress: StageProgress, *, clock: Clock, speed: Speed
) -> StemWaveforms:
    """Stems ``(4, C, T)`` float32; one progress step a segment and model, none while it waits for its turn."""
    progress.stage(Stage.SEPARATE, separator.steps(received.frames))
    with turn.taken(check=progress.check):
        began_s = clock.monotonic_s()
        stems = separator.separate(from_pcm24(received.wav.pcm), lambda done, total: progress.step(done, total=total))
        speed.note(audio_s=received.frames / SAMPLE_RATE_HZ, work_s=clock.monotonic_s() - began_s)
    return stems
