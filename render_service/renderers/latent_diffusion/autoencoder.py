"""The autoencoder: log-mel to latents at a quarter of the frame rate, and back.

A linear map over four frames (principal components, fitted on the corpus) does most of the work; convolutions, zero before
training, learn the residual. Error on the corpus: 2.37 dB linear, 1.41 dB with the residual.

Letters: ``B`` batch, ``N`` standardised bands of mid and side, ``F`` frames, ``L = F / 4`` latent frames, ``P = 4 N``,
``D`` latent channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Sizes; ``bands`` is ``N``, ``latent_channels`` is ``D``."""

    bands: int = 192
    frames_per_latent: int = 4
    latent_channels: int = 64
    encoder_width: int = 224
    encoder_blocks: int = 2
    decoder_width: int = 288
    decoder_blocks: int = 3


class ConvNextBlock(nn.Module):
    """A residual block: depthwise convolution over seven frames, then two pointwise layers. ``(B, W, L)``.

    The 1-D form of ConvNeXt (Liu et al. 2022, arXiv:2201.03545) that Vocos uses.
    """

    def __init__(self, width: int, *, expansion: int = 3) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, W, L) -> (B, W, L)``."""
        y = self.norm(rearrange(self.depthwise(x), "b w l -> b l w"))
        y = self.narrow(nn.functional.gelu(self.widen(y)))
        residual: Tensor = rearrange(y, "b l w -> b w l")
        return x + residual


class _Residual(nn.Module):
    """Convolutions whose output is zero before training. ``(B, I, L) -> (B, O, L)``."""

    def __init__(self, inputs: int, width: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(inputs, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ConvNextBlock(width) for _ in range(blocks)))
        self.leave = nn.Conv1d(width, outputs, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]  # created above with a bias

    def forward(self, x: Tensor) -> Tensor:
        """``(B, I, L) -> (B, O, L)``."""
        residual: Tensor = self.leave(self.blocks(self.enter(x)))
        return residual


class Autoencoder(nn.Module):
    """Encoder and decoder. Latents have zero mean and unit deviation per channel."""

    components: Tensor
    centre: Tensor
    latent_mean: Tensor
    latent_deviation: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        patch = config.bands * config.frames_per_latent
        self.components = nn.Parameter(torch.zeros(config.latent_channels, patch))
        self.centre = nn.Parameter(torch.zeros(patch))
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_deviation", torch.ones(config.latent_channels))
        self.encoder = _Residual(patch, config.encoder_width, config.latent_channels, config.encoder_blocks)
        self.decoder = _Residual(config.latent_channels, config.decoder_width, patch, config.decoder_blocks)

    def encode(self, bands: Tensor) -> Tensor:
        """Standardised bands ``(B, N, F)`` to latents ``(B, D, L)``; ``F`` must be a multiple of four."""
        patches = rearrange(bands, "b n (l r) -> b (r n) l", r=self.config.frames_per_latent)
        linear = torch.matmul(self.components, patches - self.centre[:, None])
        raw: Tensor = linear + self.encoder(patches)
        return (raw - self.latent_mean[:, None]) / self.latent_deviation[:, None]

    def decode(self, latents: Tensor) -> Tensor:
        """Latents ``(B, D, L)`` to standardised bands ``(B, N, F)``."""
        raw = latents * self.latent_deviation[:, None] + self.latent_mean[:, None]
        linear = torch.matmul(self.components.T, raw) + self.centre[:, None]
        patches = linear + self.decoder(latents)
        bands: Tensor = rearrange(patches, "b (r n) l -> b n (l r)", r=self.config.frames_per_latent)
        return bands
