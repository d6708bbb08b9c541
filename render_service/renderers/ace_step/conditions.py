"""ACE-Step's conditioning: prompt, tempo, key and metre as text, the persona as one token.

The persona token is the model's own timbre token, which its condition encoder computes from reference audio. Prompt and
persona prefix are encoded separately and joined as embeddings.

Letters: ``S`` tokens, ``W`` width of the condition encoder, ``D`` latent channels, ``L`` latent frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from render_service.plan import Plan
from render_service.renderers.renderer import Waveform
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.audio.rate import convert_rate

if TYPE_CHECKING:
    from diffusers import AceStepPipeline

INSTRUMENTAL = "[Instrumental]"
"""Stands in the lyrics of a take without vocals."""

# The pipeline reads 30 s of reference audio: ten seconds each from the start, the middle and the end.
_PARTS, _PART_SECONDS = 3, 10
# The pipeline's own limit of 256 tokens would cut off tempo and key, which come last, after a prompt of 2000 characters.
_MAX_TOKENS = 4096


def condition_tokens(pipeline: AceStepPipeline, plan: Plan) -> Tensor:
    """``(1, S, W)``: lyrics, persona token, prompt and persona prefix, in this order."""
    prompt, lyrics = _encode_caption(pipeline, plan, plan.prompt)
    encoder = pipeline.condition_encoder
    mask = torch.ones(lyrics.shape[:2], dtype=torch.bool, device=lyrics.device)
    parts = [
        encoder.lyric_encoder(inputs_embeds=lyrics, attention_mask=mask),
        persona_token(pipeline, plan.persona_embedding),
        encoder.text_projector(prompt),
    ]
    if plan.persona_prefix.strip():
        prefix, _ = _encode_caption(pipeline, plan, plan.persona_prefix)
        parts.append(encoder.text_projector(prefix))
    return torch.cat(parts, dim=1)


def persona_token(pipeline: AceStepPipeline, embedding: Sequence[float]) -> Tensor:
    """Scale a persona embedding of length 1 to a token ``(1, 1, W)`` of the norm of the model's silence token."""
    direction = torch.tensor(embedding, dtype=torch.float32, device=pipeline.device)
    token: Tensor = direction * silence_token(pipeline).norm()
    return token[None, None]


def silence_token(pipeline: AceStepPipeline) -> Tensor:
    """The timbre token of silence, ``(W,)``: the model's default without reference audio."""
    return _timbre(pipeline, pipeline.condition_encoder.silence_latent[:, : _reference_frames(pipeline)])


def embed_clips(pipeline: AceStepPipeline, clips: Sequence[Waveform]) -> NDArray[np.float32]:
    """Pool clips ``(2, T)`` at 44100 Hz into one vector of length 1, ``(W,)``: the mean of their timbre tokens."""
    tokens = torch.stack([_timbre(pipeline, _reference_latents(pipeline, clip)) for clip in clips])
    pooled: NDArray[np.float32] = functional.normalize(tokens.mean(dim=0), dim=0).cpu().numpy().astype(np.float32)
    return pooled


def _encode_caption(pipeline: AceStepPipeline, plan: Plan, caption: str) -> tuple[Tensor, Tensor]:
    """Text and lyric states ``(1, S, text width)`` of a caption, in the pipeline's own template."""
    point = plan.tempo_map.points[0]  # the only tempo: TempoLimits refuses maps with several at acceptance
    text, _, lyrics, _ = pipeline.encode_prompt(
        prompt=caption,
        lyrics=INSTRUMENTAL if plan.instrumental else "",
        device=pipeline.device,
        audio_duration=plan.seconds,
        bpm=round(point.bpm),
        keyscale=plan.key.with_sharps,
        timesignature=str(point.beats_per_bar),
        max_text_length=_MAX_TOKENS,
        max_lyric_length=_MAX_TOKENS,
    )
    return text, lyrics


def _timbre(pipeline: AceStepPipeline, latents: Tensor) -> Tensor:
    """The timbre token ``(W,)`` of reference latents ``(1, L, D)``."""
    batch_index = torch.zeros(1, dtype=torch.long, device=latents.device)
    tokens, _ = pipeline.condition_encoder.timbre_encoder(latents, batch_index)
    token: Tensor = tokens[0, 0]
    return token


def _reference_latents(pipeline: AceStepPipeline, clip: Waveform) -> Tensor:
    """Latents ``(1, L, D)`` of a clip for 30 s: the mode of the distribution, where the pipeline would sample from it.

    The latents of a shorter clip are repeated, which costs less than encoding repeated audio.
    """
    rate = pipeline.vae.config.sampling_rate
    audio = torch.from_numpy(convert_rate(clip, from_hz=SAMPLE_RATE_HZ, to_hz=rate))
    part = _PART_SECONDS * rate
    if audio.shape[1] > _PARTS * part:
        starts = (0, audio.shape[1] // _PARTS, audio.shape[1] - part)
        audio = torch.cat([audio[:, start : start + part] for start in starts], dim=1)
    encoded = pipeline.vae.encode(audio[None].to(pipeline.device)).latent_dist.mode().transpose(1, 2)
    frames = _reference_frames(pipeline)
    latents: Tensor = encoded.repeat(1, -(-frames // encoded.shape[1]), 1)[:, :frames]
    return latents


def _reference_frames(pipeline: AceStepPipeline) -> int:
    """Latent frames of 30 s."""
    return int(-(-_PARTS * _PART_SECONDS * pipeline.vae.config.sampling_rate // pipeline.vae.hop_length))
