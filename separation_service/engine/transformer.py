"""HTDemucs' transformer for one input shape, over tokens ordered by frequency, then frame.

Attention is independent of token order, and this order needs no transposition of either branch. Position embeddings are computed
once, and attention uses `scaled_dot_product_attention`.

Letters: ``B`` batch, ``F`` frequencies, ``T`` frames, ``N`` tokens, ``D`` width, ``h`` heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from demucs.transformer import create_2d_sin_embedding, create_sin_embedding
from torch import Tensor, nn
from torch.nn import functional as F

from separation_service.engine.arithmetic import Arithmetic
from separation_service.engine.layers import whole_norm


def is_supported_encoder(source: Any) -> bool:  # noqa: ANN401  a CrossTransformerEncoder
    """True if this module supports the encoder's form."""
    layers = [*source.layers, *source.layers_t]
    return (
        source.emb == "sin"
        and source.sin_random_shift == 0
        and all(layer.norm_first and not layer.sparse for layer in layers)
        and all(layer.norm_out is None or layer.norm_out.num_groups == 1 for layer in layers)
    )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Input shape: the spectrogram's ``F`` and ``T``, and the waveform's steps."""

    frequencies: int
    frames: int
    steps: int


class Transformer(nn.Module):
    """`demucs.transformer.CrossTransformerEncoder`: ``(B, F, T, D)`` and ``(B, 1, steps, D)``, both returned.

    Reduced, all but the residual stream is bfloat16.
    """

    _grid: Tensor
    _line: Tensor

    def __init__(
        self,
        source: Any,  # noqa: ANN401  one of demucs'
        shape: Shape,
        device: torch.device,
        arithmetic: Arithmetic,
    ) -> None:
        super().__init__()
        width = source.layers[0].linear1.in_features
        self._reduced = arithmetic.reduced
        self._norm_in, self._norm_in_t = source.norm_in, source.norm_in_t
        self._layers = nn.ModuleList([_Layer(layer, arithmetic) for layer in source.layers])
        self._layers_t = nn.ModuleList([_Layer(layer, arithmetic) for layer in source.layers_t])
        grid = create_2d_sin_embedding(  # type: ignore[no-untyped-call]
            width, shape.frequencies, shape.frames, device, source.max_period
        )
        line = create_sin_embedding(shape.steps, width, device=device, max_period=source.max_period)
        self.register_buffer("_grid", source.weight_pos_embed * grid.flatten(2).transpose(1, 2))
        self.register_buffer("_line", source.weight_pos_embed * line.transpose(0, 1))

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Alternating self-attention and cross-attention of both branches."""
        frequencies = x.shape[1]
        x = self._norm_in(x.flatten(1, 2)) + self._grid
        xt = self._norm_in_t(xt[:, 0]) + self._line
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self._reduced):
            for layer, layer_t in zip(self._layers, self._layers_t, strict=True):
                x, xt = layer(x, xt), layer_t(xt, x)
        return x.reshape(len(x), frequencies, -1, x.shape[-1]), xt[:, None]


class _Layer(nn.Module):
    """One layer of the transformer; the residual stream stays float32."""

    def __init__(self, source: Any, arithmetic: Arithmetic) -> None:  # noqa: ANN401  one of demucs' two kinds
        super().__init__()
        self._feeds_by_convolution, self._sums_in_blocks = arithmetic.feeds_by_convolution, arithmetic.sums_in_blocks
        self._whole = arithmetic.whole
        self._crosses = hasattr(source, "cross_attn")
        attention = source.cross_attn if self._crosses else source.self_attn
        self._heads = int(attention.num_heads)
        self._weight, self._bias = attention.in_proj_weight, attention.in_proj_bias
        self._out = attention.out_proj
        self._norm_query = source.norm1
        self._norm_key = source.norm2 if self._crosses else source.norm1
        self._norm_feed = source.norm3 if self._crosses else source.norm2
        self._feed_in, self._feed_out, self._activation = source.linear1, source.linear2, source.activation
        self._gamma_1, self._gamma_2 = source.gamma_1, source.gamma_2
        self._norm_out = source.norm_out

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """``(B, N, D)`` of one branch, and of the other for cross-attention."""
        x = x + self._gamma_1(self._attend(x, other))
        fed = self._feed_out(self._widened(self._norm_feed(x)))
        x = x + self._gamma_2(fed)
        norm = self._norm_out
        if norm is None:
            return x
        return whole_norm(x, norm.weight, norm.bias, norm.eps, in_blocks=self._sums_in_blocks)

    def _widened(self, x: Tensor) -> Tensor:
        if self._feeds_by_convolution:
            wide = F.conv1d(x.transpose(1, 2), self._feed_in.weight[:, :, None], self._feed_in.bias)
            moved: Tensor = self._activation(wide).transpose(1, 2)
            return moved
        widened: Tensor = self._activation(self._feed_in(x))
        return widened

    def _attend(self, x: Tensor, other: Tensor) -> Tensor:
        asking = self._norm_query(x)
        asked = self._norm_key(other) if self._crosses else asking
        query, key, value = (
            part.reshape(*part.shape[:2], self._heads, -1).transpose(1, 2) for part in self._projected(asking, asked)
        )
        looked_up = F.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self._out(looked_up.transpose(1, 2).flatten(2))
        return attended

    def _projected(self, asking: Tensor, asked: Tensor) -> tuple[Tensor, ...]:
        """Queries of one branch, keys and values of the other or the same, each ``(B, N, D)``."""
        width = asking.shape[-1]
        if self._whole and not self._crosses:
            return F.linear(asking, self._weight, self._bias).chunk(3, -1)
        query = F.linear(asking, self._weight[:width], self._bias[:width])
        if self._whole:
            return query, *F.linear(asked, self._weight[width:], self._bias[width:]).chunk(2, -1)
        key, value = (
            F.linear(asked, weight, bias)
            for weight, bias in zip(self._weight[width:].chunk(2), self._bias[width:].chunk(2), strict=True)
        )
        return query, key, value
