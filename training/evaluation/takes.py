"""Takes on held-out seeds, and what each is held against: the corpus song itself, and its ceiling.

The ceiling is a corpus song through autoencoder and vocoder: what perfect latents would sound like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from render_service.plan import Plan
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.renderer import Latents
from training.corpus.builtin_personas import personas
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.persona import PersonaSpec
from training.corpus.score import Score
from training.corpus.song import Song, perform

Waveform = NDArray[np.float32]
Embedding = NDArray[np.float32]

_CLIP_SEEDS = 810_000_000


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Length of a take and how it is sampled."""

    seconds: float
    steps: int
    guidance: float


@dataclass(frozen=True, kw_only=True)
class Trio:
    """One held-out song, its ceiling, and a take that was asked for the same, with its latents."""

    song: Song
    persona: int
    ceiling: Waveform
    take: Waveform
    latents: Latents


@dataclass(frozen=True, kw_only=True)
class Studio:
    """A renderer with the named personas as it hears them: ``embeddings`` ``(12, E)``, in the order of personas.json."""

    renderer: LatentDiffusion
    sampling: Sampling
    embeddings: NDArray[np.float32] = field(repr=False)

    def trio(self, song: Song, persona: int) -> Trio:
        """Render what a song asks for, and decode the song itself."""
        plan = plan_of(song, self.embeddings[persona], self.sampling)
        ceiling = copy_of(self.renderer, song, plan)
        latents = self.renderer.denoise(plan, _silently)
        take = self.renderer.vocode(latents, plan, _silently)
        return Trio(song=song, persona=persona, ceiling=ceiling, take=take, latents=latents)


def open_studio(renderer: LatentDiffusion, sampling: Sampling, *, clip_s: float) -> Studio:
    """Embed each named persona from two songs of ``clip_s`` that nothing else uses."""
    embeddings = np.stack([renderer.embed_persona(persona_clips(persona, seconds=clip_s)) for persona in personas()])
    return Studio(renderer=renderer, sampling=sampling, embeddings=embeddings)


def held_out_songs(count: int, *, seconds: float, first: int = 0) -> Iterator[Song]:
    """Songs that training never saw, going round the named personas."""
    for i in range(first, first + count):
        yield perform(compose(HELD_OUT_SEEDS[i], seconds=seconds, persona=personas()[i % len(personas())]))


def plan_of(song: Song | Score, embedding: Embedding, sampling: Sampling) -> Plan:
    """What a caller who wants this song, or a song of this score, would have asked for."""
    return Plan(
        prompt=song.caption.text,
        persona_id=song.persona.id,
        persona_prefix=song.persona.prefix,
        persona_embedding=tuple(float(x) for x in embedding),
        seed=song.seed,
        seconds=sampling.seconds,
        tempo_map=song.tempo_map,
        key=song.key,
        chords=song.chords,
        instrumental=song.instrumental,
        steps=sampling.steps,
        guidance=sampling.guidance,
    )


def take_of(renderer: LatentDiffusion, plan: Plan) -> Waveform:
    """Render a plan. ``-> (2, T)``."""
    return renderer.vocode(renderer.denoise(plan, _silently), plan, _silently)


def latents_of(renderer: LatentDiffusion, mix: Waveform) -> Latents:
    """What the encoder makes of a mix ``(2, T)``."""
    nets, spec = renderer.nets, renderer.config.front_end
    samples = mix.shape[1]
    padded = np.pad(mix, ((0, 0), (0, spec.latent_frames(samples) * spec.latent_samples - samples)))
    with torch.inference_mode():
        bands = nets.front_end.standardise(nets.front_end.analyse(torch.from_numpy(padded)[None]))
        values = nets.autoencoder.encode(bands)[0].numpy()
    return Latents(values=values, front_end_id=spec.id, samples=samples)


def copy_of(renderer: LatentDiffusion, song: Song, plan: Plan) -> Waveform:
    """The ceiling: the song's own latents, decoded. ``-> (2, T)``."""
    return renderer.vocode(latents_of(renderer, song.mix), plan, _silently)


def persona_clips(persona: PersonaSpec, *, seconds: float, first_seed: int | None = None) -> list[Waveform]:
    """Two songs of a persona that nothing else uses. A named persona has its own seeds; for another, name the first."""
    if first_seed is None:
        first_seed = _CLIP_SEEDS + 2 * [p.id for p in personas()].index(persona.id)
    return [perform(compose(first_seed + i, seconds=seconds, persona=persona)).mix for i in range(2)]


def reseeded(plan: Plan, seed: int) -> Plan:
    """The same plan from other noise."""
    return replace(plan, seed=seed)


def mean_of(values: Sequence[float]) -> float:
    """The mean of those that are numbers."""
    return float(np.nanmean(values))


def _silently(done: int, total: int) -> None:
    """Nobody watches an evaluation step by step."""
