"""A slice of the evaluation: takes on held-out seeds, measured beside the corpus, the ceiling and nulls.

The ceiling is a corpus song through autoencoder and vocoder: what perfect latents would sound like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from render_service.latent_diffusion.stack import LatentDiffusion
from render_service.plan import Plan
from render_service.renderer import Latents
from training.corpus.builtin_personas import personas
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.song import Song, perform
from training.measures import chroma, onsets_s, share_in_chords, share_in_scale, share_on_grid, slower, transposed

Waveform = NDArray[np.float32]
TRITONE = 6


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Each figure beside its null."""

    on_grid: float
    on_wrong_grid: float
    onsets: float
    in_scale: float
    in_wrong_scale: float
    in_chords: float
    in_wrong_chords: float


def held_out_songs(count: int, *, seconds: float) -> Iterator[Song]:
    """Songs that training never saw, going round the named personas."""
    for i in range(count):
        yield perform(compose(HELD_OUT_SEEDS[i], seconds=seconds, persona=personas()[i % len(personas())]))


def plan_of(song: Song, embedding: NDArray[np.float32], *, steps: int, guidance: float) -> Plan:
    """What a caller who wants this song would have asked for."""
    return Plan(
        prompt=song.caption.text,
        persona_id=song.persona.id,
        persona_prefix=song.persona.prefix,
        persona_embedding=tuple(float(x) for x in embedding),
        seed=song.seed,
        seconds=song.mix.shape[1] / song.sample_rate,
        tempo_map=song.tempo_map,
        key=song.key,
        chords=song.chords,
        instrumental=song.instrumental,
        steps=steps,
        guidance=guidance,
    )


def take_of(renderer: LatentDiffusion, plan: Plan) -> Waveform:
    """Render a plan."""
    return renderer.vocode(renderer.denoise(plan, _silently), plan, _silently)


def copy_of(renderer: LatentDiffusion, song: Song, plan: Plan) -> Waveform:
    """The ceiling: the song's own latents, decoded."""
    nets, spec = renderer.nets, renderer.config.front_end
    samples = song.mix.shape[1]
    padded = np.pad(song.mix, ((0, 0), (0, spec.latent_frames(samples) * spec.latent_samples - samples)))
    with torch.inference_mode():
        bands = nets.front_end.standardise(nets.front_end.analyse(torch.from_numpy(padded)[None]))
        values = nets.autoencoder.encode(bands)[0].numpy()
    return renderer.vocode(Latents(values=values, front_end_id=spec.id, samples=samples), plan, _silently)


def measure(take: Waveform, song: Song) -> Figures:
    """Judge a take by what the song asked for."""
    onsets, energy = onsets_s(take), chroma(take)
    seconds = take.shape[1] / song.sample_rate
    return Figures(
        on_grid=share_on_grid(onsets, song.tempo_map, seconds),
        on_wrong_grid=share_on_grid(onsets, slower(song.tempo_map), seconds),
        onsets=len(onsets) / seconds,
        in_scale=share_in_scale(energy, song.key),
        in_wrong_scale=share_in_scale(energy, transposed(song.key, TRITONE)),
        in_chords=share_in_chords(energy, song.chords),
        in_wrong_chords=share_in_chords(energy, song.chords, transposed=TRITONE),
    )


def mean_of(figures: Sequence[Figures]) -> Figures:
    """The mean of each figure."""
    names = Figures.__dataclass_fields__
    return Figures(**{name: float(np.mean([getattr(f, name) for f in figures])) for name in names})


def _silently(done: int, total: int) -> None:
    """Nobody watches an evaluation step by step."""
