"""One compilation for all models of a bag: the weights of each are laid in before it runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from separation_service.engine.arithmetic import ON_GPU
from separation_service.engine.compiled import CompiledCores
from separation_service.engine.hybrid import HybridCore, HybridForward
from tests.support.tiny_models import tiny

SLOTS = 2


def test_models_of_one_form_share_a_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models' rows, in turn, are what each model itself gives; a batch of another size runs as it is."""
    counter: Any = CompileCounter()
    compile_with_torch = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network, **rest: compile_with_torch(network, backend=counter, **rest))
    cores = CompiledCores(SLOTS)
    models: list[Any] = [tiny(seed=seed, t_layers=1, depth=2).requires_grad_(requires_grad=False) for seed in (0, 1)]
    samples = int(models[0].segment * models[0].samplerate)
    mix = 0.2 * torch.randn(SLOTS, 2, samples, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = [
            HybridForward(model, (row,), cores.of(HybridCore(model, (row,), ON_GPU).eval()), lambda: None)
            for row, model in enumerate(models)
        ]
        for _ in range(2):
            for row, (model, forward) in enumerate(zip(models, ours, strict=True)):
                wanted = model(mix)[:, row : row + 1]
                assert torch.allclose(forward(mix), wanted, atol=1e-4 * float(wanted.abs().max()))
        assert counter.frame_count == 1
        single = models[0](mix[:1])[:, :1]
        assert torch.allclose(ours[0](mix[:1]), single, atol=1e-4 * float(single.abs().max()))
    assert counter.frame_count == 1
