"""Architecture of the starter separator, and initial weights whose output is a quarter of the mixture for every source.

The frequency branch works on magnitudes and uses the mixture's phase (``cac=False``, ``wiener_iters=-1``). Its outermost decoder
layer is a gated linear unit. Its 32 channels are initialised as four copies of the input of the outermost encoder (4 bins x 2
channels), each with a gate of its own: a mask for each source, bin and frame, within demucs' own class. The time branch starts
silent and learns what magnitudes do not contain. Training starts at the mixture / 4, which would otherwise take its first minutes.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import torch
from demucs.htdemucs import HTDemucs
from torch import Tensor, nn

SOURCES = ("drums", "bass", "other", "vocals")  # demucs' own order
SAMPLE_RATE_HZ = 44100
SEGMENT_SAMPLES = 112 * 1024  # 2.6 s, a whole number of hops

_BINS = 4  # outermost stride: bins that share one position of a channel
_AUDIO_CHANNELS = 2
_IDENTITY_CHANNELS = _BINS * _AUDIO_CHANNELS
_OFFSET = 6.0  # GELU(x + 6) = x + 6 to 1e-6 for normalised magnitudes, which are above -1
_FLOOR = 0.2  # typical mean / standard deviation of magnitudes, which a mask of 0 has to remove


def arguments() -> dict[str, Any]:
    """Keyword arguments of ``HTDemucs``; 3.26 M parameters."""
    return {
        "sources": list(SOURCES),
        "channels": 32,
        "nfft": 4096,
        "cac": False,
        "wiener_iters": -1,
        "end_iters": -1,
        "context": 0,
        "dconv_mode": 1,
        "dconv_comp": 8,
        "dconv_init": 0.1,
        "bottom_channels": 128,
        "t_layers": 2,
        "t_heads": 4,
        "samplerate": SAMPLE_RATE_HZ,
        "segment": Fraction(SEGMENT_SAMPLES, SAMPLE_RATE_HZ),
    }


def build(seed: int) -> nn.Module:
    """An untrained net whose output is about a quarter of the mixture for every source."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: Any = HTDemucs(**arguments())
    with torch.no_grad():
        _pass_magnitudes(net)
        _gate_copies(net)
        _silence(net.tdecoder[-1].conv_tr)
    module: nn.Module = net
    return module


def _pass_magnitudes(net: Any) -> None:  # noqa: ANN401 - demucs' nets have no types
    """Make the first channels of the outermost encoder pass the magnitudes unchanged to the decoder's skip connection."""
    encoder = net.encoder[0]
    _silence_channels(encoder.conv, _IDENTITY_CHANNELS)
    own_bins = range(encoder.pad, encoder.pad + _BINS)
    for channel in range(_AUDIO_CHANNELS):
        for index, tap in enumerate(own_bins):
            encoder.conv.weight[channel * _BINS + index, channel, tap] = 1.0
    encoder.conv.bias[:_IDENTITY_CHANNELS] = _OFFSET
    for block in encoder.dconv.layers:
        block[-1].scale[:_IDENTITY_CHANNELS] = 0.0
    values, gates = slice(0, _IDENTITY_CHANNELS), slice(net.channels, net.channels + _IDENTITY_CHANNELS)
    for part in (values, gates):
        encoder.rewrite.weight[part] = 0.0
        encoder.rewrite.bias[part] = 0.0
    for index in range(_IDENTITY_CHANNELS):
        encoder.rewrite.weight[index, index] = 2.0  # the gate is one half
    encoder.rewrite.bias[values] = -2.0 * _OFFSET
    net.freq_emb.embedding.weight[:, :_IDENTITY_CHANNELS] = 0.0
    inner = net.decoder[-2].conv_tr
    inner.weight[:, :_IDENTITY_CHANNELS] = 0.0
    inner.bias[:_IDENTITY_CHANNELS] = 0.0


def _gate_copies(net: Any) -> None:  # noqa: ANN401 - demucs' nets have no types
    """Send a copy of the magnitudes for each source through a gate of 1/4 to the output bins they came from."""
    decoder, sources = net.decoder[-1], len(net.sources)
    copies = sources * _IDENTITY_CHANNELS
    decoder.rewrite.weight[:copies] = 0.0
    decoder.rewrite.bias[:copies] = _FLOOR
    gates = slice(net.channels, net.channels + copies)
    decoder.rewrite.weight[gates] *= 0.05  # loud bins are 30 standard deviations up and must not close the gates
    decoder.rewrite.weight[gates, :_IDENTITY_CHANNELS] = 0.0
    decoder.rewrite.bias[gates] = math.log(1 / (sources - 1))
    decoder.conv_tr.weight[:] = 0.0
    decoder.conv_tr.bias[:] = -_FLOOR
    for source in range(sources):
        for index in range(_IDENTITY_CHANNELS):
            copy = source * _IDENTITY_CHANNELS + index
            channel, bin_index = divmod(index, _BINS)
            decoder.rewrite.weight[copy, index] = 1.0
            decoder.conv_tr.weight[copy, source * _AUDIO_CHANNELS + channel, decoder.pad + bin_index] = 1.0


def _silence_channels(conv: Any, channels: int) -> None:  # noqa: ANN401 - 1-D or 2-D
    conv.weight[:channels] = 0.0
    conv.bias[:channels] = 0.0


def _silence(conv: Any) -> None:  # noqa: ANN401 - 1-D or 2-D
    weight: Tensor = conv.weight
    weight.zero_()
    conv.bias.zero_()
