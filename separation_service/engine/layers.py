"""HTDemucs' encoders and decoders over channels-last tensors, for both branches; the waveform branch has one frequency.

The arithmetic is that of `demucs.hdemucs.HEncLayer`, `HDecLayer` and `demucs.demucs.DConv` in eval mode. Convolutions of one
step are matrix products, gates are convolved apart from what they let through, and the second norm of a residual branch takes its
mean and variance from the few channels before the branch widens, so nobody has to look at the many after it.

Letters: ``B`` batch, ``F`` frequencies, ``T`` frames or samples, ``C`` channels, ``H`` channels inside a residual branch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from demucs.hdemucs import HDecLayer, HEncLayer
from torch import Tensor, nn
from torch.nn import functional as F

from separation_service.engine.arithmetic import Arithmetic
from separation_service.engine.planes import Pair, channels_last, convolved, planes_first
from separation_service.engine.winograd import WinogradGlu, takes

_BLOCK_BYTES = 2 << 20
_MANY_STEPS, _STEPS_AT_A_TIME = 4096, 512

Encoder = Callable[[Tensor], Tensor]
"""``(B, F, T, C)`` -> ``(B, F', T', C')``."""
Decoder = Callable[[Tensor, Tensor, int], Tensor]
"""``(B, F, T, C)``, the encoder's skip tensor, and the output samples of a waveform (else 0) -> ``(B, F', T', C')``."""


def encoder(layer: Any, arithmetic: Arithmetic) -> nn.Module:  # noqa: ANN401  one of demucs' layers
    """An `Encoder`."""
    return (
        _Encoder(layer, arithmetic)
        if isinstance(layer, HEncLayer) and _is_supported_encoder(layer)
        else _ForeignEncoder(layer)
    )


def decoder(layer: Any, arithmetic: Arithmetic) -> nn.Module:  # noqa: ANN401  one of demucs' layers
    """A `Decoder`."""
    usual = isinstance(layer, HDecLayer) and _is_supported_encoder(layer)
    doubles = usual and layer.kernel_size == 2 * layer.stride and layer.pad > 0
    return _Decoder(layer, arithmetic) if doubles else _ForeignDecoder(layer)


def _is_supported_encoder(layer: Any) -> bool:  # noqa: ANN401  one of demucs' layers
    norms = (layer.norm1, layer.norm2) if layer.rewrite is not None else ()
    return bool(norms) and all(isinstance(norm, nn.Identity) for norm in norms)


def whole_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float, *, in_blocks: bool) -> Tensor:
    """`group_norm` of one group over the last two dimensions, channels last."""
    if not in_blocks:
        variance, mean = torch.var_mean(x, (-2, -1), correction=0, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + eps) * weight + bias
    centred = x - _mean_of_steps(x).mean(-1, keepdim=True)
    variance = _mean_of_steps(centred.square()).mean(-1, keepdim=True)
    return centred * torch.rsqrt(variance + eps) * weight + bias


def _mean_of_steps(x: Tensor) -> Tensor:
    """``(..., T, C)`` -> ``(..., 1, C)``."""
    return _blocks_of_steps(x).sum(-2).sum(-2, keepdim=True) / x.shape[-2]


def _blocks_of_steps(x: Tensor) -> Tensor:
    """``(..., T, C)`` -> ``(..., blocks, steps, C)``, padded with zeros.

    For sums: added up one after the other, the steps of a whole waveform would lose 40 dB in float32.
    """
    steps, channels = x.shape[-2:]
    block = _STEPS_AT_A_TIME if steps > _MANY_STEPS else steps
    filled = F.pad(x, (0, 0, 0, -steps % block)) if steps % block else x
    return filled.reshape(*x.shape[:-2], -1, block, channels)


