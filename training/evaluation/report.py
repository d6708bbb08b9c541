"""Runs the evaluation and writes it as a Markdown page with figures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.corpus.soundfont import load_soundfont
from training.evaluation.parts import Evaluation
from training.evaluation.pictures import plot_goals, plot_stems, plot_take
from training.evaluation.section import Goal, Section
from training.evaluation.stems import held_out_songs as held_out_stem_songs
from training.evaluation.takes import held_out_songs
from training.evaluation.vocoders import autoencoder_error_db

_MAX_AUTOENCODER_ERROR_DB = 1.2


def evaluate(evaluation: Evaluation, folder: Path, *, parts: Sequence[str]) -> Path:
    """Measure the parts, plot, and write ``{folder}/README.md``, its figures and ``figures.json``; returns the path of the page.

    The evaluation's ``on_part`` receives the name of each part before it starts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    for part in parts:
        evaluation.on_part(part)
        sections.append(evaluation.section(part))
    goals = [goal for section in sections for goal in section.goals]
    if "vocoders" in parts:
        error_db = autoencoder_error_db(evaluation.renderer, evaluation.comparisons)
        goals.append(
            Goal(name="autoencoder, log-mel L1, dB", value=error_db, target=_MAX_AUTOENCODER_ERROR_DB, at_most=True)
        )
    evaluation.on_part("pictures")
    pictures = _plot_takes(evaluation, folder)
    if "separator" in parts:
        (song,) = held_out_stem_songs(1, seconds=evaluation.size.stem_seconds, font=load_soundfont())
        plot_stems(evaluation.separator, song, folder / "stems.png")
        pictures.append("stems.png")
    plot_goals(goals, folder / "goals.png")
    page = folder / "README.md"
    page.write_text(_page(evaluation, sections, goals, pictures), encoding="utf-8")
    (folder / "figures.json").write_text(_figures(goals), encoding="utf-8")
    return page


def _plot_takes(evaluation: Evaluation, folder: Path) -> list[str]:
    """Plot the first songs, as long as a picture shows them; returns the names of the files."""
    take_renderer, seconds = evaluation.take_renderer, evaluation.size.picture_s
    longer = replace(take_renderer, sampling=replace(take_renderer.sampling, seconds=seconds))
    names = []
    for number, song in enumerate(held_out_songs(evaluation.size.pictures, seconds=seconds)):
        names.append(f"take-{number + 1}.jpg")
        plot_take(longer.compare(song, number % len(longer.embeddings)), folder / names[-1])
    return names


def _page(evaluation: Evaluation, sections: list[Section], goals: list[Goal], pictures: list[str]) -> str:
    renderer, separator, sampling = evaluation.renderer, evaluation.separator, evaluation.sampling
    info = renderer.info
    digests = {model.role: model.sha256[:12] for model in info.models}
    head = f"""# Evaluation of `{info.name}` and of the separator `{separator.info.name}`

Written by `sonichaos-train evaluate`. Takes of {sampling.seconds:g} s in {sampling.steps} steps at guidance
{sampling.guidance:g}, from noise of standard deviation {renderer.config.noise_scale:g}.
Renderer: {", ".join(f"{role} {digest}" for role, digest in digests.items())}. Separator: {separator.info.weights_sha256[:12]}.
Tables compare each figure with true corpus audio and, where one exists, with a null: the value without any relation to the request.

{sum(goal.met for goal in goals)} of {len(goals)} goals are reached.

![goals](goals.png)

| goal | target | measured | met |
| --- | --- | --- | --- |
"""
    shown = "\n\n".join(f"![{name.partition('.')[0]}]({name})" for name in pictures)
    spectrograms = f"""## Pictures

Corpus song, upper bound and take side by side: {evaluation.size.picture_s:g} s in mel bands, four seconds of them, and the partials
below 1.6 kHz.{" Then true stems, each above the separated one." if "stems.png" in pictures else ""}

{shown}
"""
    tables = "\n".join(section.markdown() for section in sections)
    return head + "\n".join(goal.row() for goal in goals) + "\n\n" + tables + "\n" + spectrograms


def _figures(goals: list[Goal]) -> str:
    rows = [
        {
            "name": goal.name,
            "reached": None if math.isnan(goal.value) else round(goal.value, 4),
            "wanted": goal.target,
            "atMost": goal.at_most,
            "met": goal.met,
        }
        for goal in goals
    ]
    return json.dumps(rows, indent=1) + "\n"
