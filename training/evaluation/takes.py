"""Takes for held-out songs, each with the corpus song, an upper bound and nulls to compare it with.

The upper bound is the corpus song through autoencoder and vocoder, that is, a take with perfect latents. Nulls are other scores,
and noise with the spectrum of the song.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import torch
from numpy.typing import NDArray

from render_service.audit import BounceFacts
from render_service.bounce import make_bounce
from render_service.brief import DEFAULT_TARGET_LUFS
from render_service.composer.compose import ScoreInputs, compose_score
from render_service.composer.score import Score
from render_service.plan import Plan
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.renderer import Latents
from servicekit.delivery.manifest import Licence, ModelFacts
from servicekit.delivery.names import LicenceCoverage
from training.corpus.builtin_personas import personas
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.composition import Composition
from training.corpus.persona import PersonaSpec
from training.corpus.song import Song, perform

Waveform = NDArray[np.float32]
Embedding = NDArray[np.float32]

TRUE_AUDIO = "true audio"
UPPER_BOUND = "autoencoder upper bound"
NOISE = "noise with the song's spectrum"
TAKES = "takes"

_CLIP_SEEDS = 810_000_000
_OTHER_SCORE_SEEDS = HELD_OUT_SEEDS[50_000:60_000]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Length of a take, denoising steps and guidance."""

    seconds: float
    steps: int
    guidance: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A held-out song, its upper bound, and a take of ``plan``, which has the song's persona and score, with its latents.

    Nulls: ``other_score`` is that of another held-out song on the same tempo map, ``other_notes`` the score of another seed over
    the song's own chords, ``noise`` the song with random phases.
    """

    song: Song
    persona: int
    plan: Plan
    other_score: Score
    other_notes: Score
    noise: Waveform
    upper_bound: Waveform
    take: Waveform
    latents: Latents


def waveforms(comparisons: Sequence[Comparison]) -> dict[str, list[Waveform]]:
    """True audio, upper bounds, noise and takes, by the name of their row in the report."""
    return {
        TRUE_AUDIO: [comparison.song.mix for comparison in comparisons],
        UPPER_BOUND: [comparison.upper_bound for comparison in comparisons],
        NOISE: [comparison.noise for comparison in comparisons],
        TAKES: [comparison.take for comparison in comparisons],
    }


@dataclass(frozen=True, kw_only=True)
class TakeRenderer:
    """A renderer and its embeddings ``(12, E)`` of the named personas, in the order of personas.json."""

    renderer: LatentDiffusion
    sampling: Sampling
    embeddings: NDArray[np.float32] = field(repr=False)

    def compare(self, song: Song, persona: int) -> Comparison:
        """Render a take with the plan of a song, and the song's upper bound."""
        plan = plan_of(song, self.embeddings[persona], self.sampling)
        upper_bound = upper_bound_of(self.renderer, song, plan)
        latents = self.renderer.denoise(plan, _ignore_progress)
        take = self.renderer.vocode(latents, plan, _ignore_progress)
        return Comparison(
            song=song,
            persona=persona,
            plan=plan,
            other_score=other_score_of(song, seconds=self.sampling.seconds),
            other_notes=other_notes_of(song, seconds=self.sampling.seconds),
            noise=randomise_phases(song.mix, seed=song.seed),
            upper_bound=upper_bound,
            take=take,
            latents=latents,
        )


def load_take_renderer(renderer: LatentDiffusion, sampling: Sampling, *, clip_s: float) -> TakeRenderer:
    """Embed each named persona from two songs of ``clip_s`` seconds that nothing else uses."""
    embeddings = np.stack([renderer.embed_persona(persona_clips(persona, seconds=clip_s)) for persona in personas()])
    return TakeRenderer(renderer=renderer, sampling=sampling, embeddings=embeddings)


def held_out_songs(count: int, *, seconds: float, first: int = 0) -> Iterator[Song]:
    """Songs that training has not seen; they cycle through the named personas."""
    for i in range(first, first + count):
        yield perform(compose(HELD_OUT_SEEDS[i], seconds=seconds, persona=personas()[i % len(personas())]))


