"""Memory that outlives the work that used it: kept by the C library, or by an error's traceback."""

from __future__ import annotations

import ctypes
import traceback
from collections.abc import Callable

_TRIM: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Only glibc has it. Other C libraries return freed memory by themselves, or cannot be asked to."""


def return_free_memory() -> None:
    """Give memory that is not in use back to the system.

    glibc keeps what is freed in up to eight arenas for each core, each for the threads that use it. Work of one thread after the
    other left most of a job's memory in each of them: 270 MiB after twenty small jobs on two cores.
    """
    if _TRIM is not None:
        _TRIM(0)


def clear_frames(error: BaseException) -> None:
    """Free the local variables of the frames that raised ``error`` and what it was raised from. Its traceback can still be logged.

    For errors that are kept: each frame in a traceback keeps its variables, such as all samples of a take.
    """
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__
