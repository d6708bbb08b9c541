"""What steers ACE-Step, as its transformer reads it: words, tempo, key and metre as text, a persona as one token.

The persona is the model's own timbre token: what its condition encoder makes of reference audio. The prefix is read by
the text encoder apart from the prompt; both meet as embeddings.

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
from render_service.renderers.rate import convert_rate
from render_service.renderers.renderer import Waveform

if TYPE_CHECKING:
    from diffusers import AceStepPipeline

INSTRUMENTAL = "[Instrumental]"
"""What the model is told in place of lyrics where nobody sings."""

# Reference audio as the pipeline takes it: three parts of ten seconds, from the front, the middle and the back.
_PARTS, _PART_SECONDS = 3, 10
# The pipeline cuts at 256 tokens, and tempo and key come last; a prompt of 2000 characters has room here.
_MAX_TOKENS = 4096
_HOUSE_HZ = 44100


def tokens_of(pipeline: AceStepPipeline, plan: Plan) -> Tensor:
    """``(1, S, W)``: lyrics, the persona's token, the prompt, then the persona's prefix."""
    words, lyrics = _encoded(pipeline, plan, plan.prompt)
    encoder = pipeline.condition_encoder
    heard = torch.ones(lyrics.shape[:2], dtype=torch.bool, device=lyrics.device)
    parts = [
        encoder.lyric_encoder(inputs_embeds=lyrics, attention_mask=heard),
        persona_token(pipeline, plan.persona_embedding),
        encoder.text_projector(words),
    ]
    if plan.persona_prefix.strip():
        prefix, _ = _encoded(pipeline, plan, plan.persona_prefix)
        parts.append(encoder.text_projector(prefix))
    return torch.cat(parts, dim=1)


def persona_token(pipeline: AceStepPipeline, embedding: Sequence[float]) -> Tensor:
    """A vector of length 1 as the token ``(1, 1, W)`` that it stands for: as long as the model's token of silence."""
    direction = torch.tensor(embedding, dtype=torch.float32, device=pipeline.device)
    token: Tensor = direction * silence_token(pipeline).norm()
    return token[None, None]


def silence_token(pipeline: AceStepPipeline) -> Tensor:
    """The timbre token of no reference audio at all, ``(W,)``."""
    return _timbre(pipeline, pipeline.condition_encoder.silence_latent[:, : _reference_frames(pipeline)])


def embed_clips(pipeline: AceStepPipeline, clips: Sequence[Waveform]) -> NDArray[np.float32]:
    """Clips ``(2, T)`` at 44100 Hz to one vector of length 1, ``(W,)``: the mean of their timbre tokens."""
    tokens = torch.stack([_timbre(pipeline, _reference_latents(pipeline, clip)) for clip in clips])
    pooled: NDArray[np.float32] = functional.normalize(tokens.mean(dim=0), dim=0).cpu().numpy().astype(np.float32)
    return pooled


def _encoded(pipeline: AceStepPipeline, plan: Plan, caption: str) -> tuple[Tensor, Tensor]:
    """Text and lyric states ``(1, S, text width)`` of one caption in the pipeline's own template."""
    point = plan.tempo_map.points[0]
    words, _, lyrics, _ = pipeline.encode_prompt(
        prompt=caption,
        lyrics=INSTRUMENTAL if plan.instrumental else "",
        device=pipeline.device,
        audio_duration=plan.seconds,
        bpm=round(point.bpm),
        keyscale=str(plan.key),
        timesignature=str(point.beats_per_bar),
        max_text_length=_MAX_TOKENS,
        max_lyric_length=_MAX_TOKENS,
    )
    return words, lyrics


def _timbre(pipeline: AceStepPipeline, latents: Tensor) -> Tensor:
    """Latents ``(1, L, D)`` of reference audio to their token ``(W,)``."""
    alone = torch.zeros(1, dtype=torch.long, device=latents.device)
    tokens, _ = pipeline.condition_encoder.timbre_encoder(latents, alone)
    token: Tensor = tokens[0, 0]
    return token


def _reference_latents(pipeline: AceStepPipeline, clip: Waveform) -> Tensor:
    """A clip's latents ``(1, L, D)`` for 30 s: their mean, where the pipeline would draw them.

    A shorter clip is repeated. It is encoded once and its latents repeated, which costs less than a repeated sound does.
    """
    rate = pipeline.vae.config.sampling_rate
    audio = torch.from_numpy(convert_rate(clip, from_hz=_HOUSE_HZ, to_hz=rate))
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
