"""Which stored file of which version a call is about."""

from __future__ import annotations

from typing import Literal

from jobs_service.journal_json import VersionFiles
from servicekit.delivery.files import StoredFile
from servicekit.errors import NotFound
from servicekit.journal import Job, Version
from servicekit.journal.reading import pick_version
from sonichaos.jobs.v1 import jobs_service_pb2

_FileName = Literal["bounce", "manifest", "zip", "latents", "midi"]
_FILES: dict[jobs_service_pb2.FileKind.ValueType, tuple[_FileName, ...]] = {
    jobs_service_pb2.FILE_KIND_UNSPECIFIED: ("zip", "bounce"),
    jobs_service_pb2.FILE_KIND_BOUNCE: ("bounce",),
    jobs_service_pb2.FILE_KIND_MANIFEST: ("manifest",),
    jobs_service_pb2.FILE_KIND_ZIP: ("zip",),
    jobs_service_pb2.FILE_KIND_LATENTS: ("latents",),
    jobs_service_pb2.FILE_KIND_MIDI: ("midi",),
}


def stored_file(job: Job, number: int, kind: jobs_service_pb2.FileKind.ValueType) -> StoredFile:
    """The file of a kind; unspecified: the ZIP where there is one, else the bounce. Version 0: the newest that has it.

    Raises NotFound.
    """
    names = _FILES[kind]
    version, files = _version_with(job, number, names)
    by_name = {
        "bounce": files.bounce,
        "manifest": files.manifest,
        "zip": files.zip,
        "latents": files.latents,
        "midi": files.midi,
    }
    file = next((file for name in names if (file := by_name[name]) is not None), None)
    if file is None:
        raise _file_not_found(version, names[-1])
    return file


def version_with_audio(job: Job, number: int) -> tuple[Version, VersionFiles]:
    """A version that has a bounce or a ZIP, and its files. Version 0: the newest such version. Raises NotFound."""
    version, files = _version_with(job, number, ("bounce", "zip"))
    if files.bounce is None and files.zip is None:
        raise _file_not_found(version, "bounce")
    return version, files


def _version_with(job: Job, number: int, names: tuple[_FileName, ...]) -> tuple[Version, VersionFiles]:
    """The version of that number; for 0 the newest that has one of the files or, where none does, the newest of all."""
    version = pick_version(job, number, lambda version: any(name in version.files for name in names))
    return version, VersionFiles.read(version.files)


def _file_not_found(version: Version, name: _FileName) -> NotFound:
    return NotFound(
        f"version {version.number} of job {version.job_id} has no {name}; {_advice(version, name)}",
        reason="FILE_NOT_FOUND",
        metadata={"job_id": version.job_id, "version": str(version.number), "kind": name},
    )


def _advice(version: Version, name: _FileName) -> str:
    if version.delete_time is not None:
        return "its files were deleted (DeleteVersion)"
    if name == "zip":
        return "add its stems first (AddStems)"
    if name == "midi" and "manifest" in version.files:
        return "its notes are unknown, as are those of uploads and of renderers that play no scores"
    return "watch the job until it is stored"
