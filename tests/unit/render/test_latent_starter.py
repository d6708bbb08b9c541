"""The starter weights follow tempo, harmony and persona, by the denoiser: with zeroed weights every measure is at its null.

A few short takes in few steps; `sonichaos-train evaluate` measures many.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from render_service.composer.planner import ScoreRequest
from render_service.plan import Plan
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.load import load_renderer, weights_folder
from render_service.renderers.renderer import InitLatents, no_report
from tests.support.tiny_checkpoint import plan
from training.corpus.builtin_personas import built_in_personas
from training.metrics import (
    chroma,
    onsets_s,
    scale_tempo,
    share_in_chords,
    share_in_scale,
    share_on_grid,
    transpose,
    voice_lift_db,
)
from training.persona_export import decode

PERSONAS = Path(__file__).resolve().parents[3] / "render_service" / "personas" / "builtin"
MAX_CLIP_BYTES = 4 * 1024 * 1024
MAX_BYTES = {"denoiser": 22e6, "autoencoder": 6e6, "vocoder": 8e6, "persona": 2e6, "front_end": 1e6, "habits": 1e5}
TRITONE = 6
REQUESTED = (
    ("neon-drift", 92.0, "C minor", "dreamy synths, mid-tempo"),
    ("velvet-lounge", 76.0, "F major", "calm electric piano, slow"),
    ("rust-circuit", 128.0, "A minor", "energetic electric guitar, upbeat"),
    ("harbour-brass", 104.0, "E major", "happy brass, moderate tempo"),
)


@dataclass(frozen=True, kw_only=True)
class Persona:
    """A folder of a built-in persona."""

    id: str
    prefix: str
    embedding: tuple[float, ...]
    clip_sha256: tuple[str, ...]
    encoder_sha256: str
    clips: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Measures of what was requested, each beside its null, averaged over the takes."""

    on_grid: float
    on_wrong_grid: float
    in_scale: float
    in_wrong_scale: float
    in_chords: float
    in_wrong_chords: float
    persona: float

    @property
    def tempo_followed(self) -> bool:
        """Onsets are on the requested grid, and not on one with a tempo 13 % off."""
        return self.on_grid >= 0.6 and self.on_grid >= 2.0 * self.on_wrong_grid

    @property
    def harmony_followed(self) -> bool:
        """More energy is in the requested scale and chords than in those a tritone away."""
        return self.in_scale >= self.in_wrong_scale + 0.06 and self.in_chords >= self.in_wrong_chords + 0.08

    @property
    def persona_followed(self) -> bool:
        """Most takes are nearest to their own persona of eight (chance: 0.125)."""
        return self.persona >= 0.5


@pytest.fixture(scope="module")
def personas() -> dict[str, Persona]:
    """Read from their files."""
    return {path.parent.name: _read(path) for path in sorted(PERSONAS.glob("*/persona.json"))}


def _read(path: Path) -> Persona:
    facts = json.loads(path.read_text(encoding="utf-8"))
    return Persona(
        id=facts["id"],
        prefix=facts["prefix"],
        embedding=tuple(facts["embedding"]),
        clip_sha256=tuple(facts["clipSha256"]),
        encoder_sha256=facts["encoderSha256"],
        clips=tuple(clip.read_bytes() for clip in sorted(path.parent.glob("clip-*.flac"))),
    )


@pytest.fixture(scope="module")
def starter() -> LatentDiffusion:
    """Loaded once."""
    return load_renderer("starter", device="cpu", threads=1)


@pytest.fixture
def zeroed(starter: LatentDiffusion) -> Iterator[LatentDiffusion]:
    """The same renderer with zeroed denoiser weights, restored afterwards."""
    kept = {name: value.clone() for name, value in starter.nets.denoiser.state_dict().items()}
    with torch.no_grad():
        for parameter in starter.nets.denoiser.parameters():
            parameter.zero_()
    yield starter
    starter.nets.denoiser.load_state_dict(kept)


def _plans(personas: dict[str, Persona]) -> list[Plan]:
    return [
        plan(
            seconds=6.0,
            embedding=personas[name].embedding,
            bpm=bpm,
            key=key,
            seed=seed,
            steps=8,
            prompt=prompt,
            prefix=personas[name].prefix,
        )
        for seed, (name, bpm, key, prompt) in enumerate(REQUESTED)
    ]


def _measure(renderer: LatentDiffusion, personas: dict[str, Persona]) -> Followed:
    names, vectors = list(personas), np.array([p.embedding for p in personas.values()])
    figures: list[tuple[float, ...]] = []
    for (name, *_), asked in zip(REQUESTED, _plans(personas), strict=True):
        take = renderer.vocode(renderer.denoise(asked, no_report), asked, no_report)
        onsets, energy = onsets_s(take), chroma(take)
        nearest = names[int((vectors @ renderer.embed_persona([take])).argmax())]
        figures.append(
            (
                share_on_grid(onsets, asked.tempo_map, asked.seconds),
                share_on_grid(onsets, scale_tempo(asked.tempo_map), asked.seconds),
                share_in_scale(energy, asked.key),
                share_in_scale(energy, transpose(asked.key, TRITONE)),
                share_in_chords(energy, asked.chords),
                share_in_chords(energy, asked.chords, transposed=TRITONE),
                float(nearest == name),
            )
        )
    means = [float(value) for value in np.mean(figures, axis=0)]
    return Followed(**dict(zip(Followed.__dataclass_fields__, means, strict=True)))


