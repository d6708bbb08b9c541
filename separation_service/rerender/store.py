"""Bounce and ZIP of a re-render go into the object store, or neither does. The job's owner stores the manifest."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass

from separation_service.rerender.package import NewVersion
from separation_service.store import Delivered, store_package
from separation_service.timing.progress import StageProgress
from servicekit.audio.loudness import Loudness
from servicekit.delivery.files import StoredFile
from servicekit.delivery.keys import VersionKeys
from servicekit.errors import ServiceError
from servicekit.store.object_store import ObjectStore


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """What was stored of the new version."""

    bounce: StoredFile
    loudness: Loudness
    delivered: Delivered


def store_replacement(made: NewVersion, store: ObjectStore, progress: StageProgress) -> Replacement:
    """Store the two. A failure or a cancel, even after the second of them, leaves neither.

    Raises as `ObjectStore`.
    """
    with ExitStack() as undo:
        undo.callback(discard_version, store, made.package.job_id, made.package.version)
        with store.writer(bounce_key(made), content_type="audio/wav") as writer:
            made.bounce.write_to(writer)
        delivered = store_package(made.package, store, progress)
        progress.check()
        undo.pop_all()
    return Replacement(bounce=writer.stored, loudness=made.loudness, delivered=delivered)


def bounce_key(made: NewVersion) -> str:
    """Beside the original, which stays as it is."""
    return made.package.keys.bounce


def discard_version(store: ObjectStore, job_id: str, version: int) -> None:
    """Remove what a re-render may have stored, as far as the store answers."""
    keys = VersionKeys(job_id, version)
    for key in (keys.zip, keys.bounce):
        with suppress(ServiceError):
            store.delete(key)
