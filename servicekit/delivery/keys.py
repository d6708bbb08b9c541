"""Keys of a job's files in the store (docs/contract.md, section 4)."""

from __future__ import annotations

from dataclasses import dataclass


def job_folder(job_id: str) -> str:
    """The folder of all versions of a job, without a slash at its end."""
    return f"jobs/{job_id}"


@dataclass(frozen=True)
class VersionKeys:
    """The keys of one version's files. ``number`` counts from 1."""

    job_id: str
    number: int

    @property
    def folder(self) -> str:
        """The job's folder, which all its versions share."""
        return job_folder(self.job_id)

    @property
    def bounce(self) -> str:
        """``bounce.wav`` for v1, the original; ``vN.wav`` for a later version."""
        return f"{self.folder}/bounce.wav" if self.number == 1 else f"{self._stem}.wav"

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
    def _stem(self) -> str:
        return f"{self.folder}/v{self.number}"