def plan_of(song: Song | Composition, embedding: Embedding, sampling: Sampling) -> Plan:
    """The plan of a request for this song, or for a composition, with its own score."""
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
        target_lufs=DEFAULT_TARGET_LUFS,
        score=song.score,
    )


def other_score_of(song: Song, *, seconds: float) -> Score:
    """The score of a held-out song that nothing else uses, on the tempo map of ``song``."""
    seed = _OTHER_SCORE_SEEDS[song.seed % len(_OTHER_SCORE_SEEDS)]
    return compose(seed, seconds=seconds, tempo_map=song.tempo_map, instrumental=song.instrumental).score


def other_notes_of(song: Song, *, seconds: float) -> Score:
    """The score of another seed over the chords of ``song``, in its style and with its persona's habits."""
    return compose_score(
        ScoreInputs(
            seed=_OTHER_SCORE_SEEDS[song.seed % len(_OTHER_SCORE_SEEDS)],
            seconds=seconds,
            tempo_map=song.tempo_map,
            key=song.key,
            chords=song.chords,
            ending_s=song.score.ending_s,
            instrumental=song.instrumental,
            style=song.caption.style,
            habits=song.persona.habits,
        )
    )


def randomise_phases(take: Waveform, *, seed: int) -> Waveform:
    """Noise ``(2, T)`` with the spectrum, level and stereo image of a take and without its events."""
    spectrum = np.fft.rfft(take.astype(np.float64), axis=1)
    phases = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi, spectrum.shape[1])
    return np.asarray(np.fft.irfft(spectrum * np.exp(1j * phases), n=take.shape[1], axis=1), dtype=np.float32)


def delivered(renderer: LatentDiffusion, comparison: Comparison) -> Waveform:
    """The take ``(2, T)`` as a client gets it: with fades, at the target loudness, in 24 bits."""
    info = renderer.info
    facts = BounceFacts(
        tenant="evaluation",
        job_id="evaluation",
        version=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        plan=comparison.plan,
        labels={},
        licence=Licence(covers=LicenceCoverage.BOUNCE),
        model=ModelFacts(name=info.name, licence=info.licence, digests={m.role: m.sha256 for m in info.models}),
        fingerprint=info.fingerprint,
        processing=info.processing,
    )
    return make_bounce(comparison.take, facts).samples()


def render_take(renderer: LatentDiffusion, plan: Plan) -> Waveform:
    """Render a plan ``(2, T)``."""
    return renderer.vocode(renderer.denoise(plan, _ignore_progress), plan, _ignore_progress)


def latents_of(renderer: LatentDiffusion, mix: Waveform) -> Latents:
    """The encoder's latents of a mix ``(2, T)``."""
    nets, spec = renderer.nets, renderer.config.front_end
    samples = mix.shape[1]
    padded = np.pad(mix, ((0, 0), (0, spec.latent_frames(samples) * spec.latent_samples - samples)))
    with torch.inference_mode():
        bands = nets.front_end.standardise(nets.front_end.analyse(torch.from_numpy(padded)[None]))
        values = nets.autoencoder.encode(bands)[0].numpy()
    return Latents(values=values, front_end_id=spec.id, samples=samples)


def upper_bound_of(renderer: LatentDiffusion, song: Song, plan: Plan) -> Waveform:
    """The upper bound ``(2, T)``: the decoded latents of the song itself."""
    return renderer.vocode(latents_of(renderer, song.mix), plan, _ignore_progress)


def persona_clips(persona: PersonaSpec, *, seconds: float, first_seed: int | None = None) -> list[Waveform]:
    """Two songs of a persona that nothing else uses. Only a named persona has default seeds."""
    if first_seed is None:
        first_seed = _CLIP_SEEDS + 2 * [p.id for p in personas()].index(persona.id)
    return [perform(compose(first_seed + i, seconds=seconds, persona=persona)).mix for i in range(2)]


def with_seed(plan: Plan, seed: int) -> Plan:
    """The same plan with another seed, so from other noise."""
    return replace(plan, seed=seed)


def mean_of(values: Sequence[float]) -> float:
    """The mean of the values that are not NaN; NaN if there are none."""
    found = [value for value in values if not np.isnan(value)]
    return float(np.mean(found)) if found else float("nan")


def _ignore_progress(done: int, total: int) -> None:
    """Progress is not shown."""
