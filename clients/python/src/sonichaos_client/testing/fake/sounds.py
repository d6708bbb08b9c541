"""What a version sounds like: a take of tones, or an upload that is divided into four."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from sonichaos_client.testing.fake.files import pack
from sonichaos_client.testing.fake.loudness import Level, measure
from sonichaos_client.testing.fake.tones import STEMS, Pcm

NAMES = ("bounce", *STEMS)


class Sound(Protocol):
    """The samples of a version: "bounce" and the four stems, whose sum is the bounce, exactly."""

    @property
    def frames(self) -> int:
        """Samples a channel."""

    def level(self, name: str) -> Level:
        """The level of "bounce" or a stem."""

    def samples(self) -> Mapping[str, Sequence[bytes]]:
        """The samples of each in parts, packed as in a WAV."""


@dataclass(frozen=True, eq=False)
class UploadedSound:
    """An upload: a quarter of it for each stem, and what rounding leaves for the last."""

    pcm: Pcm

    @property
    def frames(self) -> int:
        """Samples a channel."""
        return int(self.pcm.shape[1])

    def level(self, name: str) -> Level:
        """The level of "bounce" or a stem."""
        return {"bounce": self._bounce_level, "other": self._rest_level}.get(name) or self._quarter_level

    def samples(self) -> Mapping[str, Sequence[bytes]]:
        """The samples of each."""
        quarter = pack(self._quarter)
        rest = pack(self.pcm - 3 * self._quarter)
        return {"bounce": [pack(self.pcm)], "drums": [quarter], "bass": [quarter], "vocals": [quarter], "other": [rest]}

    @cached_property
    def _quarter(self) -> Pcm:
        return self.pcm // 4

    @cached_property
    def _bounce_level(self) -> Level:
        return measure(self.pcm)

    @cached_property
    def _quarter_level(self) -> Level:
        return measure(self._quarter)

    @cached_property
    def _rest_level(self) -> Level:
        return measure(self.pcm - 3 * self._quarter)


@dataclass(frozen=True, eq=False)
class RerenderedSound:
    """A version with the sound of one stem replaced; the others are those of its base, byte for byte."""

    base: Sound
    new: Sound
    stem: str

    @property
    def frames(self) -> int:
        """Samples a channel."""
        return self.base.frames

    def level(self, name: str) -> Level:
        """The level of "bounce" or a stem."""
        if name == self.stem:
            return self.new.level(name)
        return self._bounce_level if name == "bounce" else self.base.level(name)

    def samples(self) -> Mapping[str, Sequence[bytes]]:
        """The samples of each."""
        kept = dict(self.base.samples())
        return kept | {self.stem: self.new.samples()[self.stem], "bounce": [pack(self._sum)]}

    @cached_property
    def _sum(self) -> Pcm:
        kept = self.base.samples()
        old, new, bounce = (
            _unpack(parts) for parts in (kept[self.stem], self.new.samples()[self.stem], kept["bounce"])
        )
        return bounce - old + new

    @cached_property
    def _bounce_level(self) -> Level:
        return measure(self._sum)


def _unpack(parts: Sequence[bytes]) -> Pcm:
    data = np.frombuffer(b"".join(parts), dtype=np.uint8).reshape(-1, 2, 3)
    low = data[:, :, 0].astype(np.int32) | data[:, :, 1].astype(np.int32) << 8
    return np.ascontiguousarray((low | data[:, :, 2].view(np.int8).astype(np.int32) << 16).T)
