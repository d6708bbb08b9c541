"""Winograd's F(4, 3) along frequencies: a 3 x 3 convolution in half the multiplications, in plain tensor operations.

Four rows of output need six rows of input. Six sums of these rows, each convolved along the frames with its own sum of the
kernel's rows, give the four rows as sums again (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016). Along
the frames the convolution stays as it is, so the sums hold as many frames as the rows and the rounding grows little.

Letters: ``B`` batch, ``F`` frequencies, ``T`` frames, ``C`` channels; channels lie last.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from separation_service.engine.planes import channels_last, planes_first

_ROWS = 4
_SUMS = 6
_OF_INPUT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
_OF_KERNEL = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
_OF_OUTPUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)
"""B^T, G and A^T of the paper for the points 0, 1, -1, 2, -2 and infinity."""


def takes(convolution: nn.Module) -> bool:
    """True for a 3 x 3 convolution that keeps the size."""
    return (
        isinstance(convolution, nn.Conv2d)
        and convolution.kernel_size == (3, 3)
        and convolution.padding == (1, 1)
        and convolution.stride == convolution.dilation == (1, 1)
    )


class WinogradGlu(nn.Module):
    """A 3 x 3 convolution from ``C`` to ``2C`` channels and its gated linear unit: ``(B, F, T, C)`` -> ``(B, F, T, C)``."""

    _sums: Tensor
    _kernels: Tensor
    _bias: Tensor

    def __init__(self, convolution: Any) -> None:  # noqa: ANN401  a Conv2d that `takes` accepts
        super().__init__()
        weight = convolution.weight.detach()
        of_kernel = torch.tensor(_OF_KERNEL, dtype=torch.float64, device=weight.device)
        kernels = torch.einsum("kr,oirs->kois", of_kernel, weight.double()).to(weight.dtype)
        self.register_buffer("_kernels", kernels[:, :, :, None])
        self.register_buffer("_sums", torch.tensor(_OF_INPUT, device=weight.device))
        self.register_buffer("_bias", convolution.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """Rows are zero-padded to a multiple of four; the convolution pads them anyway."""
        frequencies, channels = x.shape[1], x.shape[3]
        if missing := -frequencies % _ROWS:
            x = F.pad(x, (0, 0, 0, 0, 0, missing))
        planes = planes_first(x)
        values, gates = [], []
        for number in range(_SUMS):
            taps = self._sums[number].view(1, 1, _SUMS, 1).expand(channels, 1, _SUMS, 1)
            summed = F.conv2d(planes, taps, None, (_ROWS, 1), (1, 0), groups=channels)
            values.append(F.conv2d(summed, self._kernels[number, :channels], None, 1, (0, 1)))
            gates.append(F.conv2d(summed, self._kernels[number, channels:], None, 1, (0, 1)))
        value_bias, gate_bias = self._bias.view(2, 1, channels, 1, 1)
        rows = [
            channels_last((_row(row, values) + value_bias) * torch.sigmoid(_row(row, gates) + gate_bias))
            for row in range(_ROWS)
        ]
        whole = torch.stack(rows, 2).reshape(x.shape)
        return whole[:, :frequencies] if missing else whole


def _row(row: int, products: list[Tensor]) -> Tensor:
    """One of each four rows, without its bias."""
    factors = _OF_OUTPUT[row]
    terms = [
        product if factor == 1.0 else product * factor
        for factor, product in zip(factors, products, strict=True)
        if factor
    ]
    return sum(terms[1:], start=terms[0])
