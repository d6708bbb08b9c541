"""Small true models in demucs' own forms. Their LayerScales are drawn from U(0.2, 0.8), so that errors show (FINDINGS A)."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import yaml
from demucs.demucs import Demucs, LayerScale
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from demucs.transformer import LayerScale as TransformerLayerScale
from safetensors.torch import save_file
from torch import nn

FOUR = ("drums", "bass", "other", "vocals")
SIX = (*FOUR, "guitar", "piano")

_SHAPES: dict[type[nn.Module], dict[str, Any]] = {
    HTDemucs: {
        "channels": 4,
        "t_layers": 2,
        "t_heads": 2,
        "dconv_mode": 3,
        "dconv_comp": 2,
        "segment": Fraction(7, 10),
    },
    HDemucs: {"channels": 4, "depth": 6, "dconv_comp": 2, "segment": 1},
    Demucs: {"channels": 4, "depth": 4, "dconv_comp": 2, "lstm_layers": 1, "segment": 1},
}


def tiny(kind: type[nn.Module] = HTDemucs, *, sources: Sequence[str] = FOUR, seed: int = 0, **more: Any) -> nn.Module:
    """A model of ``kind`` in eval mode, with ``more`` arguments of its own."""
    torch.manual_seed(seed)
    kwargs = {"sources": list(sources), "samplerate": 44100, **_SHAPES[kind], **more}
    model: Any = kind(**kwargs)
    model.made_with = kwargs
    for module in model.modules():
        if isinstance(module, LayerScale | TransformerLayerScale):
            nn.init.uniform_(module.scale, 0.2, 0.8)
    eval_model: nn.Module = model.eval()
    return eval_model


def save_th(model: Any, signature: str, folder: Path) -> Path:
    """``<sig>-<8 hex>.th``, as demucs' own releases."""
    package = {
        "klass": type(model),
        "args": (),
        "kwargs": model.made_with,
        "state": model.state_dict(),
        "training_args": {},
    }
    buffer = io.BytesIO()
    torch.save(package, buffer)
    data = buffer.getvalue()
    path = folder / f"{signature}-{hashlib.sha256(data).hexdigest()[:8]}.th"
    path.write_bytes(data)
    return path


def save_safetensors(model: Any, signature: str, folder: Path, *, klass: str | None = None) -> Path:
    """``<sig>.safetensors`` with class and arguments in its metadata, as demucs' hub export."""
    encoded = {
        key: {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
        if isinstance(value, Fraction)
        else value
        for key, value in model.made_with.items()
    }
    kind = type(model)
    metadata = {
        "klass": klass or f"{kind.__module__}.{kind.__qualname__}",
        "args": "[]",
        "kwargs": json.dumps(encoded),
    }
    path = folder / f"{signature}.safetensors"
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path, metadata=metadata)
    return path


def save_bag(
    folder: Path,
    name: str,
    *,
    weights: list[list[float]] | None,
    models: int = 4,
    kind: type[nn.Module] = HTDemucs,
    sources: Sequence[str] = FOUR,
) -> Path:
    """A bag of ``models`` as .th files and its YAML. Gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    signatures = [f"{name}{number}" for number in range(models)]
    for number, signature in enumerate(signatures):
        save_th(tiny(kind, sources=sources, seed=number), signature, folder)
    bag: dict[str, Any] = {"models": signatures} | ({"weights": weights} if weights else {})
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(bag))
    return folder


ONE_HOT = [[1.0 if row == column else 0.0 for column in range(4)] for row in range(4)]


def quiet(done: int, total: int) -> None:
    """A report that nobody reads."""
