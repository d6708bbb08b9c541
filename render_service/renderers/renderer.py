"""The Renderer protocol: a plan in, sound out. A renderer knows nothing about jobs or files.

Letters: ``C`` channels (2), ``T`` samples, ``L`` latent frames, ``D`` latent channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from render_service.composer.planner import Planner
from render_service.plan import Plan
from render_service.renderers.tempo_limits import TempoLimits

StepReport = Callable[[int, int], None]
"""Called as ``report(steps_done, steps_total)`` after every step; raises to stop the work (cancel, expiry)."""

Waveform = NDArray[np.float32]
"""``(C, T)`` float32 at 44100 Hz, full scale 1.0."""


@dataclass(frozen=True, kw_only=True)
class Latents:
    """Denoised latents ``(D, L)`` float32, the id of the front end that reads them, and the take's length in samples."""

    values: NDArray[np.float32]
    front_end_id: str
    samples: int


@dataclass(frozen=True, kw_only=True)
class InitLatents:
    """Latents that denoising starts from, mixed with noise. ``strength`` is the share of noise, above 0 and up to 1."""

    latents: Latents
    strength: float


@dataclass(frozen=True, kw_only=True)
class ModelDigest:
    """One weights file of a loaded renderer."""

    role: str
    sha256: str
    parameters: int


@dataclass(frozen=True, kw_only=True)
class RendererInfo:
    """What is loaded, and what it can do.

    ``supports_init_latents``: ``denoise`` accepts init latents and ``encode`` makes them from a recording.
    ``tempo_limits`` is None where the renderer follows any tempo map. ``processing`` lists what is done to the model's
    output, for the manifest. ``fingerprint`` holds the renderer's part of the execution fingerprint.
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
    supports_init_latents: bool = False
    fingerprint: Mapping[str, str]
    processing: tuple[str, ...] = ()
    tempo_limits: TempoLimits | None = None


class Renderer(Protocol):
    """A loaded stack of models. Not thread-safe: callers hold the GPU lock."""

    @property
    def info(self) -> RendererInfo:
        """What is loaded, and what it can do."""

    @property
    def planner(self) -> Planner | None:
        """Writes the scores that this renderer plays; None if it plays none. Safe for several threads, without the GPU lock."""

    def warm(self) -> None:
        """Pay the one-time costs (compilation, caches) before the first job."""

    def denoise(self, plan: Plan, report: StepReport, init_latents: InitLatents | None = None) -> Latents:
        """Denoise from noise, or from ``init_latents``. Deterministic in its arguments.

        Raises FailedPrecondition MODEL_UNUSABLE for init latents of another front end or length.
        """

    def encode(self, waveform: Waveform) -> Latents:
        """Encode a recording ``(2, T)`` to latents that ``denoise`` can start from."""

    def vocode(self, latents: Latents, plan: Plan, report: StepReport) -> Waveform:
        """Decode latents to ``(2, round(seconds * 44100))``. Deterministic in its arguments."""

    def embed_persona(self, clips: Sequence[Waveform]) -> NDArray[np.float32]:
        """Pool reference clips into one vector of length 1, ``(embedding_size,)``."""


def no_report(done: int, total: int) -> None:
    """A `StepReport` for work whose steps nobody follows: a warm-up or a replay."""
