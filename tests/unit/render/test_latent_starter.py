"""The shipped weights do what they are for, and it is the denoiser that does it: zeroed, every measure falls to its null.

A few short takes in few steps; `sonichaos-train evaluate` measures at length.
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

from render_service.plan import Plan
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.load import load_renderer, weights_folder
from tests.support.tiny_checkpoint import plan
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
MAX_BYTES = {"denoiser": 22e6, "autoencoder": 6e6, "vocoder": 8e6, "persona": 2e6, "front_end": 1e6}
TRITONE = 6
ASKED = (
    ("neon-drift", 92.0, "C minor", "dreamy synths, mid-tempo"),
    ("velvet-lounge", 76.0, "F major", "calm electric piano, slow"),
    ("rust-circuit", 128.0, "A minor", "energetic electric guitar, upbeat"),
    ("harbour-brass", 104.0, "E major", "happy brass, moderate tempo"),
)


@dataclass(frozen=True, kw_only=True)
class Persona:
    """One folder of the built-in personas."""

    id: str
    prefix: str
    embedding: tuple[float, ...]
    clip_sha256: tuple[str, ...]
    encoder_sha256: str
    clips: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What was asked for against its null, averaged over the takes."""

    on_grid: float
    on_wrong_grid: float
    in_scale: float
    in_wrong_scale: float
    in_chords: float
    in_wrong_chords: float
    persona: float

    @property
    def tempo_followed(self) -> bool:
        """Onsets lie on the asked grid, and not on one 13 % off."""
        return self.on_grid >= 0.6 and self.on_grid >= 2.0 * self.on_wrong_grid

    @property
    def harmony_followed(self) -> bool:
        """More energy lies in the asked scale and chords than a tritone away."""
        return self.in_scale >= self.in_wrong_scale + 0.06 and self.in_chords >= self.in_wrong_chords + 0.08

    @property
    def persona_followed(self) -> bool:
        """Most takes are nearest to their own persona of eight (chance: 0.125)."""
        return self.persona >= 0.5


@pytest.fixture(scope="module")
def personas() -> dict[str, Persona]:
    """As the files hold them."""
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
    """The same renderer with nothing in its denoiser; the weights come back afterwards."""
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
        for seed, (name, bpm, key, prompt) in enumerate(ASKED)
    ]


def _measure(renderer: LatentDiffusion, personas: dict[str, Persona]) -> Followed:
    names, vectors = list(personas), np.array([p.embedding for p in personas.values()])
    figures: list[tuple[float, ...]] = []
    for (name, *_), asked in zip(ASKED, _plans(personas), strict=True):
        take = renderer.vocode(renderer.denoise(asked, _ignore), asked, _ignore)
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


def _ignore(done: int, total: int) -> None:
    """Nobody watches."""


def test_takes_follow_tempo_harmony_and_persona(starter: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Each measure passes with the shipped weights."""
    followed = _measure(starter, personas)
    assert followed.tempo_followed, followed
    assert followed.harmony_followed, followed
    assert followed.persona_followed, followed


def test_without_the_denoiser_nothing_is_followed(zeroed: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """The same measures fail when its weights are zero: nothing else puts tempo, harmony or persona into a take."""
    followed = _measure(zeroed, personas)
    assert not followed.tempo_followed, followed
    assert not followed.harmony_followed, followed
    assert not followed.persona_followed, followed


def _voice_lifts_db(renderer: LatentDiffusion, personas: dict[str, Persona]) -> list[float]:
    """Each take against the same plan without voice."""
    pairs = [(asked, replace(asked, instrumental=True)) for asked in _plans(personas)]
    takes = [[renderer.vocode(renderer.denoise(one, _ignore), one, _ignore) for one in pair] for pair in pairs]
    return [voice_lift_db(sung, instrumental) for sung, instrumental in takes]


def test_a_voice_is_heard_where_one_is_asked_for(starter: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Every take has more in the voice's bands than the same take as an instrumental, on average by a clear amount."""
    lifts_db = _voice_lifts_db(starter, personas)
    assert min(lifts_db) > 0.3, lifts_db
    assert np.mean(lifts_db) > 1.0, lifts_db


def test_without_the_denoiser_no_voice_is_heard(zeroed: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Asking for a voice changes nothing then."""
    assert np.allclose(_voice_lifts_db(zeroed, personas), 0.0, atol=0.1)


def test_shipped_weights_repeat_a_take(starter: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Bit for bit, with another take in between."""
    asked = replace(_plans(personas)[0], seconds=2.0, steps=3)
    first = starter.vocode(starter.denoise(asked, _ignore), asked, _ignore)
    starter.denoise(replace(asked, seed=99), _ignore)
    assert np.array_equal(first, starter.vocode(starter.denoise(asked, _ignore), asked, _ignore))


def test_weights_stay_within_their_sizes() -> None:
    """The repository's budget, file by file."""
    for role, limit in MAX_BYTES.items():
        assert (weights_folder("starter") / f"{role}.safetensors").stat().st_size <= limit


def test_eight_personas_come_with_their_clips(starter: LatentDiffusion, personas: dict[str, Persona]) -> None:
    """Each stored embedding is what the shipped encoder makes of the stored clips; the clips are those named."""
    encoder = next(model.sha256 for model in starter.info.models if model.role == "persona")
    assert len(personas) >= 8
    assert sum(len(clip) for persona in personas.values() for clip in persona.clips) <= MAX_CLIP_BYTES
    for persona in personas.values():
        assert persona.prefix
        assert persona.encoder_sha256 == encoder
        assert persona.clip_sha256 == tuple(hashlib.sha256(clip).hexdigest() for clip in persona.clips)
        vector = starter.embed_persona([decode(clip) for clip in persona.clips])
        assert np.allclose(vector, persona.embedding, atol=1e-4)
