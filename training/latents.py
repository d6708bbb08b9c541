"""What the denoiser trains on: latents, controls, persona vectors and encoded captions of a song, without audio.

One safetensors file per song, ``{work}/latents/{number:08d}.safetensors``. A song of 30 s takes 0.3 MB, so a machine's memory holds
hundreds of hours.

Letters: ``D`` latent channels, ``L`` latent frames, ``G`` control channels, ``W`` windows, ``E`` embedding size, ``N`` captions,
``S`` tokens, ``X`` text width.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from render_service.renderers.latent_diffusion.autoencoder import Autoencoder
from render_service.renderers.latent_diffusion.front_end import FrontEnd
from render_service.renderers.latent_diffusion.persona_encoder import PersonaEncoder
from render_service.renderers.latent_diffusion.text_encoder import TextEncoder, packaged_folder
from training.autoencoder import encode_song
from training.corpus.store import map_in_order
from training.features import SongFeatures, extract, read
from training.persona import embed_song
from training.training_set import song_of
from training.work_folder import WorkFolder

CONTROL_STEPS = 64.0
"""Controls are stored as integers of this many steps per unit, so they range from -2 to 2."""
_CAPTIONS = 2


@dataclass(frozen=True, kw_only=True)
class LatentSong:
    """One song as the denoiser's input. ``prefix`` is the sentence vector of the persona's prefix.

    ``latents`` ``(D, L)``, ``controls`` ``(G, L)`` in :data:`CONTROL_STEPS`, ``persona_vectors`` ``(W, E)``, ``text``
    ``(N, S, X)`` with ``text_lengths`` ``(N,)`` in tokens, ``prefix`` ``(X,)``, empty without one.
    """

    number: int
    persona: str
    latents: NDArray[np.float16]
    controls: NDArray[np.int8]
    persona_vectors: NDArray[np.float16]
    text: NDArray[np.float16]
    text_lengths: NDArray[np.int32]
    prefix: NDArray[np.float16]

    @property
    def frames(self) -> int:
        """Number of latent frames."""
        return int(self.latents.shape[1])


@dataclass(frozen=True, kw_only=True)
class LatentEncoder:
    """The trained nets that turn features into a :class:`LatentSong`."""

    front_end: FrontEnd
    autoencoder: Autoencoder
    persona_encoder: PersonaEncoder
    text: TextEncoder

    @classmethod
    def of(cls, work_folder: WorkFolder) -> LatentEncoder:
        """The nets of a work folder."""
        return cls(
            front_end=work_folder.front_end(),
            autoencoder=work_folder.autoencoder().eval(),
            persona_encoder=work_folder.persona_encoder().eval(),
            text=TextEncoder(packaged_folder()),
        )

    def encode(self, song: SongFeatures) -> LatentSong:
        """Encode one song."""
        states = self.text.encode(song.captions[:_CAPTIONS])
        lengths = states.mask.sum(dim=1)
        prefix = self.text.encode([song.prefix]).sentence[0].numpy() if song.prefix.strip() else np.zeros(0)
        return LatentSong(
            number=song.seed,
            persona=song.persona,
            latents=encode_song(self.autoencoder, self.front_end, song).numpy().astype(np.float16),
            controls=np.clip(np.rint(song.controls.astype(np.float32) * CONTROL_STEPS), -128, 127).astype(np.int8),
            persona_vectors=embed_song(self.persona_encoder, self.front_end, song).numpy().astype(np.float16),
            text=states.tokens[:, : int(lengths.max())].numpy().astype(np.float16),
            text_lengths=lengths.numpy().astype(np.int32),
            prefix=prefix.astype(np.float16),
        )


def fill_latents(
    work_folder: WorkFolder, numbers: Sequence[int], *, seconds: float | None = None, processes: int = 1
) -> Iterator[int]:
    """Encode the songs of the cache, then compose and encode the numbered songs; skips what is there.

    Each composed song lasts ``seconds``, or as long as its seed draws. Yields the number of each finished song. With more than one
    process each loads the soundfont (about 300 MB) and the nets.
    """
    folder = work_folder.latents
    folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number in numbers if not path_of(folder, number).exists()]
    encoder = LatentEncoder.of(work_folder)
    for path in sorted(work_folder.songs.glob("*.safetensors")):
        features = read(path, with_audio=True)
        if not path_of(folder, features.seed).exists():
            write(encoder.encode(features), folder)
        yield features.seed
    yield from map_in_order(partial(_compose_and_write, work_folder, seconds), missing, processes=processes)


def _compose_and_write(work_folder: WorkFolder, seconds: float | None, number: int) -> int:
    encoder = _encoder_of(work_folder)
    if not path_of(work_folder.latents, number).exists():  # another machine or process may share the folder
        write(encoder.encode(extract(song_of(number, seconds=seconds), encoder.front_end)), work_folder.latents)
    return number


@cache
def _encoder_of(work_folder: WorkFolder) -> LatentEncoder:
    """Loaded once per process."""
    torch.set_num_threads(1)
    return LatentEncoder.of(work_folder)


def path_of(folder: Path, number: int) -> Path:
    """The file of a song."""
    return folder / f"{number:08d}.safetensors"


def write(song: LatentSong, folder: Path) -> Path:
    """Write one song atomically."""
    path = path_of(folder, song.number)
    part = path.with_suffix(f".{multiprocessing.current_process().pid}.part")
    tensors = {name: np.ascontiguousarray(getattr(song, name)) for name in _TENSORS}
    save_file(tensors, str(part), metadata={"song": json.dumps({"number": song.number, "persona": song.persona})})
    part.replace(path)
    return path


_TENSORS = ("latents", "controls", "persona_vectors", "text", "text_lengths", "prefix")


class LatentFolder:
    """The songs of a folder, each read once, while others may still be writing more."""

    def __init__(self, folder: Path, *, limit: int | None = None) -> None:
        self._folder, self._limit = folder, limit
        self._read: set[str] = set()

    def songs(self) -> Iterator[LatentSong]:
        """The songs to start with, in order of their numbers. Raises :class:`FileNotFoundError` if there are none."""
        if not any(self._folder.glob("*.safetensors")):
            raise FileNotFoundError(
                f"{self._folder} contains no songs; run `sonichaos-train latents --work {self._folder.parent}` first"
            )
        return self.new_songs()

    def new_songs(self) -> Iterator[LatentSong]:
        """The songs that were written since the last call, in order of their numbers; ``limit`` counts those of all calls."""
        names = sorted({path.name for path in self._folder.glob("*.safetensors")} - self._read)
        if self._limit is not None:
            names = names[: self._limit - len(self._read)]
        self._read |= set(names)
        return (_read_song(self._folder / name) for name in names)


def read_latents(folder: Path, *, limit: int | None = None) -> list[LatentSong]:
    """The first ``limit`` songs, or all, in order of their numbers. Raises :class:`FileNotFoundError` if there are none."""
    return list(LatentFolder(folder, limit=limit).songs())


def _read_song(path: Path) -> LatentSong:
    with safe_open(str(path), framework="numpy") as file:
        facts = json.loads(file.metadata()["song"])
        return LatentSong(**facts, **{name: file.get_tensor(name) for name in _TENSORS})
