"""Re-renders for tests, and their stored files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from sonichaos_client import JobEvent, JobHandle, Stem
from tests.support.pair import Pair
from tests.support.takes import unpacked


def folder_of(pair: Pair, job_id: str) -> dict[str, str]:
    """SHA-256 of each stored file of a job by its name."""
    folder = pair.data / "store" / "jobs" / job_id
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def files_of(pair: Pair, job_id: str, version: int) -> dict[str, bytes]:
    """The files in a version's stored ZIP."""
    return unpacked(pair.data / "store" / "jobs" / job_id / f"v{version}.zip")


def start_rerender(pair: Pair, job_id: str) -> JobHandle:
    """A re-render that was just accepted, from the original's latents."""
    return pair.client.rerender_stem(job_id, Stem.OTHER, persona_id="hiss", base_version=1, strength=0.9)


def of(version: int, test: Callable[[JobEvent], bool]) -> Callable[[JobEvent], bool]:
    """The same test, of events of one version."""
    return lambda event: event.version == version and test(event)
