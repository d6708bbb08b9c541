"""The starter separator's shape, and first weights that give a quarter of the mixture for every source.

The frequency branch works on magnitudes and keeps the mixture's phase (``cac=False``, ``wiener_iters=-1``). Its outermost
decoder layer is a gated linear unit; its 32 channels are set up as four copies of what the outermost encoder saw (4 bins x 2
channels), each behind a gate of its own: a mask a source, bin and frame, in demucs' own class. The time branch starts silent and
learns what magnitudes cannot say. Training starts from the mixture / 4 (FINDINGS D) instead of spending its first minutes there.
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

_BINS = 4  # the outermost stride: bins that share a channel's position
_AUDIO_CHANNELS = 2
_PASSED = _BINS * _AUDIO_CHANNELS
_LIFT = 6.0  # GELU(x + 6) = x + 6 to 1e-6 for normalised magnitudes, which are above -1
_FLOOR = 0.2  # typical mean / standard deviation of magnitudes: what a mask of 0 has to take away


def arguments() -> dict[str, Any]:
    """Keyword arguments of ``HTDemucs``: 3.26 M parameters."""
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
    """A net whose output is about a quarter of the mixture for every source."""
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
    """Let the first channels of the outermost encoder carry the magnitudes unchanged, all the way to the decoder's skip."""
    encoder = net.encoder[0]
    _silence_channels(encoder.conv, _PASSED)
    own_bins = range(encoder.pad, encoder.pad + _BINS)
    for channel in range(_AUDIO_CHANNELS):
        for index, tap in enumerate(own_bins):
            encoder.conv.weight[channel * _BINS + index, channel, tap] = 1.0
    encoder.conv.bias[:_PASSED] = _LIFT
    for block in encoder.dconv.layers:
        block[-1].scale[:_PASSED] = 0.0
    values, gates = slice(0, _PASSED), slice(net.channels, net.channels + _PASSED)
    for part in (values, gates):
        encoder.rewrite.weight[part] = 0.0
        encoder.rewrite.bias[part] = 0.0
    for index in range(_PASSED):
        encoder.rewrite.weight[index, index] = 2.0  # behind a gate of one half
    encoder.rewrite.bias[values] = -2.0 * _LIFT
    net.freq_emb.embedding.weight[:, :_PASSED] = 0.0
    inner = net.decoder[-2].conv_tr
    inner.weight[:, :_PASSED] = 0.0
    inner.bias[:_PASSED] = 0.0


def _gate_copies(net: Any) -> None:  # noqa: ANN401 - demucs' nets have no types
    """A copy of the magnitudes for each source, behind a gate of 1/4, added up to the output bins they came from."""
    decoder, sources = net.decoder[-1], len(net.sources)
    copies = sources * _PASSED
    decoder.rewrite.weight[:copies] = 0.0
    decoder.rewrite.bias[:copies] = _FLOOR
    gates = slice(net.channels, net.channels + copies)
    decoder.rewrite.weight[gates] *= (
        0.05  # loud bins are 30 standard deviations up: gates must not close on them at once
    )
    decoder.rewrite.weight[gates, :_PASSED] = 0.0
    decoder.rewrite.bias[gates] = math.log(1 / (sources - 1))
    decoder.conv_tr.weight[:] = 0.0
    decoder.conv_tr.bias[:] = -_FLOOR
    for source in range(sources):
        for index in range(_PASSED):
            copy = source * _PASSED + index
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
