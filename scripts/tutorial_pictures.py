"""Draws the pictures of docs/tutorial.md from what its commands made: ``scripts/tutorial_pictures.py V1.zip V2.zip TERMINAL.txt``.

TERMINAL.txt is what ``sonichaos render`` left on the screen, with its colours, as ``script`` records it.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import soundfile
from matplotlib import pyplot as plt
from PIL import Image
from rich.console import Console
from rich.text import Text

from sonichaos_client.plot import plot_rerender
from sonichaos_client.tempo_grid import tempo_grid

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "img"
_COLOURS = {"bounce": "#3a3f47", "drums": "#d1470c", "bass": "#2563c9", "vocals": "#8a3fb0", "other": "#3c9a5f"}


def plot_take(archive: Path, png: Path) -> None:
    """The bounce and its stems over the seconds of a take, on one scale, with the bar lines of its tempo map."""
    with zipfile.ZipFile(archive) as files:
        names = {Path(name).stem: name for name in files.namelist()}
        manifest = json.loads(files.read(names["manifest"]))
        sounds = {name: soundfile.read(io.BytesIO(files.read(names[name]))) for name in _COLOURS}
    bars_s = tempo_grid(manifest["tempoMap"], manifest["frames"] / manifest["sampleRate"]).bars_s
    figure, axes = plt.subplots(len(_COLOURS), 1, figsize=(9, 5), sharex=True, sharey=True)
    for axis, (name, (samples, rate_hz)) in zip(axes, sounds.items(), strict=True):
        mono = samples.mean(axis=1)
        axis.plot(np.arange(mono.size) / rate_hz, mono, linewidth=0.4, color=_COLOURS[name])
        for line in bars_s:
            axis.axvline(line, color="#c5cad3", linewidth=0.8, zorder=0)
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set_yticks([])
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel("seconds; grey lines are bar lines")
    figure.savefig(png, dpi=90, bbox_inches="tight")


def draw_terminal(text: str, svg: Path) -> None:
    """The screen as SVG, without the font that rich would load from another host."""
    console = Console(record=True, width=140, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    drawn = console.export_svg(title="sonichaos render", font_aspect_ratio=0.6)
    svg.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    """Draw all of them."""
    old, new, terminal = (Path(name) for name in sys.argv[1:4])
    mpl.use("agg")
    plot_take(old, IMAGES / "tutorial-take.png")
    plot_rerender(old, new, IMAGES / "tutorial-rerender.png")
    with Image.open(IMAGES / "tutorial-rerender.png") as picture:
        small = picture.convert("RGB").quantize(32)
    small.save(IMAGES / "tutorial-rerender.png", optimize=True)
    draw_terminal(terminal.read_text(encoding="utf-8"), IMAGES / "tutorial-render.svg")


if __name__ == "__main__":
    main()
