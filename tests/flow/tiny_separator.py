"""The smallest true separator: a bag of untrained models in demucs' own form, loaded by the same code as the large ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import yaml
from demucs.htdemucs import HTDemucs

NAME = "tiny_ft"
_SOURCES = ["drums", "bass", "other", "vocals"]
_WEIGHTS = [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]


def tiny_separator(folder: Path) -> Path:
    """A folder for ``--separator-repo`` with the bag `NAME` of two models with segments of one second."""
    folder.mkdir()
    signatures = [_save(folder, f"tiny{seed}", seed) for seed in range(len(_WEIGHTS))]
    bag = {"models": signatures, "weights": _WEIGHTS, "segment": 1}
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(bag), encoding="utf-8")
    return folder


def _save(folder: Path, signature: str, seed: int) -> str:
    torch.manual_seed(seed)
    shape = {"channels": 4, "dconv_comp": 4, "t_layers": 1, "t_heads": 1, "nfft": 2048, "segment": 1}
    model = HTDemucs(sources=_SOURCES, **shape)
    for name, parameter in model.named_parameters():
        if name.endswith("scale"):  # as initialised they are so small that they would hide an error
            torch.nn.init.uniform_(parameter, 0.2, 0.8)
    package = {"klass": HTDemucs, "args": (), "kwargs": {"sources": _SOURCES, **shape}, "training_args": {}}
    path = folder / f"{signature}.th"
    torch.save({**package, "state": model.state_dict()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    path.rename(folder / f"{signature}-{digest}.th")
    return signature
