"""What an attempt stored before it failed or was stopped does not stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from servicekit.errors import ServiceError
from servicekit.journal import ClaimLost
from servicekit.store.object_store import ObjectStore


class StagedFiles:
    """A ``with`` that ends in an error with ``made`` removed and ``before`` put back, as far as the store answers.

    ``made`` are keys that the version's row does not name yet, ``before`` the JSON of keys that the block may overwrite.
    """

    def __init__(self, store: ObjectStore, made: Sequence[str], *, before: Mapping[str, str] | None = None) -> None:
        self._store = store
        self._made = tuple(made)
        self._before = dict(before or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whose claim was lost has lost the files too: they are another worker's now.
        if kind is None or issubclass(kind, ClaimLost):
            return
        with suppress(ServiceError):
            for key in self._made:
                self._store.delete(key)
            for key, text in self._before.items():
                self._store.put_bytes(key, text.encode(), content_type="application/json")
