"""Keys of a job's files in the store, and the names by which callers know them (docs/contract.md, section 4).

A key is written once, by one attempt, and never again: a worker that was paused and wakes up can neither replace nor remove what
another attempt stored. The row of a version names the keys that count.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Literal, Self

FileKind = Literal["bounce", "manifest", "zip", "latents", "midi"]

_ATTEMPT_FOLDER = re.compile(r"/v(\d{1,9})-a(\d{1,9})-[0-9a-f]{16}(?=/)")


def job_folder(job_id: str) -> str:
    """The folder of all versions of a job, without a slash at its end."""
    return f"jobs/{job_id}"


def public_key(key: str) -> str:
    """The name by which callers know the file at ``key``: without the folder of an attempt."""
    return _ATTEMPT_FOLDER.sub("", key, count=1)


def attempt_of(key: str) -> tuple[int, int] | None:
    """Version number and attempt that a key belongs to; None for a key without an attempt's folder."""
    found = _ATTEMPT_FOLDER.search(key)
    return None if found is None else (int(found[1]), int(found[2]))


def is_of_version(key: str, job_id: str, number: int) -> bool:
    """Whether a key of a job's folder is that of a version's file, whatever attempt stored it."""
    made_by = attempt_of(key)
    if made_by is None:  # a name that callers see
        return key in VersionKeys(job_id, number).all
    return made_by[0] == number


@dataclass(frozen=True)
class VersionKeys:
    """The keys of one version's files. ``number`` counts from 1. Without an ``attempt_folder`` they are the names callers see."""

    job_id: str
    number: int
    attempt_folder: str = ""

    @classmethod
    def of_attempt(cls, job_id: str, number: int, attempt: int) -> Self:
        """Keys that nobody else ever uses."""
        return cls(job_id, number, f"v{number}-a{attempt}-{secrets.token_hex(8)}")

    def file(self, kind: FileKind) -> str:
        """The key of a kind of file."""
        return {
            "bounce": self.bounce,
            "manifest": self.manifest,
            "zip": self.zip,
            "latents": self.latents,
            "midi": self.midi,
        }[kind]

    @property
    def bounce(self) -> str:
        """``bounce.wav`` for v1, the original; ``vN.wav`` for a later version."""
        return f"{self._folder}/bounce.wav" if self.number == 1 else f"{self._stem}.wav"

    @property
    def zip(self) -> str:
        """Bounce, stems and manifest in one file."""
        return f"{self._stem}.zip"

    @property
    def manifest(self) -> str:
        """The manifest as JSON."""
        return f"{self._stem}.json"

    @property
    def latents(self) -> str:
        """What a re-render starts from; only v1 of a take has any."""
        return f"{self._stem}.latents.safetensors"

    @property
    def midi(self) -> str:
        """The notes as a Standard MIDI File; only a version with a score has one."""
        return f"{self._stem}.mid"

    @property
    def all(self) -> tuple[str, ...]:
        """Every key that a version can have."""
        return (self.bounce, self.zip, self.manifest, self.latents, self.midi)

    @property
    def _folder(self) -> str:
        folder = job_folder(self.job_id)
        return f"{folder}/{self.attempt_folder}" if self.attempt_folder else folder

    @property
    def _stem(self) -> str:
        return f"{self._folder}/v{self.number}"
