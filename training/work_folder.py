"""The folder that training works in: cached songs, the state of each run, and the nets built from them.

- ``{path}/songs/*.safetensors``: features (training/features.py)
- ``{path}/latents/*.safetensors``: what the denoiser trains on (training/latents.py)
- ``{path}/front_end.safetensors``: band statistics
- ``{path}/habits.safetensors``: the habits head (training/habits.py)
- ``{path}/partials.safetensors``: the net of partial shares (training/partial_shares.py)
- ``{path}/start/{run}.safetensors``, ``start/origin.json``: initial weights from a checkpoint, if any (training/initialise.py)
- ``{path}/{run}.pt``, ``{run}.json``: state and outcome of each run (training/loop.py)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file, save_file

from render_service.renderers.latent_diffusion.autoencoder import Autoencoder, AutoencoderConfig
from render_service.renderers.latent_diffusion.checkpoint import Nets
from render_service.renderers.latent_diffusion.denoiser import Denoiser, DenoiserConfig
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec
from render_service.renderers.latent_diffusion.habits_head import HabitsHead, HabitsHeadConfig
from render_service.renderers.latent_diffusion.partial_shares import PartialShares, PartialSharesConfig
from render_service.renderers.latent_diffusion.persona_encoder import PersonaEncoder, PersonaEncoderConfig
from render_service.renderers.latent_diffusion.vocoder import MagnitudeRefiner, VocoderConfig
from training.loop import load_average

DECODER_RUN = "decoder"
GUIDED_RUN = "guided_denoiser"
_Net = TypeVar("_Net", bound=torch.nn.Module)


@dataclass(frozen=True, kw_only=True)
class NetConfigs:
    """Configuration of every net; the defaults are the starter's."""

    front_end: FrontEndSpec = field(default_factory=FrontEndSpec)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    vocoder: VocoderConfig = field(default_factory=VocoderConfig)
    persona_encoder: PersonaEncoderConfig = field(default_factory=PersonaEncoderConfig)


@dataclass(frozen=True, kw_only=True)
class WorkFolder:
    """A work folder and the device to train on."""

    path: Path
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    configs: NetConfigs = field(default_factory=NetConfigs)

    @property
    def songs(self) -> Path:
        """Folder of the cached features."""
        return self.path / "songs"

    @property
    def latents(self) -> Path:
        """Folder of the songs that the denoiser trains on."""
        return self.path / "latents"

    @property
    def origin_path(self) -> Path:
        """JSON that names the checkpoint of the initial weights."""
        return self.path / "start" / "origin.json"

    def initial_weights_path(self, run: str) -> Path:
        """Weights that ``run`` starts from if it was initialised from a checkpoint."""
        return self.path / "start" / f"{run}.safetensors"

    def front_end(self) -> FrontEnd:
        """The front end, with the band statistics if they were saved."""
        front_end = FrontEnd(self.configs.front_end)
        path = self.path / "front_end.safetensors"
        if path.exists():
            front_end.load_state_dict(load_file(str(path)))
        return front_end

    def save_front_end(self, front_end: FrontEnd) -> None:
        """Fix the band statistics for all later training."""
        self.path.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.contiguous() for name, value in front_end.state_dict().items()}
        save_file(tensors, str(self.path / "front_end.safetensors"))

    def autoencoder(self) -> Autoencoder:
        """The autoencoder with its newest weights; those of the separate decoder run take precedence."""
        autoencoder = self._load_trained(Autoencoder(self.configs.autoencoder), "autoencoder")
        return self._load_trained(autoencoder, DECODER_RUN)

    def persona_encoder(self) -> PersonaEncoder:
        """The persona encoder with its newest weights."""
        return self._load_trained(PersonaEncoder(self.configs.persona_encoder), "persona_encoder")

    def denoiser(self) -> Denoiser:
        """The denoiser with its newest weights; those with distilled guidance take precedence over the teacher's."""
        return self._load_trained(self.teacher(), GUIDED_RUN)

    def teacher(self) -> Denoiser:
        """The denoiser before guidance was distilled into it."""
        return self._load_trained(Denoiser(self.configs.denoiser), "denoiser")

    def vocoder(self) -> MagnitudeRefiner:
        """The magnitude refiner with its newest weights."""
        return self._load_trained(MagnitudeRefiner(self.configs.vocoder), "vocoder")

    def habits_head(self) -> HabitsHead | None:
        """The habits head that was fitted here, or the checkpoint's if its persona encoder is used; None without one."""
        fitted, initial = self.habits_path, self.initial_weights_path("habits")
        path = fitted if fitted.exists() or (self.path / "persona_encoder.pt").exists() else initial
        if not path.exists():
            return None
        tensors = load_file(str(path))
        known_personas, embedding_size = tensors["known"].shape
        head = HabitsHead(HabitsHeadConfig(embedding_size=embedding_size, known_personas=known_personas))
        head.load_state_dict(tensors)
        return head

    @property
    def habits_path(self) -> Path:
        """Weights of the habits head, as ``sonichaos-train habits`` writes them."""
        return self.path / "habits.safetensors"

    def partial_shares(self) -> PartialShares | None:
        """The net of partial shares that was fitted here, or the checkpoint's; None without one."""
        path = self.partials_path if self.partials_path.exists() else self.initial_weights_path("partials")
        if not path.exists():
            return None
        tensors = load_file(str(path))
        net = PartialShares(PartialSharesConfig(width=tensors["net.0.weight"].shape[0]))
        net.load_state_dict(tensors)
        return net.eval()

    @property
    def partials_path(self) -> Path:
        """Weights of the net of partial shares, as ``sonichaos-train partials`` writes them."""
        return self.path / "partials.safetensors"

    def nets(self) -> Nets:
        """All nets with averaged weights, in evaluation mode."""
        return Nets(
            front_end=self.front_end(),
            autoencoder=self.autoencoder().eval(),
            denoiser=self.denoiser().eval(),
            vocoder=self.vocoder().eval(),
            persona=self.persona_encoder().eval(),
            habits=self.habits_head(),
            partials=self.partial_shares(),
        )

    def outcomes(self) -> dict[str, object]:
        """The :class:`training.loop.Outcome` of each run as JSON, by name of the run."""
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.path.glob("*.json"))}

    def has_weights(self, run: str) -> bool:
        """Whether ``run`` has a state of its own or initial weights from a checkpoint."""
        return (self.path / f"{run}.pt").exists() or self.initial_weights_path(run).exists()

    def origin(self) -> dict[str, object] | None:
        """Name and digests of the checkpoint of the initial weights; ``None`` if the runs started from scratch."""
        return json.loads(self.origin_path.read_text(encoding="utf-8")) if self.origin_path.exists() else None

    def _load_trained(self, net: _Net, run: str) -> _Net:
        state, initial = self.path / f"{run}.pt", self.initial_weights_path(run)
        if state.exists():
            load_average(net, state)
        elif initial.exists():
            net.load_state_dict(load_file(str(initial)))
        return net
