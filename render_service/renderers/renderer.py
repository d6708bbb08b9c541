"""What a renderer is to the rest of the house: the road from a plan to sound, and nothing about jobs or files.

Letters: ``C`` channels (2), ``T`` samples, ``L`` latent frames, ``D`` latent channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from render_service.music.tempo_map import TempoMap
from render_service.plan import Plan

StepReport = Callable[[int, int], None]
"""Called as ``report(steps_done, steps_total)`` after every step; raises to stop the work (cancel, expiry)."""

Waveform = NDArray[np.float32]
"""``(C, T)`` float32 at 44100 Hz, full scale 1.0."""


@dataclass(frozen=True, kw_only=True)
class Latents:
    """Denoised latents ``(D, L)`` float32, and what they cover: the front end's id and the length in samples."""

    values: NDArray[np.float32]
    front_end_id: str
    samples: int


@dataclass(frozen=True, kw_only=True)
class InitLatents:
    """Where denoising begins instead of at noise: ``latents`` of which ``strength``, above 0 and up to 1, is noise."""

    latents: Latents
    strength: float


@dataclass(frozen=True, kw_only=True)
class ModelDigest:
    """One weights file of a loaded renderer."""

    role: str
    sha256: str
    parameters: int


@dataclass(frozen=True, kw_only=True)
class TempoLimits:
    """Of a renderer that is told tempo and metre in words: one whole tempo throughout, straight, from the start on.

    ``metres``: beats a bar and beat unit of those that it knows.
    """

    metres: tuple[tuple[int, int], ...]

    def problem(self, tempo_map: TempoMap) -> str | None:
        """What is wanted and what came, where it cannot follow; None where it can."""
        first, metres = tempo_map.points[0], ", ".join(f"{beats}/{unit}" for beats, unit in self.metres)
        tempi = {(point.bpm, point.beats_per_bar, point.beat_unit) for point in tempo_map.points}
        if len(tempi) > 1:
            return f"wants one tempo and metre throughout, got {len(tempi)}"
        if not float(first.bpm).is_integer():
            return f"wants a whole number of beats a minute, got {first.bpm:g}"
        if (first.beats_per_bar, first.beat_unit) not in self.metres:
            return f"wants one of the metres {metres}, got {first.beats_per_bar}/{first.beat_unit}"
        if tempo_map.swing != 0.5:
            return f"wants straight beats, got a swing of {tempo_map.swing:g}"
        if tempo_map.first_downbeat_s != 0.0:
            return f"wants the first downbeat at 0 s, got {tempo_map.first_downbeat_s:g} s"
        return None


@dataclass(frozen=True, kw_only=True)
class RendererInfo:
    """What is loaded. ``fingerprint`` holds the parts of the execution fingerprint that the renderer knows.

    ``supports_start``: it denoises from a start, and encodes recordings to make one.
    ``tempo_limits`` is None where any tempo map is followed. ``processing``: what is done to the model's sound.
    """

    name: str
    licence: str
    models: tuple[ModelDigest, ...]
    min_seconds: float
    max_seconds: float
    default_steps: int
    default_guidance: float
    embedding_size: int
    supports_lyrics: bool
    supports_start: bool = False
    fingerprint: Mapping[str, str]
    processing: tuple[str, ...] = ()
    tempo_limits: TempoLimits | None = None


class Renderer(Protocol):
    """A loaded, warmed stack of models. Not safe for two threads at once: callers hold the GPU turn."""

    @property
    def info(self) -> RendererInfo:
        """What is loaded."""

    def warm(self) -> None:
        """Do once what the first render would otherwise wait for."""

    def denoise(self, plan: Plan, report: StepReport, start: InitLatents | None = None) -> Latents:
        """Noise, or a start, to latents. Deterministic in its arguments.

        Raises FailedPrecondition MODEL_UNUSABLE for a start of another front end or length.
        """

    def encode(self, waveform: Waveform) -> Latents:
        """A recording ``(2, T)`` as latents that denoising can start from."""

    def vocode(self, latents: Latents, plan: Plan, report: StepReport) -> Waveform:
        """Latents to ``(2, round(seconds * 44100))``. Deterministic in its arguments."""

    def embed_persona(self, clips: Sequence[Waveform]) -> NDArray[np.float32]:
        """Reference clips to one vector of length 1, ``(embedding_size,)``."""
