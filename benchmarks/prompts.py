"""How well the style reader reads instrument families and moods from prompts, by wordings labelled by hand.

    python -m benchmarks.prompts [--mistakes]

No held-out wording (wordings.json) has a listed word; the reader's lists and thresholds were chosen on the development wordings.
Each figure stands beside that of the listed words alone, and beside a null: the readings of all prompts against each label.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from render_service.composer.style import Instrumentation, Mood, StyleReading
from render_service.composer.style_reader import StyleReader
from render_service.renderers.latent_diffusion.text_encoder import TextEncoder, packaged_folder

WORDINGS = Path(__file__).with_name("wordings.json")
SETS = ("held out", "development")
_UNCLEAR = "unclear"


@dataclass(frozen=True, kw_only=True)
class Wording:
    """A prompt and what it asks for. ``mood_is_clear``: whether people would agree on its mood, or that it has none."""

    prompt: str
    families: tuple[Instrumentation, ...]
    mood: Mood | None
    mood_is_clear: bool


def load_wordings(name: str) -> list[Wording]:
    """The wordings of one of :data:`SETS`."""
    rows = json.loads(WORDINGS.read_text(encoding="utf-8"))
    return [
        Wording(
            prompt=row["prompt"],
            families=tuple(Instrumentation(family) for family in row["families"]),
            mood=Mood(row["mood"]) if row["mood"] not in {None, _UNCLEAR} else None,
            mood_is_clear=row["mood"] != _UNCLEAR,
        )
        for row in rows
        if row["set"] == name
    ]


def family_is_right(wording: Wording, reading: StyleReading) -> bool:
    """The first family is one of the label's, or neither has one."""
    return reading.families[0] in wording.families if reading.families else not wording.families


def mood_is_right(wording: Wording, reading: StyleReading) -> bool:
    """The moods are equal, or neither has one."""
    return wording.mood is reading.mood


def rows(wordings: Sequence[Wording], readings: Sequence[StyleReading], listed: Sequence[StyleReading]) -> list[str]:
    """Markdown rows: shares of right readings, by whether the prompt names something; of the listed words alone; of the null."""
    clear = [i for i, wording in enumerate(wordings) if wording.mood_is_clear]
    parts = (
        ("families", family_is_right, [i for i, w in enumerate(wordings) if w.families]),
        ("no family", family_is_right, [i for i, w in enumerate(wordings) if not w.families]),
        ("mood", mood_is_right, [i for i in clear if wordings[i].mood]),
        ("no mood", mood_is_right, [i for i in clear if not wordings[i].mood]),
    )
    found = []
    for name, is_right, indices in parts:
        right = [is_right(wordings[i], readings[i]) for i in indices]
        by_words = [is_right(wordings[i], listed[i]) for i in indices]
        null = [is_right(wordings[i], readings[j]) for i in indices for j in range(len(wordings)) if j != i]
        shares = (sum(answers) / len(answers) for answers in (right, by_words, null))
        found.append(f"| {name} | {len(indices)} | {' | '.join(f'{share:.2f}' for share in shares)} |")
    pairs = [i for i, w in enumerate(wordings) if len(w.families) > 1]
    both = [set(wordings[i].families) == set(readings[i].families) for i in pairs]
    return [*found, f"| both of two families | {len(pairs)} | {sum(both) / len(pairs):.2f} | | |"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mistakes", action="store_true", help="also print each wrong reading")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    reader = StyleReader(TextEncoder(packaged_folder()).sentences)
    for name in SETS:
        wordings = load_wordings(name)
        readings = [reader.read(wording.prompt) for wording in wordings]
        print(f"\n| {name} | wordings | right | listed words alone | null |\n| --- | --- | --- | --- | --- |")
        print("\n".join(rows(wordings, readings, [reader.read_listed(wording.prompt) for wording in wordings])))
        if arguments.mistakes:
            for wording, reading in zip(wordings, readings, strict=True):
                is_right = (
                    family_is_right(wording, reading),
                    mood_is_right(wording, reading) or not wording.mood_is_clear,
                )
                if not all(is_right):
                    print(f"{wording.prompt}: {[f.value for f in reading.families]}, {reading.mood}")


if __name__ == "__main__":
    main()
