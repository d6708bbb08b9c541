"""Training with a progress bar on the terminal."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from training.loop import LoopSpec, Outcome, Task, train


def train_with_progress(task: Task, folder: Path, spec: LoopSpec, *, device: torch.device) -> Outcome:
    """:func:`training.loop.train` with a bar that shows the share of the budget and the latest figures."""
    columns = (TextColumn(task.name), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=1.0)
        return train(
            task,
            folder,
            spec,
            device=device,
            on_progress=lambda share, line: progress.update(bar, completed=share, description=line),
        )
