"""The training loop: seeded, resumable, within a wall-time budget, with averaged weights.

A task defines the loss. Batch ``n`` is a pure function of the seed and ``n``, so an interrupted run ends in the same weights as an
uninterrupted one.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LoopSpec:
    """``budget_s`` counts time in training steps, resumed runs included; the learning rate follows a cosine over it."""

    budget_s: float
    seed: int = 0
    max_steps: int = 1_000_000
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    save_every_s: float = 60.0
    log_every: int = 20


class Task(Protocol):
    """A net and its loss."""

    @property
    def name(self) -> str:
        """Name of the run in files and logs."""

    @property
    def net(self) -> nn.Module:
        """The net that is trained."""

    def loss(self, generator: torch.Generator, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """Loss of a random batch drawn with ``generator``, and figures to log; tensors are read only when they are logged."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of a run; its fields are stored in the data sheet."""

    task: str
    steps: int
    seconds: float
    seed: int
    device: str
    threads: int
    loss: float


OnProgress = Callable[[float, str], None]
"""Receives the share of the budget that is spent and a line of figures."""


def train(task: Task, folder: Path, spec: LoopSpec, *, device: torch.device, on_progress: OnProgress) -> Outcome:
    """Train until the budget or the steps are spent, resuming from ``{folder}/{task}.pt`` if it exists.

    On return the net has the averaged weights; the file has the averaged and the latest ones.
    """
    run = _Run(task, folder, spec, device)
    run.resume()
    try:
        run.run(on_progress)
    finally:
        run.save()
    run.use_average()
    on_progress(1.0, f"step {run.step} loss {run.smooth_loss:.4f}")
    return run.outcome()


class _Run:
    def __init__(self, task: Task, folder: Path, spec: LoopSpec, device: torch.device) -> None:
        self.task, self.spec, self.device = task, spec, device
        self.path = folder / f"{task.name}.pt"
        folder.mkdir(parents=True, exist_ok=True)
        self.parameters = [p for p in task.net.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.parameters,
            lr=spec.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=spec.weight_decay,
            fused=device.type == "cuda",
        )
        self.average = {name: value.detach().clone() for name, value in task.net.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        self._smooth_loss: Tensor | None = None

    @property
    def smooth_loss(self) -> float:
        """Moving average of the loss; NaN before the first step. Waits for the device."""
        return math.nan if self._smooth_loss is None else float(self._smooth_loss)

    @property
    def share_spent(self) -> float:
        return min(max(self.seconds / self.spec.budget_s, self.step / self.spec.max_steps), 1.0)

    def run(self, on_progress: OnProgress) -> None:
        """Train until the budget or the steps are spent, saving regularly."""
        spec, last_save = self.spec, time.monotonic()
        while self.step < spec.max_steps and self.seconds < spec.budget_s:
            started = time.monotonic()
            figures = self.train_step()
            if self.step % spec.log_every == 0:
                line = " ".join(f"{name} {float(value):.4f}" for name, value in figures.items())
                line = f"step {self.step} loss {self.smooth_loss:.4f} {line}"
                log.info("%s, %.0f s: %s", self.task.name, self.seconds, line)
                on_progress(self.share_spent, line)
            self.seconds += time.monotonic() - started  # with logging, which waits for a GPU to finish the steps
            if time.monotonic() - last_save > spec.save_every_s:
                self.save()
                last_save = time.monotonic()

    def train_step(self) -> Mapping[str, Tensor | float]:
        """One optimiser step; returns the task's figures. Does not wait for a GPU, so that the next step is prepared meanwhile."""
        spec = self.spec
        warm = min((self.step + 1) / spec.warmup_steps, 1.0)
        rate = spec.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * self.share_spent)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        generator = torch.Generator("cpu").manual_seed(spec.seed * 1_000_003 + self.step)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16_is_faster(self.device)):
            loss, figures = self.task.loss(generator, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, spec.clip_norm)
        self.optimiser.step()
        self._update_average()
        value = loss.detach().float()
        self._smooth_loss = value if self._smooth_loss is None else self._smooth_loss.lerp(value, 0.02)
        self.step += 1
        return figures

    def _update_average(self) -> None:
        """Exponential moving average with a shorter memory at the start, so that the initial weights are forgotten."""
        decay = min(self.spec.ema_decay, (1.0 + self.step) / (10.0 + self.step))
        state = self.task.net.state_dict()
        numbers = [name for name, value in self.average.items() if value.dtype.is_floating_point]
        with torch.no_grad():
            torch._foreach_lerp_(
                [self.average[name] for name in numbers], [state[name] for name in numbers], 1.0 - decay
            )
            for name in self.average.keys() - set(numbers):
                self.average[name].copy_(state[name])

    def use_average(self) -> None:
        self.task.net.load_state_dict(self.average)

    def save(self) -> None:
        part = self.path.with_suffix(".part")
        torch.save(
            {
                "net": self.task.net.state_dict(),
                "average": self.average,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "smooth_loss": self.smooth_loss,
            },
            part,
        )
        part.replace(self.path)
        self.path.with_suffix(".json").write_text(json.dumps(asdict(self.outcome()), indent=1) + "\n")

    def resume(self) -> None:
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        self.task.net.load_state_dict(state["net"])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        if not math.isnan(state["smooth_loss"]):
            self._smooth_loss = torch.tensor(state["smooth_loss"], device=self.device)
        log.info("%s: resuming at step %d", self.task.name, self.step)

    def outcome(self) -> Outcome:
        return Outcome(
            task=self.task.name,
            steps=self.step,
            seconds=round(self.seconds, 1),
            seed=self.spec.seed,
            device=_device_name(self.device),
            threads=torch.get_num_threads(),
            loss=self.smooth_loss,
        )


def load_average(net: nn.Module, path: Path) -> None:
    """Load the averaged weights of a run's state into a net."""
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])


def bf16_is_faster(device: torch.device) -> bool:
    """Whether bfloat16 is faster: on CUDA devices that support it, and on CPUs with AVX512-BF16 (2-4 times)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}"
