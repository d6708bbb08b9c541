"""HTDemucs split at its spectrograms: Fourier transforms here, and between them a network of plain tensor operations.

The arithmetic is that of ``demucs.htdemucs.HTDemucs.forward`` in eval mode, with the model's own layers and weights. Differences in
execution: position embeddings are computed once, attention uses `scaled_dot_product_attention`, unused sources are neither computed
by the last layers nor transformed back, and nothing waits for the device. Only the network is compiled for a GPU (forward.py) or
converted to OpenVINO (openvino_core.py). Inside it, channels are the last dimension (layers.py).

Letters: ``B`` batch, ``C`` channels, ``L`` samples of a segment, ``F`` frequencies, ``T`` frames, ``R`` rows (sources kept),
``P`` planes of the spectrogram: ``2C`` for real and imaginary parts, ``C`` for magnitudes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import torch
from demucs.hdemucs import HDecLayer
from demucs.htdemucs import HTDemucs
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from separation_service.engine.arithmetic import Arithmetic
from separation_service.engine.layers import decoder, encoder
from separation_service.engine.transformer import Shape, Transformer, is_supported_encoder

Core = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Spectrogram ``(B, F, T, P)`` and mix ``(B, L, C)`` to ``(B, F, T, R * P)`` and ``(B, L, R * C)``, all float32.

Its outputs may be overwritten by its next call."""

_EPSILON = 1e-5  # HTDemucs.forward, both branches
_PHASE_FLOOR = 1e-8  # HTDemucs._mask
_WINDOW_SQUARES = 1.5
"""Sum of squared Hann windows a quarter of their length apart; constant."""
_QUARTERS = 4
"""Hops per window, as `is_supported` requires."""
_FRAMES_AT_A_TIME, _FREQUENCIES_AT_A_TIME = 24, 256


def is_supported(model: nn.Module) -> bool:
    """True if this module supports the model's form; demucs' own forward is used otherwise."""
    if not isinstance(model, HTDemucs):
        return False
    net: Any = model
    return (
        (net.cac or net.wiener_iters < 0)
        and net.use_train_segment
        and net.hop_length * _QUARTERS == net.nfft
        and int(net.segment * net.samplerate) > net.nfft
        and all(not layer.empty for layer in net.tencoder)
        and len(net.tencoder) == len(net.encoder)
        and _is_plain(net.decoder[-1])
        and _is_plain(net.tdecoder[-1])
        and (net.crosstransformer is None or is_supported_encoder(net.crosstransformer))
    )


def _is_plain(layer: nn.Module) -> bool:
    return isinstance(layer, HDecLayer) and isinstance(layer.norm2, nn.Identity)


