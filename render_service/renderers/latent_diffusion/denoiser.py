"""The latent denoiser: a transformer that predicts the velocity of a rectified flow.

DiT blocks (Peebles & Xie 2023) with one shared modulation (adaLN-single, PixArt-alpha, Chen et al. 2023), rotary
positions (Su et al. 2021), cross-attention to text and persona in every second block, and the control channels added to
the input of every block by a projection that is zero before training.

Letters: ``B`` batch, ``D`` latent channels, ``L`` latent frames, ``G`` control channels, ``W`` text width, ``S`` text
tokens, ``E`` embedding size, ``H`` heads, ``X`` width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

_MODULATIONS = 6  # shift, scale and gate for attention and for the feed-forward layers
_GATE_START = 0.3
_TIME_FEATURES = 128


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """Sizes of the net; ``control_channels`` is ``G``, the sum of ``controls.CONTROL_WIDTHS``."""

    latent_channels: int = 64
    control_channels: int = 259
    text_width: int = 384
    embedding_size: int = 64
    width: int = 256
    blocks: int = 6
    heads: int = 4
    expansion: int = 4
    entry_kernel: int = 5


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Text and persona conditioning of a batch.

    ``text`` ``(B, S, W)`` with ``text_mask`` ``(B, S)``; ``prefix`` ``(B, W)``, the persona's prefix as one sentence vector;
    ``persona`` ``(B, E)``. ``has_*`` ``(B,)`` is false where a condition is dropped.
    """

    text: Tensor
    text_mask: Tensor
    prefix: Tensor
    persona: Tensor
    has_text: Tensor
    has_prefix: Tensor
    has_persona: Tensor


@dataclass(frozen=True, kw_only=True)
class Context:
    """Encoded conditions, computed once per render.

    Keys and values ``(B, H, S + 2, X / H)`` for each block with cross-attention, their mask ``(B, 1, 1, S + 2)``, and a
    pooled vector ``(B, X)``.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    mask: Tensor
    vector: Tensor


class _Attention(nn.Module):
    """Self-attention over frames with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """``(B, L, X) -> (B, L, X)``; ``rotation`` ``(2, L, X / H)`` holds cosines and sines."""
        q, k, v = rearrange(self.qkv(x), "b l (p h x) -> p b h l x", p=3, h=self.heads)
        y = functional.scaled_dot_product_attention(_rotate(q, rotation), _rotate(k, rotation), v)
        out: Tensor = self.out(rearrange(y, "b h l x -> b l (h x)"))
        return out


