"""A trained net becomes a folder that `load_separator` opens: half-precision safetensors in demucs' own form, digests, card."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save_file
from torch import nn

from training.loop import Outcome
from training.separator.measure import StemFigures
from training.separator.net import arguments

_LICENCE = "Apache-2.0"


def publish(net: nn.Module, name: str, folder: Path) -> None:
    """Write ``{name}.yaml``, ``{name}-weights.safetensors`` and ``SHA256SUMS``."""
    folder.mkdir(parents=True, exist_ok=True)
    signature = f"{name}-weights"
    path = folder / f"{signature}.safetensors"
    state = {key: value.detach().cpu().half().contiguous() for key, value in net.state_dict().items()}
    metadata = {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": "[]",
        "kwargs": json.dumps(arguments(), default=_encode),
        "licence": _LICENCE,
    }
    save_file(state, path, metadata=metadata)
    path.chmod(0o644)  # safetensors writes for its owner alone
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"models": [signature], "licence": _LICENCE}))
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")


def _encode(value: object) -> dict[str, Any]:
    """Fractions as demucs' own hub export writes them."""
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    raise TypeError(f"cannot write {type(value).__name__} into the weights' metadata")


def write_card(
    folder: Path,
    *,
    parameters: int,
    outcome: Outcome,
    trained_on: str,
    measured_on: str,
    began_from: str | None,
    figures: list[StemFigures],
) -> None:
    """``MODEL_CARD.md``: what it is, what it was trained on, what it measures, what it is not."""
    rows = "\n".join(
        f"| {row.stem} | {row.songs} | {row.si_sdr_db:.1f} | {row.mixture_si_sdr_db:.1f} | {row.improvement_db:+.1f} | "
        f"{'-' if row.leakage_db is None else f'{row.leakage_db:.1f}'} |"
        for row in figures
    )
    begun = f" from the weights of `{began_from}`" if began_from is not None else ""
    card = f"""# starter separator

demucs' HTDemucs class, {parameters / 1e6:.2f} M parameters, stored in half precision. Licence of the weights: {_LICENCE}.
Loaded by the same code as `htdemucs_ft`; `sonichaos-train separator` makes it.

Trained on {trained_on},
{outcome.steps} steps{begun}, {outcome.seconds:.0f} s of wall time on {outcome.device},
{outcome.threads} thread(s), seed {outcome.seed}; averaged weights.

Measured on {measured_on}, medians in dB. The null is
the mixture taken as the estimate. Leakage: level of a stem that should be silent, relative to the mix.

| stem | songs | SI-SDR | null | improvement | leakage |
| --- | --- | --- | --- | --- | --- |
{rows}

It lets everything run on a machine without network access. It is not a production separator: use `htdemucs_ft` for real
recordings.
"""
    (folder / "MODEL_CARD.md").write_text(card)