class HybridForward:
    """One model over a batch, ``(B, C, L)`` -> ``(B, R, C, L)``, with the network ``core``, whose memory ``release`` frees."""

    def __init__(self, model: nn.Module, rows: Sequence[int], core: Core, release: Callable[[], None]) -> None:
        net: Any = model
        self._core = core
        self.release = release
        self._rows = len(rows)
        self._masks = not net.cac
        self._n_fft, self._hop = int(net.nfft), int(net.hop_length)
        self._window = torch.hann_window(self._n_fft, device=next(net.parameters()).device)

    def __call__(self, mix: Tensor) -> Tensor:
        """Without gradients."""
        bins = self._bins(mix)
        spectrogram = self._seen(bins)
        mean, std = spectrogram.mean((1, 2, 3), keepdim=True), spectrogram.std((1, 2, 3), keepdim=True)
        mean_t, std_t = mix.mean((1, 2), keepdim=True), mix.std((1, 2), keepdim=True)
        normal_t = rearrange((mix - mean_t) / (std_t + _EPSILON), "b c l -> b l c")
        by_frequency, by_time = self._core((spectrogram - mean) / (std + _EPSILON), normal_t)
        waves = self._waves(by_frequency, (mean, std), bins, mix.shape[-1])
        waves = waves + rearrange(by_time * std_t + mean_t, "b l rc -> b rc l")
        return rearrange(waves, "b (r c) l -> b r c l", r=self._rows)

    def _bins(self, mix: Tensor) -> Tensor:
        """``(B, C, L)`` -> complex ``(B, C, F, T)``, without the highest frequency, as demucs leaves it out."""
        samples, channels = mix.shape[-1], mix.shape[1]
        frames = -(-samples // self._hop)
        margin = self._hop // 2 * 3
        padded = F.pad(mix, (margin, margin + frames * self._hop - samples), mode="reflect")
        bins = torch.stft(
            rearrange(padded, "b c l -> (b c) l"),
            self._n_fft,
            self._hop,
            window=self._window,
            normalized=True,
            return_complex=True,
        )
        return rearrange(bins[:, :-1, 2 : 2 + frames], "(b c) f t -> b c f t", c=channels)

    def _seen(self, bins: Tensor) -> Tensor:
        """``(B, F, T, P)``: real and imaginary parts as channels, or magnitudes where the model masks."""
        if self._masks:
            return rearrange(bins.abs(), "b c f t -> b f t c")
        return torch.view_as_real(torch.stack(bins.unbind(1), -1)).flatten(3)

    def _waves(self, spectrogram: Tensor, level: tuple[Tensor, Tensor], bins: Tensor, samples: int) -> Tensor:
        """``(B, F, T, R * P)``, its mean and deviation, and the mix's bins -> ``(B, R * C, L)``.

        `torch.istft` does the same but looks at its window on the host, which would wait for the device. A CPU takes a few frames
        at a time, which stay in its cache and, unlike larger tensors, in memory that it has used before.
        """
        batch, count = spectrogram.shape[0], spectrogram.shape[2]
        waves = spectrogram.new_zeros(batch, count + _QUARTERS - 1, self._rows * bins.shape[1], self._hop)
        window = self._window * (self._n_fft**0.5 / _WINDOW_SQUARES)
        step = count if spectrogram.is_cuda else _FRAMES_AT_A_TIME
        for start in range(0, count, step):
            part = slice(start, min(start + step, count))
            estimated = self._estimated(_frames_first(spectrogram[:, :, part]), level, bins[..., part])
            frames = torch.fft.irfft(estimated, n=self._n_fft)
            quarters = rearrange(frames, "b t rc (quarter hop) -> quarter b t rc hop", quarter=_QUARTERS)
            for quarter, shape in enumerate(window.view(_QUARTERS, self._hop)):
                waves[:, part.start + quarter : part.stop + quarter].addcmul_(quarters[quarter], shape)
        margin = self._hop // 2 * 3
        track: Tensor = rearrange(waves, "b t rc hop -> b rc (t hop)")
        return track[..., margin : margin + samples]

    def _estimated(self, frames: Tensor, level: tuple[Tensor, Tensor], bins: Tensor) -> Tensor:
        """``(B, T, R * P, F)`` -> complex ``(B, T, R * C, F + 1)``, with the mix's phases where the model gives magnitudes.

        The highest frequency, which demucs leaves out, is zero.
        """
        mean, std = level
        channels, frequencies = bins.shape[1:3]
        estimated = torch.zeros(
            *frames.shape[:2], self._rows, channels, frequencies + 1, dtype=bins.dtype, device=bins.device
        )
        seen = estimated[..., :frequencies]
        if self._masks:
            phases = rearrange(bins / (_PHASE_FLOOR + bins.abs()), "b c f t -> b t 1 c f")
            seen[:] = phases * rearrange(frames * std + mean, "b t (r c) f -> b t r c f", r=self._rows)
        else:
            parts = rearrange(frames, "b t (r c part) f -> b t r c f part", r=self._rows, part=2)
            torch.addcmul(mean[..., None, None], parts, std[..., None, None], out=torch.view_as_real(seen))
        return estimated.flatten(2, 3)


def _frames_first(spectrogram: Tensor) -> Tensor:
    """``(B, F, T, P)`` -> ``(B, T, P, F)``, laid out anew.

    Of one sample as transpositions of matrices, which torch does fast where they are small enough for a CPU's nearest cache.
    """
    batch, frequencies, count, planes = spectrogram.shape
    if batch > 1:
        return rearrange(spectrogram, "b f t p -> b t p f").contiguous()
    matrix = spectrogram[0].reshape(frequencies, count * planes)
    return torch.cat([part.t() for part in torch.split(matrix, _FREQUENCIES_AT_A_TIME)], 1).view(
        1, count, planes, frequencies
    )


class HybridCore(nn.Module):
    """The network between the spectrograms, as a `Core`; shares most of the model's weights."""

    _frequencies: Tensor | None

    def __init__(self, model: nn.Module, rows: Sequence[int], arithmetic: Arithmetic) -> None:
        super().__init__()
        self.made_of = f"{arithmetic} {model} {getattr(model, '_init_args_kwargs', None)}"
        """A description of the network apart from its weights; equal texts mean equal networks."""
        net: Any = model
        channels, sources = int(net.audio_channels), len(net.sources)
        planes = 2 * channels if net.cac else channels
        decoders = [*net.decoder[:-1], _keep_rows(net.decoder[-1], rows, sources, planes)]
        decoders_t = [*net.tdecoder[:-1], _keep_rows(net.tdecoder[-1], rows, sources, channels)]
        self._encoders = nn.ModuleList([encoder(layer, arithmetic) for layer in net.encoder])
        self._encoders_t = nn.ModuleList([encoder(layer, arithmetic) for layer in net.tencoder])
        self._decoders = nn.ModuleList([decoder(layer, arithmetic) for layer in decoders])
        self._decoders_t = nn.ModuleList([decoder(layer, arithmetic) for layer in decoders_t])
        self._has_bottom = bool(net.bottom_channels)
        if self._has_bottom:
            self._up, self._up_t = net.channel_upsampler, net.channel_upsampler_t
            self._down, self._down_t = net.channel_downsampler, net.channel_downsampler_t
        samples = int(net.segment * net.samplerate)
        device = next(net.parameters()).device
        self._transformer = None
        if net.crosstransformer is not None:
            spectrum, frames, steps = _bottom_shape(net, samples)
            shape = Shape(frequencies=spectrum, frames=frames, steps=steps)
            self._transformer = Transformer(net.crosstransformer, shape, device, arithmetic)
        frequencies: Tensor | None = None
        if net.freq_emb is not None:
            frequencies = net.freq_emb_scale * net.freq_emb.weight.detach()[None, :, None]
        self.register_buffer("_frequencies", frequencies)

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """See `Core`."""
        xt = xt[:, None]
        skips: list[Tensor] = []
        skips_t: list[Tensor] = []
        lengths: list[int] = []
        for depth, (encode, encode_t) in enumerate(zip(self._encoders, self._encoders_t, strict=True)):
            lengths.append(xt.shape[2])
            xt = encode_t(xt)
            x = encode(x)
            if depth == 0 and self._frequencies is not None:
                x = x + self._frequencies
            skips.append(x)
            skips_t.append(xt)
        x, xt = self._bottom(x, xt)
        for decode, decode_t in zip(self._decoders, self._decoders_t, strict=True):
            x = decode(x, skips.pop(), 0)
            xt = decode_t(xt, skips_t.pop(), lengths.pop())
        return x, xt[:, 0]

    def _bottom(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        if self._transformer is None:
            return x, xt
        if self._has_bottom:
            x, xt = _one_step(self._up, x), _one_step(self._up_t, xt)
        x, xt = self._transformer(x, xt)
        if self._has_bottom:
            x, xt = _one_step(self._down, x), _one_step(self._down_t, xt)
        return x, xt


def _one_step(convolution: Any, x: Tensor) -> Tensor:  # noqa: ANN401  a Conv1d of one step
    """``(B, F, T, C)`` -> ``(B, F, T, C')``."""
    return F.linear(x, convolution.weight[:, :, 0], convolution.bias)


def spectrogram_shape(model: nn.Module, samples: int) -> tuple[int, int, int]:
    """``(F, T, P)`` of what the network sees of ``samples``."""
    net: Any = model
    return net.nfft // 2, -(-samples // net.hop_length), (2 if net.cac else 1) * net.audio_channels


def _bottom_shape(net: Any, samples: int) -> tuple[int, int, int]:  # noqa: ANN401  an HTDemucs
    """Frequencies, frames and time steps that reach the transformer for segments of ``samples``."""
    frequencies, frames, _ = spectrogram_shape(net, samples)
    steps = samples
    for encode, encode_t in zip(net.encoder, net.tencoder, strict=True):
        stride = encode.layers[0].stride if hasattr(encode, "layers") else encode.stride
        frequencies //= stride
        steps = -(-steps // encode_t.stride)
    return frequencies, frames, steps


def _keep_rows(layer: Any, rows: Sequence[int], sources: int, width: int) -> nn.Module:  # noqa: ANN401  an HDecLayer
    """The last layer, a copy whose transposed convolution gives the channels of these sources only, ``width`` a source."""
    kept = torch.tensor([row * width + channel for row in rows for channel in range(width)])
    if len(rows) == sources:
        whole: nn.Module = layer
        return whole
    narrow = copy(layer)
    narrow._modules = dict(layer._modules)  # noqa: SLF001  a module shares its children with its copy otherwise
    convolution = copy(layer.conv_tr)
    convolution._parameters = {  # noqa: SLF001  likewise
        "weight": nn.Parameter(layer.conv_tr.weight.detach()[:, kept].clone(), requires_grad=False),
        "bias": nn.Parameter(layer.conv_tr.bias.detach()[kept].clone(), requires_grad=False),
    }
    convolution.out_channels = len(kept)
    narrow.conv_tr = convolution
    kept_layer: nn.Module = narrow
    return kept_layer
