"""The one folder that tools read uploads from and write downloads to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

_MAX_LISTED = 20


class FolderError(Exception):
    """A path that is outside the folder, or no file."""


@dataclass(frozen=True)
class Folder:
    """``root`` has no symbolic links in it: what a path leads to is compared with it."""

    root: Path

    def file(self, name: str) -> Path:
        """A file in the folder, by its path relative to the folder. Raises FolderError, also for a link that leads out of it."""
        try:
            path = (self.root / name).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise FolderError(f"file must be a path below {self.root}, got {name!r}: {error}.") from error
        if not path.is_relative_to(self.root):
            raise FolderError(f"file must be a path below {self.root}, got {name!r}. Copy the file there.")
        if not path.is_file():
            raise FolderError(f"{self.root} has no file {name!r}. {self._listing()}")
        return path

    def _listing(self) -> str:
        visible = (path.name for path in self.root.iterdir() if path.is_file() and not path.name.startswith("."))
        names = list(islice(visible, _MAX_LISTED))
        return f"Files there: {', '.join(sorted(names))}." if names else "It has no files."
