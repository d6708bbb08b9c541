"""Convolutions over channels-last tensors, ``(B, F, T, C)``: batch, frequencies, frames, channels.

The moves to and fro are views. They go through three dimensions because OpenVINO recognises them there as the layout that its
convolutions want and drops them; a permutation of four it carries out.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

Pair = tuple[int, int]


def planes_first(x: Tensor) -> Tensor:
    """``(B, F, T, C)`` -> ``(B, C, F, T)``, a view."""
    batch, frequencies, frames, channels = x.shape
    return (
        x.reshape(batch, frequencies * frames, channels).transpose(1, 2).reshape(batch, channels, frequencies, frames)
    )


def channels_last(x: Tensor) -> Tensor:
    """``(B, C, F, T)`` -> ``(B, F, T, C)``, a view, the inverse of `planes_first`."""
    batch, channels, frequencies, frames = x.shape
    return (
        x.reshape(batch, channels, frequencies * frames).transpose(1, 2).reshape(batch, frequencies, frames, channels)
    )


def convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    then: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """``(B, F, T, C)`` -> ``(B, F', T', C')``; ``then`` is applied element-wise before the move back."""
    y = F.conv2d(planes_first(x), weight, bias, stride, padding, dilation)
    return channels_last(y if then is None else then(y))
