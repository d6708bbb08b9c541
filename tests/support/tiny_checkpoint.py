"""The smallest true checkpoint: every net there, none larger than a test needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from render_service.music.harmony import draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from render_service.plan import Plan
from render_service.renderers.latent_diffusion.autoencoder import Autoencoder, AutoencoderConfig
from render_service.renderers.latent_diffusion.checkpoint import (
    CheckpointConfig,
    Nets,
    TextEncoderRef,
    load,
    save,
    sha256_of,
)
from render_service.renderers.latent_diffusion.denoiser import Denoiser, DenoiserConfig
from render_service.renderers.latent_diffusion.flow import WindowSpec
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec
from render_service.renderers.latent_diffusion.persona_encoder import PersonaEncoder, PersonaEncoderConfig
from render_service.renderers.latent_diffusion.text_encoder import packaged_folder
from render_service.renderers.latent_diffusion.vocoder import MagnitudeRefiner, VocoderConfig
from render_service.renderers.load import STARTER, weights_folder


def tiny_checkpoint(folder: Path, *, seed: int = 0, starter_personas: bool = False) -> Path:
    """Untrained nets of a few thousand parameters; the denoiser's last layer is not zero, so it does something.

    With ``starter_personas`` the persona encoder is that of the starter weights: a service starts faster, because it need not embed
    the built-in personas again.
    """
    torch.manual_seed(seed)
    spec = FrontEndSpec()
    autoencoder = AutoencoderConfig(encoder_width=8, decoder_width=8, encoder_blocks=1, decoder_blocks=1)
    denoiser = DenoiserConfig(width=16, blocks=2, heads=2)
    vocoder = VocoderConfig(width=8, blocks=1, iterations=2)
    persona = PersonaEncoderConfig(width=8)
    nets = Nets(
        front_end=FrontEnd(spec),
        autoencoder=Autoencoder(autoencoder),
        denoiser=Denoiser(denoiser),
        vocoder=MagnitudeRefiner(vocoder),
        persona=PersonaEncoder(persona),
    )
    for parameter in [*nets.denoiser.parameters(), nets.autoencoder.components]:
        if not parameter.any():  # what starts at zero would hide a condition
            torch.nn.init.normal_(parameter, std=0.1)
    if starter_personas:
        starter_config, starter = load(weights_folder(STARTER))
        persona, nets = starter_config.persona_encoder, replace(nets, persona=starter.persona)
    config = CheckpointConfig(
        name="tiny",
        licence="Apache-2.0",
        front_end_id=spec.id,
        default_steps=2,
        default_guidance=1.5,
        noise_scale=0.9,
        front_end=spec,
        windows=WindowSpec(),
        autoencoder=autoencoder,
        denoiser=denoiser,
        vocoder=vocoder,
        persona_encoder=persona,
        text_encoder=TextEncoderRef(name="all-MiniLM-L6-v2", sha256=sha256_of(packaged_folder() / "model.safetensors")),
        files={},
    )
    save(folder, config, nets)
    return folder


def plan(
    *,
    seconds: float,
    embedding: tuple[float, ...],
    bpm: float = 110.0,
    key: str = "A minor",
    seed: int = 1,
    steps: int = 2,
    prompt: str = "upbeat synths, energetic",
    prefix: str = "",
) -> Plan:
    """A plan for a take that sings."""
    tempo_map, parsed = TempoMap.constant(bpm), Key.parse(key)
    chords = draw_chords(np.random.default_rng(seed), key=parsed, tempo_map=tempo_map, seconds=seconds)
    return Plan(
        prompt=prompt,
        persona_id="test",
        persona_prefix=prefix,
        persona_embedding=embedding,
        seed=seed,
        seconds=seconds,
        tempo_map=tempo_map,
        key=parsed,
        chords=chords,
        instrumental=False,
        steps=steps,
        guidance=1.5,
    )
