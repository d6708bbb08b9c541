"""The log of a service that ``sonichaos up`` runs: a bounded file, and its lines as people read them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from servicekit.line_writer import LineWriter

MAX_BYTES = 16 << 20
GENERATIONS = 3
_SHOWN_ELSEWHERE = frozenset({"event", "exception", "level", "service", "source", "timestamp"})
_MAX_CHARACTERS = 400


class LogFile:
    """Appends lines to ``path``. A file beyond ``max_bytes`` becomes ``path.1``, and so on up to ``path.{generations}``.

    Writing never waits for the disk and never raises (`LineWriter`). Raises OSError if the file cannot be opened.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, generations: int = GENERATIONS) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._generations = generations
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = self._open()
        self._writer = LineWriter(
            self._descriptor, on_dropped=lambda lines: f"{lines} lines were dropped", before_write=self._rotate
        )

    def write(self, line: str) -> None:
        """Append a line soon."""
        self._writer.write(line)

    def flush(self, timeout_s: float) -> None:
        """Wait until everything is written, at most ``timeout_s``."""
        self._writer.flush(timeout_s)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _rotate(self) -> None:
        """In the writer's thread. The descriptor stays the same and comes to mean the new file."""
        if os.fstat(self._descriptor).st_size < self._max_bytes:
            return
        for number in range(self._generations - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self.path.replace(self._numbered(1))
        opened = self._open()
        os.dup2(opened, self._descriptor, inheritable=False)
        os.close(opened)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def parse_line(line: str) -> dict[str, Any]:
    """The fields of a structured line; empty for any other line."""
    if not line.startswith("{"):
        return {}
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) and isinstance(fields.get("event"), str) else {}


def readable(line: str) -> str:
    """A line for people: time, level, event, other fields and the traceback. A line without structure stays as it is."""
    fields = parse_line(line)
    if not fields:
        return line
    others = " ".join(f"{name}={value}" for name, value in fields.items() if name not in _SHOWN_ELSEWHERE)
    time = str(fields.get("timestamp", ""))[11:19]
    text = f"{time} {fields.get('level', '')}: {fields['event']} {others}".strip()[:_MAX_CHARACTERS]
    exception = str(fields.get("exception", "")).strip()
    return f"{text}\n{exception}" if exception else text
