"""A re-render apart from the plan of its new mix: which stem of which version, and where denoising starts."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from operator import not_
from typing import Annotated, Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from render_service.renderers.renderer import InitLatents, Latents, Renderer
from servicekit.audio.pcm24 import from_pcm24
from servicekit.audio.wav import read_wav
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.names import StemName
from servicekit.errors import FailedPrecondition
from servicekit.json_codec import CAMEL_CASE, JsonCodec
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import read_verified

DEFAULT_STRENGTH = 0.9
"""Share of noise at the start of a version without a score: with less, more of the old persona stays
(docs/decisions/0014-rerender.md)."""

_MAX_LATENTS_BYTES = 64 << 20  # 180 s are 1 MiB


@dataclass(frozen=True, kw_only=True)
class BarRange:
    """Bars counted from 1 at the first downbeat, both included."""

    __pydantic_config__ = CAMEL_CASE

    from_bar: int
    to_bar: int


@dataclass(frozen=True, kw_only=True)
class Base:
    """The version that is re-rendered, by its ZIP and the entries of that. The new version has its stem mode."""

    __pydantic_config__ = CAMEL_CASE

    version: int
    zip: StoredFile
    entries: tuple[ZipEntry, ...]


@dataclass(frozen=True, kw_only=True)
class Rerender:
    """What admission decided; stored in the journal and in the audit row.

    Denoising starts from the original's ``latents``, from its ``recording`` if it is an upload, or, if both are None, from noise.
    ``match_mix``: the new stem is fitted to the mix too, not only to the old stem; False in re-renders of releases that did not.
    ``new_part``: the stem's notes were composed anew. ``loop``: the new stem's end leads into its start; False in re-renders of
    releases that did not look at the end. ``prefer_new_sound``: the fit to the mix changes the new sound as little as it can; False
    in re-renders of releases that equalised it in full.
    """

    __pydantic_config__ = CAMEL_CASE

    base: Base
    stem: StemName
    latents: StoredFile | None
    recording: StoredFile | None
    strength: float
    region: BarRange | None
    allow_drift: Annotated[bool, Field(alias="acceptDrift")]
    match_mix: Annotated[bool, Field(exclude_if=not_)] = False
    new_part: Annotated[bool, Field(exclude_if=not_)] = False
    loop: Annotated[bool, Field(exclude_if=not_)] = False
    prefer_new_sound: Annotated[bool, Field(exclude_if=not_)] = False

    def facts(self) -> dict[str, Any]:
        """As JSON, for the journal and the audit row. :meth:`read` is its inverse."""
        return _CODEC.write(self)

    @property
    def from_noise(self) -> bool:
        """True if denoising starts from noise alone."""
        return self.latents is None and self.recording is None

    @property
    def input_files(self) -> tuple[StoredFile, ...]:
        """The stored files that the re-render reads."""
        return tuple(file for file in (self.latents, self.recording, self.base.zip) if file is not None)

    def manifest_facts(self, *, persona_id: str, seed: int) -> dict[str, Any]:
        """The first fields of the manifest's ``rerender``; separation_service adds the kept stems and the measurements."""
        return {
            "baseVersion": self.base.version,
            "stem": self.stem,
            "persona": persona_id,
            "seed": seed,
            "fresh": self.from_noise,
            "strength": None if self.from_noise else self.strength,
        }

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Rerender:
        """The inverse of :meth:`facts`. Raises ValueError."""
        return _CODEC.read(facts)


_CODEC = JsonCodec(Rerender)


def read_init_latents(rerender: Rerender, renderer: Renderer, store: ObjectStore) -> InitLatents | None:
    """Where denoising starts; None for noise. The caller holds the GPU lock, because a recording is encoded.

    Raises DataLoss if the original's file was changed and NotFound if it is missing.
    """
    if rerender.latents is not None:
        file = rerender.latents
        data = read_verified(store, file.key, file.sha256, max_bytes=_MAX_LATENTS_BYTES)
        return InitLatents(latents=_read_latents(data, file.key), strength=rerender.strength)
    if rerender.recording is not None:
        file = rerender.recording
        data = read_verified(store, file.key, file.sha256, max_bytes=file.size_bytes)
        waveform = from_pcm24(read_wav(io.BytesIO(data), name=file.key))
        return InitLatents(latents=renderer.encode(waveform), strength=rerender.strength)
    return None


def _read_latents(data: bytes, key: str) -> Latents:
    header_bytes = int.from_bytes(data[:8], "little")
    try:
        values = load_tensors(data)["latents"]
        metadata = json.loads(data[8 : 8 + header_bytes])["__metadata__"]
        return Latents(values=values, front_end_id=metadata["frontEnd"], samples=int(metadata["samples"]))
    except (SafetensorError, KeyError, ValueError) as error:
        raise FailedPrecondition(
            f"{key} must hold latents in safetensors form ({error}); ask with from_noise",
            reason="INPUT_MISSING",
            metadata={"missing": key},
        ) from None