class _Encoder(nn.Module):
    """An `Encoder`."""

    def __init__(self, layer: Any, arithmetic: Arithmetic) -> None:  # noqa: ANN401  an HEncLayer
        super().__init__()
        self._convolution = layer.conv
        self._is_wave = not layer.freq
        glu = _Glu(layer.rewrite, arithmetic)
        self._rest = _Rows(*_residuals(layer, arithmetic), glu, in_blocks=arithmetic.in_blocks and glu.is_flat)

    def forward(self, x: Tensor) -> Tensor:
        convolution, weight = self._convolution, _two_dimensional(self._convolution)
        if self._is_wave and (missing := -x.shape[2] % convolution.stride[0]):
            x = F.pad(x, (0, 0, 0, missing))
        stride, padding = _pair(convolution.stride, 1), _pair(convolution.padding, 0)
        x = convolved(x, weight, convolution.bias, stride=stride, padding=padding, then=F.gelu)
        rest: Tensor = self._rest(x)
        return rest


class _Decoder(nn.Module):
    """A `Decoder`. A waveform is upsampled by a convolution over two steps that outputs ``stride`` samples each."""

    _weight: Tensor

    def __init__(self, layer: Any, arithmetic: Arithmetic) -> None:  # noqa: ANN401  an HDecLayer
        super().__init__()
        fast = arithmetic.winograd and takes(layer.rewrite)
        self._glu = WinogradGlu(layer.rewrite) if fast else _Glu(layer.rewrite, arithmetic)
        self._residuals = _Rows(*_residuals(layer, arithmetic), in_blocks=arithmetic.in_blocks)
        self._is_wave, self._is_last = not layer.freq, bool(layer.last)
        self._stride, self._margin = int(layer.stride), int(layer.pad)
        self._bias = layer.conv_tr.bias
        weight = layer.conv_tr.weight.detach()
        self._is_plain = self._is_wave or arithmetic.plain_stretch
        if self._is_plain:  # (C, C', 2 * stride, ...) -> (stride * C', C, 2): the step before gives the later samples
            flat = weight.flatten(2)
            taps = torch.stack([flat[..., self._stride :], flat[..., : self._stride]], -1)
            weight = taps.permute(2, 1, 0, 3).reshape(-1, weight.shape[0], 2)
        self.register_buffer("_weight", weight)

    def forward(self, x: Tensor, skip: Tensor, samples: int) -> Tensor:
        x = self._residuals(self._glu(x + skip))
        x = self._stretched_wave(x, samples) if self._is_wave else self._stretched_spectrum(x)
        return x if self._is_last else F.gelu(x)

    def _stretched_wave(self, x: Tensor, samples: int) -> Tensor:
        bias = self._bias.repeat(self._stride)
        steps = convolved(x, self._weight[:, :, None], bias, padding=(0, 1))
        wave = steps.reshape(x.shape[0], 1, -1, len(self._bias))
        return wave[:, :, self._margin : self._margin + samples]

    def _stretched_spectrum(self, x: Tensor) -> Tensor:
        if self._is_plain:
            bias = self._bias.repeat(self._stride)
            places = convolved(x, self._weight[..., None], bias, padding=(1, 0))
            spread = places.reshape(*places.shape[:3], self._stride, -1).transpose(2, 3).flatten(1, 2)
            return spread[:, self._margin : -self._margin]
        wide = F.conv_transpose2d(planes_first(x), self._weight, self._bias, (self._stride, 1))
        return channels_last(wide)[:, self._margin : -self._margin]


