"""The folder that training works in: a cache of songs, the state of each net, and the nets built from them.

- ``{work}/songs/*.safetensors``: features (training/cache.py)
- ``{work}/front_end.safetensors``: band statistics
- ``{work}/start/{net}.safetensors``: weights that a run begins from, where it does not begin from nothing (training/begin.py)
- ``{work}/{net}.pt``, ``{net}.json``: state and outcome of each run (training/loop.py)
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
from render_service.renderers.latent_diffusion.persona_encoder import PersonaEncoder, PersonaEncoderConfig
from render_service.renderers.latent_diffusion.vocoder import MagnitudeRefiner, VocoderConfig
from training.loop import load_average

DECODER_RUN = "decoder"
GUIDED_RUN = "guided_denoiser"
_Net = TypeVar("_Net", bound=torch.nn.Module)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of all nets; the defaults are the starter's."""

    front_end: FrontEndSpec = field(default_factory=FrontEndSpec)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    vocoder: VocoderConfig = field(default_factory=VocoderConfig)
    persona_encoder: PersonaEncoderConfig = field(default_factory=PersonaEncoderConfig)


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A work folder and the device to train on."""

    folder: Path
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    sizes: Sizes = field(default_factory=Sizes)

    @property
    def songs(self) -> Path:
        """Where the features lie."""
        return self.folder / "songs"

    def front_end(self) -> FrontEnd:
        """The front end with the band statistics, where they are known."""
        front_end = FrontEnd(self.sizes.front_end)
        path = self.folder / "front_end.safetensors"
        if path.exists():
            front_end.load_state_dict(load_file(str(path)))
        return front_end

    def keep_front_end(self, front_end: FrontEnd) -> None:
        """Fix the band statistics for all later training."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.contiguous() for name, value in front_end.state_dict().items()}
        save_file(tensors, str(self.folder / "front_end.safetensors"))

    def autoencoder(self) -> Autoencoder:
        """The autoencoder, trained as far as it is; a decoder that was trained on alone wins over the first one."""
        whole = self._trained(Autoencoder(self.sizes.autoencoder), "autoencoder")
        return self._trained(whole, DECODER_RUN)

    def persona_encoder(self) -> PersonaEncoder:
        """The persona encoder, trained as far as it is."""
        return self._trained(PersonaEncoder(self.sizes.persona_encoder), "persona_encoder")

    def denoiser(self) -> Denoiser:
        """The denoiser, trained as far as it is; one that has learnt its own guidance wins over its teacher."""
        return self._trained(self.teacher(), GUIDED_RUN)

    def teacher(self) -> Denoiser:
        """The denoiser before it learns its own guidance."""
        return self._trained(Denoiser(self.sizes.denoiser), "denoiser")

    def vocoder(self) -> MagnitudeRefiner:
        """The magnitude refiner, trained as far as it is."""
        return self._trained(MagnitudeRefiner(self.sizes.vocoder), "vocoder")

    def nets(self) -> Nets:
        """All of them, averaged weights, in evaluation mode."""
        return Nets(
            front_end=self.front_end(),
            autoencoder=self.autoencoder().eval(),
            denoiser=self.denoiser().eval(),
            vocoder=self.vocoder().eval(),
            persona=self.persona_encoder().eval(),
        )

    def outcomes(self) -> dict[str, object]:
        """What each run came to, by net."""
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob("*.json"))}

    def has_begun(self, name: str) -> bool:
        """Whether a run has weights already: its own, or others to begin from."""
        return (self.folder / f"{name}.pt").exists() or start_path(self.folder, name).exists()

    def origin(self) -> dict[str, object] | None:
        """Whose weights the runs began from, with their digests; nothing where they began anew."""
        path = origin_path(self.folder)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def _trained(self, net: _Net, name: str) -> _Net:
        path, start = self.folder / f"{name}.pt", start_path(self.folder, name)
        if path.exists():
            load_average(net, path)
        elif start.exists():
            net.load_state_dict(load_file(str(start)))
        return net


def origin_path(folder: Path) -> Path:
    """Where it stands whose weights the runs began from."""
    return folder / "start" / "origin.json"


def start_path(folder: Path, name: str) -> Path:
    """Where the weights lie that a run begins from."""
    return folder / "start" / f"{name}.safetensors"
