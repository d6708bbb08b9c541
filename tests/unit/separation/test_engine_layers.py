"""The network of channels-last layers against demucs' own forward between the spectrograms, form by form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from separation_service.engine.arithmetic import ON_CPU, ON_GPU, ON_OPENVINO, Arithmetic
from separation_service.engine.hybrid import HybridCore, HybridForward, is_supported
from separation_service.engine.layers import _residuals
from separation_service.engine.winograd import WinogradGlu, takes
from tests.support.tiny_models import tiny

LEAST_SNR_DB = 100.0


def snr_db(truth: torch.Tensor, found: torch.Tensor) -> float:
    """Signal to difference."""
    return float(10 * torch.log10(truth.double().square().mean() / (truth.double() - found).square().mean()))


@pytest.mark.parametrize(
    ("arithmetic", "form"),
    [
        (ON_CPU, {}),
        (ON_GPU, {}),
        (ON_OPENVINO, {}),
        (ON_GPU, {"dconv_mode": 1, "context": 2}),
        (ON_OPENVINO, {"dconv_mode": 1}),
        (ON_OPENVINO, {"norm_starts": 2}),
        (ON_CPU, {"rewrite": False}),
        (ON_CPU, {"context_enc": 1, "context": 2}),
        (ON_OPENVINO, {"bottom_channels": 16, "dconv_depth": 3}),
        (ON_GPU, {"bottom_channels": 16, "dconv_depth": 3}),
        (ON_OPENVINO, {"t_norm_out": False, "t_layers": 1}),
    ],
    ids=str,
)
def test_every_form_of_layer_agrees(arithmetic: Arithmetic, form: dict[str, Any]) -> None:
    """Layers with and without residual branches, norms, gates or context give demucs' numbers."""
    model: Any = tiny(**form)
    assert is_supported(model)
    mix = 0.2 * torch.randn(2, 2, int(model.segment * model.samplerate), generator=torch.Generator().manual_seed(1))
    rows = (0, 1, 2, 3)
    ours = HybridForward(model, rows, HybridCore(model, rows, arithmetic).eval(), lambda: None)
    with torch.inference_mode():
        assert snr_db(model(mix), ours(mix)) >= LEAST_SNR_DB


def test_blocks_of_frequencies_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a block holds three frequencies, the last one fewer, the numbers are those of the whole."""
    model: Any = tiny()
    mix = 0.2 * torch.randn(1, 2, int(model.segment * model.samplerate), generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr("separation_service.engine.layers._BLOCK_BYTES", 1536)
    ours = HybridForward(model, (1,), HybridCore(model, (1,), ON_CPU).eval(), lambda: None)
    with torch.inference_mode():
        assert snr_db(model(mix)[:, 1:2], ours(mix)) >= LEAST_SNR_DB


@pytest.mark.parametrize("frequencies", [1, 3, 4, 9])
def test_winograd_is_a_convolution(frequencies: int) -> None:
    """Any number of frequencies, of one frame or more, gives what the convolution and its gate give in double precision."""
    torch.manual_seed(frequencies)
    convolution = nn.Conv2d(24, 48, 3, padding=1)
    x = torch.randn(2, 24, frequencies, 5)
    with torch.inference_mode():
        found = WinogradGlu(convolution)(x.permute(0, 2, 3, 1).contiguous())
        truth = nn.functional.glu(convolution.double()(x.double()), 1).permute(0, 2, 3, 1)
    assert snr_db(truth, found) >= LEAST_SNR_DB


def test_winograd_takes_what_it_can() -> None:
    """A convolution of another size, stride, dilation or padding, or of a waveform, is left as it is."""
    assert takes(nn.Conv2d(4, 8, 3, padding=1))
    others: list[nn.Module] = [
        nn.Conv2d(4, 8, 3),
        nn.Conv2d(4, 8, (1, 3), padding=(0, 1)),
        nn.Conv2d(4, 8, 3, padding=1, stride=2),
        nn.Conv2d(4, 8, 3, padding=1, dilation=2),
        nn.Conv1d(4, 8, 3, padding=1),
    ]
    assert not any(takes(other) for other in others)


def test_the_norms_of_a_whole_waveform_are_exact() -> None:
    """A residual branch over 86000 steps, most of them alike, is as near to double precision as demucs' own."""
    torch.manual_seed(0)
    model: Any = tiny(channels=16)
    encoder_layer = model.tencoder[0]
    branches = encoder_layer.dconv
    x = torch.nn.functional.gelu(torch.randn(1, 16, 86_000) * torch.linspace(0, 6, 86_000).sin())
    x[..., 55_000:] = 0.1
    with torch.inference_mode():
        found = nn.Sequential(*_residuals(encoder_layer, ON_CPU))(x.transpose(1, 2)[:, None].contiguous())
        truth = branches.double()(x.double()).transpose(1, 2)[:, None]
    assert snr_db(truth, found) >= 115.0