class _Glu(nn.Module):
    """A convolution from ``C`` to ``2C`` channels and its gated linear unit."""

    def __init__(self, convolution: Any, arithmetic: Arithmetic) -> None:  # noqa: ANN401  a Conv1d or Conv2d
        super().__init__()
        self._convolution = convolution
        self._whole = arithmetic.whole
        self.is_flat = all(size == 1 for size in convolution.kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, F, T, C)`` -> ``(B, F, T, C)``."""
        channels, weight = x.shape[-1], _two_dimensional(self._convolution)
        if self._whole:
            return self._gated_whole(x, weight)
        value_bias, gate_bias = self._convolution.bias[:channels], self._convolution.bias[channels:]
        if self.is_flat:
            flat = weight[:, :, 0, 0]
            return F.linear(x, flat[:channels], value_bias) * torch.sigmoid(F.linear(x, flat[channels:], gate_bias))
        padding = _pair(self._convolution.padding, 0)
        value = convolved(x, weight[:channels], value_bias, padding=padding)
        return value * convolved(x, weight[channels:], gate_bias, padding=padding, then=torch.sigmoid)

    def _gated_whole(self, x: Tensor, weight: Tensor) -> Tensor:
        bias = self._convolution.bias
        if self.is_flat:
            return F.glu(F.linear(x, weight[:, :, 0, 0], bias), -1)
        return F.glu(convolved(x, weight, bias, padding=_pair(self._convolution.padding, 0)), -1)


class _Residual(nn.Module):
    """One residual branch of a `DConv`, with its skip connection: ``(B, F, T, C)`` -> ``(B, F, T, C)``.

    With ``z = W h + b`` widened to ``2C`` channels, the norm's mean is that of ``W E[h] + b``, and its variance that of these over
    the channels and, beside it, the mean of ``w cov(h) w`` over the rows ``w`` of ``W``. The norm itself and the branch's scale
    are part of the matrices.
    """

    _second_moment: Tensor
    _wide: Tensor
    _wide_bias: Tensor
    _matrix: Tensor
    _matrix_bias: Tensor
    _gain: Tensor
    _offset: Tensor

    def __init__(self, layers: Any, arithmetic: Arithmetic) -> None:  # noqa: ANN401  of a DConv
        super().__init__()
        self._taps_apart, self._sums_in_blocks = arithmetic.taps_apart, arithmetic.sums_in_blocks
        self._squeeze, self._norm, _, widen, norm, _, scale = layers
        self._eps = float(norm.eps)
        wide, bias = widen.weight.detach()[:, :, 0], widen.bias.detach()
        scales = torch.cat([scale.scale.detach(), torch.ones_like(scale.scale)])
        gain, offset = norm.weight.detach() * scales, norm.bias.detach() * scales
        self.register_buffer("_wide", wide)
        self.register_buffer("_wide_bias", bias)
        self.register_buffer("_second_moment", wide.t() @ wide / len(wide))
        self.register_buffer("_matrix", wide * gain[:, None])
        self.register_buffer("_matrix_bias", bias * gain)
        self.register_buffer("_gain", gain)
        self.register_buffer("_offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        norm, channels = self._norm, x.shape[-1]
        inner = self._squeezed_by_taps(x) if self._taps_apart else self._squeezed(x)
        inner = F.gelu(whole_norm(inner, norm.weight, norm.bias, norm.eps, in_blocks=self._sums_in_blocks))
        mean, rate = self._level(inner)
        value = self._widened(inner, slice(None, channels), mean, rate)
        return x + value * torch.sigmoid(self._widened(inner, slice(channels, None), mean, rate))

    def _squeezed(self, x: Tensor) -> Tensor:
        squeeze = self._squeeze
        padding, dilation = (0, squeeze.padding[0]), (1, squeeze.dilation[0])
        return convolved(x, squeeze.weight[:, :, None], squeeze.bias, padding=padding, dilation=dilation)

    def _squeezed_by_taps(self, x: Tensor) -> Tensor:
        """The same as one matrix product for all taps, each tap's result shifted into place."""
        squeeze, steps = self._squeeze, x.shape[2]
        inner, _, taps = squeeze.weight.shape
        products = F.linear(x, squeeze.weight.permute(2, 0, 1).flatten(0, 1))
        margin = squeeze.padding[0]
        padded = F.pad(products, (0, 0, margin, margin))
        squeezed: Tensor = squeeze.bias
        for tap in range(taps):
            start = tap * squeeze.dilation[0]
            squeezed = squeezed + padded[:, :, start : start + steps, tap * inner : (tap + 1) * inner]
        return squeezed

    def _widened(self, inner: Tensor, part: slice, mean: Tensor, rate: Tensor) -> Tensor:
        wide = F.linear(inner, self._matrix[part], self._matrix_bias[part])
        return (wide - mean * self._gain[part]) * rate + self._offset[part]

    def _level(self, inner: Tensor) -> tuple[Tensor, Tensor]:
        """Of ``(B, F, T, H)``, widened: mean and reciprocal deviation, ``(B, F, 1, 1)``."""
        inner_means = _mean_of_steps(inner) if self._sums_in_blocks else inner.mean(2, keepdim=True)
        blocks = _blocks_of_steps(inner - inner_means)
        covariance = (blocks.transpose(-2, -1) @ blocks).sum(2) / inner.shape[2]
        means = F.linear(inner_means, self._wide, self._wide_bias)
        mean = means.mean(3, keepdim=True)
        between = (means - mean).square().mean(3, keepdim=True)
        within = (covariance * self._second_moment).sum((2, 3), keepdim=True)
        return mean, torch.rsqrt(within + between + self._eps)