class _CrossAttention(nn.Module):
    """Cross-attention from frames to text and persona tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)

    def keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values ``(B, H, S, X / H)`` of tokens ``(B, S, X)``."""
        key, value = rearrange(self.key_value(tokens), "b s (p h x) -> p b h s x", p=2, h=self.heads)
        return key, value

    def forward(self, x: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """``(B, L, X) -> (B, L, X)``."""
        query = rearrange(self.query(self.norm(x)), "b l (h x) -> b h l x", h=self.heads)
        y = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = self.out(rearrange(y, "b h l x -> b l (h x)"))
        return out


class _Block(nn.Module):
    def __init__(self, config: DenoiserConfig, *, reads_context: bool) -> None:
        super().__init__()
        width = config.width
        self.modulation = nn.Parameter(torch.zeros(_MODULATIONS, width))
        with torch.no_grad():
            self.modulation[2].fill_(_GATE_START)
            self.modulation[5].fill_(_GATE_START)
        self.norm_1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm_2 = nn.LayerNorm(width, elementwise_affine=False)
        self.control = nn.Linear(config.control_channels, width)
        nn.init.zeros_(self.control.weight)
        nn.init.zeros_(self.control.bias)
        self.attention = _Attention(width, config.heads)
        self.cross = _CrossAttention(width, config.heads) if reads_context else None
        self.widen = nn.Linear(width, config.expansion * width)
        self.narrow = nn.Linear(config.expansion * width, width)

    def forward(
        self, x: Tensor, controls: Tensor, shared: Tensor, rotation: Tensor, context: tuple[Tensor, ...] | None
    ) -> Tensor:
        """``x`` ``(B, L, X)``, ``controls`` ``(B, L, G)``, ``shared`` ``(B, 6, X)``; ``context``: key, value, mask."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = (shared + self.modulation)[:, :, None].unbind(dim=1)
        x = x + self.control(controls)
        x = x + gate_1 * self.attention(self.norm_1(x) * (1.0 + scale_1) + shift_1, rotation)
        if self.cross is not None and context is not None:
            x = x + self.cross(x, *context)
        hidden = functional.gelu(self.widen(self.norm_2(x) * (1.0 + scale_2) + shift_2), approximate="tanh")
        out: Tensor = x + gate_2 * self.narrow(hidden)
        return out


class Denoiser(nn.Module):
    """Predicts the velocity ``data - noise`` of a rectified flow (Liu et al. 2022) from time 0 (noise) to 1 (data)."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Conv1d(
            config.latent_channels + config.control_channels,
            width,
            config.entry_kernel,
            padding=config.entry_kernel // 2,
        )
        self.time = nn.Sequential(nn.Linear(2 * _TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        modulation = nn.Linear(width, _MODULATIONS * width)
        nn.init.zeros_(modulation.weight)
        nn.init.zeros_(modulation.bias)
        self.modulate = nn.Sequential(nn.SiLU(), modulation)
        self.text_in = nn.Linear(config.text_width, width)
        self.prefix_in = nn.Linear(config.text_width, width)
        self.persona_in = nn.Linear(config.embedding_size, width)
        self.summary = nn.Linear(3 * width, width)
        self.absent = nn.Parameter(torch.randn(3, width) * 0.02)  # text, prefix, persona left out
        self.kind = nn.Parameter(torch.randn(3, width) * 0.02)
        self.context_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(_Block(config, reads_context=i % 2 == 0) for i in range(config.blocks))
        self.norm_out = nn.LayerNorm(width)
        self.leave = nn.Linear(width, config.latent_channels)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def encode_conditions(self, conditions: Conditions) -> Context:
        """Concatenate text, prefix and persona as embeddings, each with its type embedding, and project them for the blocks."""
        absent_text, absent_prefix, absent_persona = self.absent
        text = torch.where(conditions.has_text[:, None, None], self.text_in(conditions.text), absent_text)
        prefix = torch.where(conditions.has_prefix[:, None], self.prefix_in(conditions.prefix), absent_prefix)
        scale = math.sqrt(self.config.embedding_size)  # a unit vector's parts are small
        persona = torch.where(
            conditions.has_persona[:, None], self.persona_in(conditions.persona * scale), absent_persona
        )
        tokens = torch.cat(
            [text + self.kind[0], (prefix + self.kind[1])[:, None], (persona + self.kind[2])[:, None]], dim=1
        )
        tokens = self.context_norm(tokens)
        always = torch.ones_like(conditions.text_mask[:, :2])
        mask = torch.cat([conditions.text_mask, always], dim=1)[:, None, None]
        weight = conditions.text_mask[..., None].to(text.dtype)
        mean_text = (text * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)
        vector = self.summary(torch.cat([mean_text, prefix, persona], dim=-1))
        pairs = [block.cross.keys_values(tokens) for block in self._blocks() if block.cross is not None]
        return Context(keys=tuple(k for k, _ in pairs), values=tuple(v for _, v in pairs), mask=mask, vector=vector)

    def forward(self, noisy: Tensor, time: Tensor, controls: Tensor, context: Context) -> Tensor:
        """Velocity ``(B, D, L)`` of ``noisy`` ``(B, D, L)`` at ``time`` ``(B,)``, 0 to 1, with ``controls`` ``(B, G, L)``."""
        x = rearrange(self.enter(torch.cat([noisy, controls], dim=1)), "b x l -> b l x")
        framewise = rearrange(controls, "b g l -> b l g")
        shared = self.modulate(self.time(_time_features(time)) + context.vector)
        shared = rearrange(shared, "b (m x) -> b m x", m=_MODULATIONS)
        rotation = _rotation(x.shape[1], self.config.width // self.config.heads, x)
        keys_values = iter(zip(context.keys, context.values, strict=True))
        for block in self._blocks():
            attended = (*next(keys_values), context.mask) if block.cross is not None else None
            x = block(x, framewise, shared, rotation, attended)
        velocity: Tensor = rearrange(self.leave(self.norm_out(x)), "b l d -> b d l")
        return velocity

    def _blocks(self) -> list[_Block]:
        return [block for block in self.blocks if isinstance(block, _Block)]


def _time_features(time: Tensor) -> Tensor:
    """``(B,) -> (B, 2 * 128)``: sinusoids of 1 to 1000 radians per unit of time."""
    rates = torch.exp(torch.linspace(0.0, math.log(1000.0), _TIME_FEATURES, device=time.device))
    angles = time[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _rotation(frames: int, size: int, like: Tensor) -> Tensor:
    """Cosines and sines of the rotary embedding, ``(2, L, size)``, base 10000."""
    rates = 10000.0 ** (-torch.arange(0, size, 2, device=like.device, dtype=torch.float32) / size)
    angles = torch.arange(frames, device=like.device, dtype=torch.float32)[:, None] * rates
    return torch.stack([angles.cos(), angles.sin()]).repeat(1, 1, 2).to(like.dtype)


def _rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Apply the rotary embedding to ``(B, H, L, X / H)``."""
    first, second = x.chunk(2, dim=-1)
    return x * rotation[0] + torch.cat([-second, first], dim=-1) * rotation[1]
