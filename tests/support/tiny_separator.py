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


def tiny_separator(folder: Path, *, gain: float = 1.0) -> Path:
    """A folder for ``--separator-repo`` with the bag `NAME` of two models with segments of one second.

    Untrained models give stems that are all but silent beside their mix; ``gain`` makes them louder.
    """
    folder.mkdir()
    signatures = [_save(folder, f"tiny{seed}", seed, gain) for seed in range(len(_WEIGHTS))]
    bag = {"models": signatures, "weights": _WEIGHTS, "segment": 1}
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(bag), encoding="utf-8")
    return folder


def audible_stems(folder: Path) -> dict[str, str]:
    """Settings of services whose stems are audible and can be re-rendered; they replace those of plain tiny models."""
    return {
        "SONICHAOS_SEPARATOR_REPO": str(tiny_separator(folder / "separator", gain=12.0)),
        "SONICHAOS_RENDER_STEPS": "4",
    }


def _save(folder: Path, signature: str, seed: int, gain: float) -> str:
    torch.manual_seed(seed)
    shape = {"channels": 4, "dconv_comp": 4, "t_layers": 1, "t_heads": 1, "nfft": 2048, "segment": 1}
    model = HTDemucs(sources=_SOURCES, **shape)
    for name, parameter in model.named_parameters():
        if name.endswith("scale"):  # as initialised they are so small that they would hide an error
            torch.nn.init.uniform_(parameter, 0.2, 0.8)
    with torch.no_grad():
        for last in (model.decoder[-1], model.tdecoder[-1]):
            last.conv_tr.weight *= gain
            last.conv_tr.bias *= gain
    package = {"klass": HTDemucs, "args": (), "kwargs": {"sources": _SOURCES, **shape}, "training_args": {}}
    path = folder / f"{signature}.th"
    torch.save({**package, "state": model.state_dict()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    path.rename(folder / f"{signature}-{digest}.th")
    return signature
