"""Where ``--out`` stores a downloaded file: under the name given, or in a folder under the name of the job."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click
from click.shell_completion import CompletionItem

from sonichaos_client.atomic_file import check_not_existing
from sonichaos_client.download import local_name
from sonichaos_client.enums import FileKind

_KINDS = {
    ".wav": FileKind.BOUNCE,
    ".zip": FileKind.ZIP,
    ".json": FileKind.MANIFEST,
    ".mid": FileKind.MIDI,
    ".safetensors": FileKind.LATENTS,
}
_OTHER_AUDIO = frozenset({".aif", ".aifc", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".rf64", ".w64", ".wave"})


@dataclass(frozen=True)
class Destination:
    """A folder, or a file in it whose name decides which of a version's files it is: ``.wav`` the bounce, ``.zip`` the stems."""

    folder: Path
    file_name: str | None = None
    kind: FileKind | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """A name that ends in one of the known suffixes is a file, unless it is a folder already; any other is a folder.

        Raises ValueError.
        """
        path, suffix = Path(text), Path(text).suffix.lower()
        if text.endswith(os.sep) or path.is_dir():
            return cls(path)
        if suffix in _KINDS:
            return cls(path.parent, path.name, _KINDS[suffix])
        if suffix in _OTHER_AUDIO or path.exists():
            raise ValueError(f"must be a folder, or a file that ends in {', '.join(_KINDS)}, got {text}.")
        return cls(path)

    def path(self, job_id: str, version: int, kind: FileKind) -> Path:
        """The path of a version's file."""
        return self.folder / (self.file_name or local_name(job_id, version, kind))

    def prepare(self, *, overwrite: bool) -> None:
        """Create the folder, and reject one that is not writable and a file that exists, before a job is created."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"Cannot create the folder {self.folder} (--out): {error.strerror}.") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise click.UsageError(f"Cannot write to the folder {self.folder} (--out). Choose another one.")
        if self.file_name is not None:
            check_not_existing(self.folder / self.file_name, overwrite=overwrite)

    def check_kind(self, available: Collection[FileKind], of_what: str) -> None:
        """Reject a file name that is not that of an available kind; ``of_what`` is in the message."""
        if self.kind is not None and self.kind not in available:
            names = " or ".join(suffix for suffix, kind in _KINDS.items() if kind in available)
            raise click.UsageError(f"--out {self.file_name}: {of_what} is stored under a name in {names}.")


class DestinationType(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.5
    """``FILE`` or ``DIR`` of ``--out``."""

    name = "path"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The shell completes paths."""
        return [CompletionItem(incomplete, type="file")]

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Destination:
        """The destination. Fails like click's own types."""
        try:
            return Destination.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