def test_takes_follow_tempo_harmony_and_persona(starter: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Each measure passes."""
    followed = _measure(starter, personas)
    assert followed.tempo_followed, followed
    assert followed.harmony_followed, followed
    assert followed.persona_followed, followed


def test_without_the_denoiser_nothing_is_followed(zeroed: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """The same measures fail with zeroed weights, so they measure the denoiser."""
    followed = _measure(zeroed, personas)
    assert not followed.tempo_followed, followed
    assert not followed.harmony_followed, followed
    assert not followed.persona_followed, followed


def _voice_lifts_db(renderer: LatentDiffusion, personas: dict[str, Persona]) -> list[float]:
    """Each take against the same plan without voice."""
    pairs = [(asked, replace(asked, instrumental=True)) for asked in _plans(personas)]
    takes = [[renderer.vocode(renderer.denoise(one, no_report), one, no_report) for one in pair] for pair in pairs]
    return [voice_lift_db(sung, instrumental) for sung, instrumental in takes]


def test_takes_with_vocals_have_a_voice(starter: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Each has more energy in the voice's bands than the same take without vocals, on average clearly more."""
    lifts_db = _voice_lifts_db(starter, personas)
    assert min(lifts_db) > 0.3, lifts_db
    assert np.mean(lifts_db) > 1.0, lifts_db


def test_without_the_denoiser_there_is_no_voice(zeroed: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """The instrumental flag then has no effect."""
    assert np.allclose(_voice_lifts_db(zeroed, personas), 0.0, atol=0.1)


@pytest.mark.parametrize(("old", "wanted"), [("glass-orchard", "granite-road"), ("granite-road", "neon-drift")])
def test_from_noise_the_same_notes_take_another_personas_sound(
    starter: LatentDiffusion, personas: dict[str, Persona], old: str, wanted: str
) -> None:
    """From the original's latents, at a noise share of 0.9, more of the old persona stays. So re-renders start from noise."""
    asked = plan(seconds=4.0, embedding=personas[old].embedding, bpm=120.0, key="A minor", steps=8)
    request = ScoreRequest(
        prompt=asked.prompt,
        persona_embedding=asked.persona_embedding,
        seed=asked.seed,
        seconds=asked.seconds,
        tempo_map=asked.tempo_map,
        key=asked.key,
        chords=asked.chords,
        ending_s=None,
        instrumental=False,
    )
    asked = replace(asked, score=starter.planner.write_score(request), persona_prefix=personas[old].prefix)
    original = InitLatents(latents=starter.denoise(asked, no_report), strength=0.9)
    again = replace(
        asked, persona_embedding=personas[wanted].embedding, persona_prefix=personas[wanted].prefix, seed=asked.seed + 1
    )
    contrast = np.array(personas[wanted].embedding) - np.array(personas[old].embedding)
    from_latents, from_noise = (
        float(
            starter.embed_persona([starter.vocode(starter.denoise(again, no_report, init), again, no_report)])
            @ contrast
        )
        for init in (original, None)
    )
    assert from_noise > 0.3
    assert from_noise > from_latents + 0.05


def test_starter_weights_repeat_a_take(starter: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Bit for bit, with another take in between."""
    asked = replace(_plans(personas)[0], seconds=2.0, steps=3)
    first = starter.vocode(starter.denoise(asked, no_report), asked, no_report)
    starter.denoise(replace(asked, seed=99), no_report)
    assert np.array_equal(first, starter.vocode(starter.denoise(asked, no_report), asked, no_report))


def test_weights_stay_within_their_sizes() -> None:
    """The size budget of each file."""
    for role, limit in MAX_BYTES.items():
        assert (weights_folder("starter") / f"{role}.safetensors").stat().st_size <= limit


def test_eight_built_in_personas_have_their_clips(starter: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Each stored embedding is that of the stored clips, whose digests are those in the file."""
    encoder = next(model.sha256 for model in starter.info.models if model.role == "persona")
    assert len(personas) >= 8
    assert sum(len(clip) for persona in personas.values() for clip in persona.clips) <= MAX_CLIP_BYTES
    for persona in personas.values():
        assert persona.prefix
        assert persona.encoder_sha256 == encoder
        assert persona.clip_sha256 == tuple(hashlib.sha256(clip).hexdigest() for clip in persona.clips)
        vector = starter.embed_persona([decode(clip) for clip in persona.clips])
        assert np.allclose(vector, persona.embedding, atol=1e-4)


def test_built_in_personas_keep_their_habits(starter: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Read from the embedding: kit, percussion and bass are those of the corpus, density, swing and voice are near."""
    for spec in built_in_personas():
        true, read = spec.habits, starter.planner.habits(personas[spec.id].embedding)
        assert (read.electronic_kit, read.percussion, read.sub_bass) == (
            true.electronic_kit,
            true.percussion,
            true.sub_bass,
        )
        assert read.density == pytest.approx(true.density, abs=0.15)
        assert read.swing == pytest.approx(true.swing, abs=0.03)
        assert read.voice_pitch == pytest.approx(true.voice_pitch, abs=3)
