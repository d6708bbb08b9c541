"""Writes a trained net as a folder for `load_separator`: float16 safetensors in demucs' format, digests, model card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save_file
from torch import nn

from training.loop import Outcome
from training.separator.measure import FigureTable, StemFigures
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
    path.chmod(0o644)  # safetensors creates files that only the owner can read
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"models": [signature], "licence": _LICENCE}))
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")


def _encode(value: object) -> dict[str, Any]:
    """Encode fractions like demucs' own export."""
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    raise TypeError(f"metadata values must be JSON or Fraction, got {type(value).__name__}")


def write_card(
    folder: Path,
    *,
    parameters: int,
    outcome: Outcome,
    trained_on: str,
    init_from: str | None,
    measured: Sequence[FigureTable],
    before: Sequence[FigureTable],
) -> None:
    """Write ``MODEL_CARD.md``. ``before``: the same tables for the weights that training started from."""
    started_from = f" from the weights of `{init_from}`" if init_from is not None else ""
    tables = "\n".join(_table(table) for table in measured)
    comparison = f"\n## The weights of `{init_from}`, before\n\n" + "\n".join(map(_table, before)) if before else ""
    card = f"""# starter separator

demucs' HTDemucs class, {parameters / 1e6:.2f} M parameters, stored as float16. Licence of the weights: {_LICENCE}.
Loaded by the same code as `htdemucs_ft`; `sonichaos-train separator` trains it.

Trained on {trained_on}.
{outcome.steps} steps{started_from}, {outcome.seconds:.0f} s of wall time on {outcome.device},
{outcome.threads} thread(s), seed {outcome.seed}; averaged weights.

It makes separation work without network access. Use `htdemucs_ft` for real recordings.

## Measured

Held-out songs, medians in dB; in brackets the null, the mixture as the estimate. Leakage: level of a stem that should be silent,
relative to the mix (null 0). Treble level: energy above 6 kHz relative to the true stem's. Treble error: energy above 6 kHz of the
estimate minus the true stem, likewise (0 for a stem without treble).

{tables}{comparison}"""
    (folder / "MODEL_CARD.md").write_text(card)


def _table(table: FigureTable) -> str:
    rows = "\n".join(map(_row, table.rows))
    return f"""{table.title}:

| stem | songs | SI-SDR | improvement | leakage | treble level | treble error |
| --- | --- | --- | --- | --- | --- | --- |
{rows}
"""


def _row(row: StemFigures) -> str:
    leakage = "-" if row.leakage_db is None else f"{row.leakage_db:.1f}"
    if row.songs == 0:
        return f"| {row.stem} | 0 | - | - | {leakage} | - | - |"
    own, null = row.treble, row.mixture_treble
    cells = (
        str(row.songs),
        f"{row.si_sdr_db:.1f} ({row.mixture_si_sdr_db:.1f})",
        f"{row.improvement_db:+.1f}",
        leakage,
        f"{own.level_db:+.1f} ({null.level_db:+.1f})",
        f"{own.error_db:+.1f} ({null.error_db:+.1f})",
    )
    return f"| {row.stem} | {' | '.join(cells)} |"
