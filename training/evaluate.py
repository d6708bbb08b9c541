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
from training.corpus.persona import PersonaSpec
from training.corpus.song import Song, perform
from training.measures import chroma, onsets_s, share_in_chords, share_in_scale, share_on_grid, slower, transposed

Waveform = NDArray[np.float32]
TRITONE = 6
_CLIP_SEEDS = 810_000_000
_CLIP_SECONDS = 10.0


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
    own_persona: float


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


def measure(take: Waveform, song: Song, *, own_persona: bool) -> Figures:
    """Judge a take by what the song asked for. ``own_persona``: whether it is nearest to the persona that was asked."""
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
        own_persona=float(own_persona),
    )


def report(
    renderer: LatentDiffusion, *, takes: int, seconds: float, steps: int | None = None, guidance: float | None = None
) -> str:
    """A Markdown table: held-out songs, the ceiling, takes; each figure beside its null."""
    info = renderer.info
    steps, guidance = steps or info.default_steps, guidance or info.default_guidance
    embeddings = np.stack([renderer.embed_persona(_clips(persona)) for persona in personas()])
    rows: dict[str, list[Figures]] = {
        "true audio": [],
        "ceiling": [],
        f"takes, {steps} steps, guidance {guidance:g}": [],
    }
    for i, song in enumerate(held_out_songs(takes, seconds=seconds)):
        own = i % len(personas())
        plan = plan_of(song, embeddings[own], steps=steps, guidance=guidance)
        for figures, wave in zip(
            rows.values(), (song.mix, copy_of(renderer, song, plan), take_of(renderer, plan)), strict=True
        ):
            nearest = int((embeddings @ renderer.embed_persona([wave])).argmax())
            figures.append(measure(wave, song, own_persona=nearest == own))
    return _table(rows, takes, seconds)


def _clips(persona: PersonaSpec) -> list[Waveform]:
    """Two songs of a persona that nothing else uses."""
    first = _CLIP_SEEDS + 2 * [p.id for p in personas()].index(persona.id)
    return [perform(compose(first + i, seconds=_CLIP_SECONDS, persona=persona)).mix for i in range(2)]


def _table(rows: dict[str, list[Figures]], takes: int, seconds: float) -> str:
    lines = [
        f"{takes} held-out songs of {seconds:g} s; in brackets the same figure for a wrong grid (13 % off) or a tritone away.",
        "",
        "| | onsets on the grid | onsets a second | energy in scale | energy in chords | nearest persona of 12 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, figures in rows.items():
        m = mean_of(figures)
        lines.append(
            f"| {name} | {m.on_grid:.3f} ({m.on_wrong_grid:.3f}) | {m.onsets:.1f} | {m.in_scale:.3f} ({m.in_wrong_scale:.3f})"
            f" | {m.in_chords:.3f} ({m.in_wrong_chords:.3f}) | {m.own_persona:.2f} |"
        )
    return "\n".join(lines) + "\n"


def mean_of(figures: Sequence[Figures]) -> Figures:
    """The mean of each figure."""
    names = Figures.__dataclass_fields__
    return Figures(**{name: float(np.mean([getattr(f, name) for f in figures])) for name in names})


def _silently(done: int, total: int) -> None:
    """Nobody watches an evaluation step by step."""