def _residuals(layer: Any, arithmetic: Arithmetic) -> list[nn.Module]:  # noqa: ANN401  one of demucs' layers
    return [] if layer.dconv is None else [_Residual(branch, arithmetic) for branch in layer.dconv.layers]


class _Rows(nn.Sequential):
    """Layers that keep the shape and see one frequency at a time: ``(B, F, T, C)`` -> ``(B, F, T, C)``.

    ``in_blocks``: process as many frequencies at a time as fit the cache, in reused memory, which is faster in torch.
    """

    def __init__(self, *layers: nn.Module, in_blocks: bool) -> None:
        super().__init__(*layers)
        self._in_blocks = in_blocks

    def forward(self, x: Tensor) -> Tensor:
        count = max(1, _BLOCK_BYTES // (x[:, :1].numel() * x.element_size()))
        if not self._in_blocks or count >= x.shape[1]:
            return self._run_layers(x)
        done = torch.empty_like(x)
        for start in range(0, x.shape[1], count):
            done[:, start : start + count] = self._run_layers(x[:, start : start + count])
        return done

    def _run_layers(self, x: Tensor) -> Tensor:
        for layer in self:
            x = layer(x)
        return x


class _ForeignEncoder(nn.Module):
    """Demucs' own layer, with conversions to and from its order of dimensions."""

    def __init__(self, layer: Any) -> None:  # noqa: ANN401  an HEncLayer or a MultiWrap
        super().__init__()
        self._layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return _as_here(self._layer(_as_there(x, self._layer)))


class _ForeignDecoder(nn.Module):
    """Like `_ForeignEncoder`, for a decoder."""

    def __init__(self, layer: Any) -> None:  # noqa: ANN401  an HDecLayer or a MultiWrap
        super().__init__()
        self._layer = layer

    def forward(self, x: Tensor, skip: Tensor, samples: int) -> Tensor:
        return _as_here(self._layer(_as_there(x, self._layer), _as_there(skip, self._layer), samples)[0])


def _as_there(x: Tensor, layer: Any) -> Tensor:  # noqa: ANN401  one of demucs' layers
    """``(B, F, T, C)`` -> ``(B, C, F, T)`` or, of a waveform, ``(B, C, T)``."""
    planes = planes_first(x)
    return planes if getattr(layer, "freq", True) else planes[:, :, 0]


def _as_here(x: Tensor) -> Tensor:
    return channels_last(x if x.dim() == 4 else x[:, :, None])


def _two_dimensional(convolution: Any) -> Tensor:  # noqa: ANN401  a Conv1d or Conv2d
    """Its weight as a 2-D convolution's, with one frequency if it has none."""
    weight: Tensor = convolution.weight
    return weight if weight.dim() == 4 else weight[:, :, None]


def _pair(along: tuple[int, ...], across: int) -> Pair:
    """A pair of parameters for a 2-D convolution, from a 1-D or 2-D one."""
    return (along[0], along[1]) if len(along) == 2 else (across, along[0])
