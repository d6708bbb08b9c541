"""Training of the autoencoder: principal components first, then convolutions that reduce the remaining error.

Letters: ``B`` batch, ``N`` standardised bands, ``F`` frames, ``P = 4 N``, ``D`` latent channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from render_service.renderers.latent_diffusion.autoencoder import Autoencoder
from render_service.renderers.latent_diffusion.front_end import FrontEnd
from training.features import SongFeatures

DB_PER_NEPER = 8.685889638
LATENT_NOISE = 0.05  # makes the decoder robust to the errors of a denoiser
DECODER_NOISE = 0.35  # maximum while the decoder trains alone; the error of a denoiser's latents varies


def fit_bands(front_end: FrontEnd, songs: Sequence[SongFeatures]) -> None:
    """Set mean and standard deviation of every band in the front end, measured over the songs."""
    total = torch.cat([torch.from_numpy(song.log_mel[..., ::8]).float() for song in songs], dim=-1)
    front_end.band_mean.copy_(total.mean(dim=-1))
    front_end.band_deviation.copy_(total.std(dim=-1).clamp(min=0.05))


def fit_components(autoencoder: Autoencoder, front_end: FrontEnd, songs: Sequence[SongFeatures]) -> None:
    """Set the linear part to the principal components of four frames, and the latents' scale to their standard deviations."""
    per = autoencoder.config.frames_per_latent
    patches = torch.cat([_patches(front_end, song, per)[::3] for song in songs]).double()
    centre = patches.mean(dim=0)
    covariance = (patches - centre).T @ (patches - centre) / len(patches)
    _, vectors = torch.linalg.eigh(covariance)
    count = autoencoder.config.latent_channels
    components = vectors.flip(dims=[1])[:, :count].T
    with torch.no_grad():
        autoencoder.components.copy_(components.float())
        autoencoder.centre.copy_(centre.float())
    raw = (patches - centre).float() @ components.float().T
    autoencoder.latent_mean.copy_(raw.mean(dim=0))
    autoencoder.latent_deviation.copy_(raw.std(dim=0).clamp(min=1e-3))


def encode_song(autoencoder: Autoencoder, front_end: FrontEnd, song: SongFeatures) -> Tensor:
    """Latents of a whole song ``(D, L)``."""
    with torch.inference_mode():
        bands = front_end.standardise(torch.from_numpy(song.log_mel).float()[None])
        return autoencoder.encode(bands)[0].clone()


def _patches(front_end: FrontEnd, song: SongFeatures, per: int) -> Tensor:
    bands = front_end.standardise(torch.from_numpy(song.log_mel).float()[None])[0]
    return rearrange(bands, "n (l r) -> l (r n)", r=per)


def freeze_all_but_decoder(autoencoder: Autoencoder) -> Autoencoder:
    """Freeze encoder and components, so that latents keep the meaning that a denoiser was trained on."""
    autoencoder.requires_grad_(requires_grad=False)
    autoencoder.decoder.requires_grad_(requires_grad=True)
    return autoencoder


class AutoencoderTask:
    """L1 of the log-mel in dB, on crops of ``crop_frames``. ``name`` is the name of the run.

    ``noise``: maximum standard deviation of the noise added to latents, as a share of theirs. Each crop gets the maximum times the
    square of a uniform random number, so most crops have little noise.
    """

    def __init__(
        self,
        net: Autoencoder,
        front_end: FrontEnd,
        songs: Sequence[SongFeatures],
        *,
        batch: int = 16,
        crop_frames: int = 256,
        noise: float = LATENT_NOISE,
        name: str = "autoencoder",
    ) -> None:
        self.name = name
        self.net: nn.Module = net
        self._autoencoder, self._front_end, self._songs = net, front_end, songs
        self._batch, self._crop, self._noise = batch, crop_frames, noise

    def loss(self, generator: torch.Generator, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """See :class:`training.loop.Task`."""
        del step
        log_mel = torch.stack([self._crop_of(generator) for _ in range(self._batch)])
        bands = self._front_end.standardise(log_mel)
        latents = self._autoencoder.encode(bands)
        level = self._noise * torch.rand(self._batch, 1, 1, generator=generator).square()
        noise = (level * torch.randn(latents.shape, generator=generator)).to(latents.device)
        decoded = self._autoencoder.decode(latents + noise)
        error_db = (self._front_end.restore(decoded) - log_mel).abs().mean() * DB_PER_NEPER
        return (decoded - bands).abs().mean() + 0.1 * error_db, {"l1_db": float(error_db.detach())}

    def _crop_of(self, generator: torch.Generator) -> Tensor:
        song = self._songs[int(torch.randint(len(self._songs), (), generator=generator))]
        start = int(torch.randint(max(song.log_mel.shape[-1] - self._crop, 1), (), generator=generator))
        device = self._front_end.band_mean.device
        return torch.from_numpy(song.log_mel[..., start : start + self._crop]).float().to(device)


def reconstruction_error_db(autoencoder: Autoencoder, front_end: FrontEnd, songs: Sequence[SongFeatures]) -> float:
    """Mean absolute log-mel error over whole songs in dB, with the front end's floor."""
    errors = []
    for song in songs:
        log_mel = torch.from_numpy(song.log_mel).float()[None]
        with torch.inference_mode():
            decoded = front_end.restore(autoencoder.decode(autoencoder.encode(front_end.standardise(log_mel))))
        errors.append(float((decoded - log_mel).abs().mean()) * DB_PER_NEPER)
    return sum(errors) / len(errors)
