"""Old and new stem over the grid as a picture, drawn from the ZIPs of two versions."""

from __future__ import annotations

from pathlib import Path


class PlotUnavailable(Exception):
    """matplotlib is not installed; the text says how to get it."""


def plot_rerender(old_zip: Path, new_zip: Path, picture: Path) -> None:
    """Draw ``new_zip``'s re-rendered stem beside the one of ``old_zip``, its base version, into the PNG ``picture``.

    All that is drawn comes from the samples and from ``tempoMap`` and ``rerender`` of the manifests: grid, onsets and their
    deviations, seams. Raises PlotUnavailable without matplotlib (the extra ``plot``), ValueError where the ZIPs do not belong
    together.
    """
    raise PlotUnavailable(f"drawing {picture} from {old_zip} and {new_zip} is not there yet")
