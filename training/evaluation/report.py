"""Runs the evaluation and writes it as a Markdown page with figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from separation_service.engine import Separator
from training.corpus.soundfont import load_soundfont
from training.evaluation.adherence import adherence, tempo_changes
from training.evaluation.classifier import load_or_fit_classifier
from training.evaluation.diversity import diversity
from training.evaluation.identity import identity, unseen_personas
from training.evaluation.pictures import plot_goals, plot_spectrograms, plot_stems
from training.evaluation.prompt_words import prompt_words
from training.evaluation.section import Goal, Section
from training.evaluation.stems import held_out_songs as held_out_stem_songs
from training.evaluation.stems import stems
from training.evaluation.takes import Sampling, TakeRenderer, held_out_songs, load_take_renderer
from training.evaluation.vocoders import autoencoder_error_db, vocoders

_MAX_AUTOENCODER_ERROR_DB = 1.2
_PLOTTED_TAKES = 4


@dataclass(frozen=True, kw_only=True)
class EvaluationSize:
    """How much is measured.

    ``takes`` and ``other_songs``: held-out songs with and without takes; ``tempo_changes``: songs with a tempo change, and as many
    with swing; ``unseen_personas``: personas added from two clips of ``clip_s``; ``prompts``: prompts whose words are changed;
    ``vocoder_songs``: songs for the vocoder; ``stem_songs`` of ``stem_seconds`` for the separator. The classifier is fitted on
    ``classifier_clips`` of each of the twelve personas and of ``classifier_unseen_personas``.
    """

    takes: int = 24
    other_songs: int = 24
    tempo_changes: int = 4
    unseen_personas: int = 6
    prompts: int = 3
    vocoder_songs: int = 3
    stem_songs: int = 6
    stem_seconds: float = 10.0
    clip_s: float = 10.0
    classifier_clips: int = 28
    classifier_unseen_personas: int = 12


def evaluate(
    renderer: LatentDiffusion,
    separator: Separator,
    folder: Path,
    *,
    sampling: Sampling,
    size: EvaluationSize,
    held_out_soundfont: Path | None,
    classifier_file: Path | None,
    on_part: Callable[[str], None],
) -> Path:
    """Measure, plot, and write ``{folder}/README.md``, its figures and ``figures.json``; returns the path of the page.

    ``on_part`` receives the name of each part before it starts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    on_part("classifier")
    classifier = load_or_fit_classifier(
        clips_per_persona=size.classifier_clips,
        unseen_personas=size.classifier_unseen_personas,
        cache=classifier_file,
    )
    on_part("personas")
    take_renderer = load_take_renderer(renderer, sampling, clip_s=size.clip_s)
    on_part("takes")
    songs = held_out_songs(size.takes, seconds=sampling.seconds)
    comparisons = [take_renderer.compare(song, i % len(take_renderer.embeddings)) for i, song in enumerate(songs)]
    others = list(held_out_songs(size.other_songs, seconds=sampling.seconds, first=size.takes))
    parts: list[tuple[str, Callable[[], Section]]] = [
        ("adherence", lambda: adherence(comparisons)),
        ("tempo changes", lambda: tempo_changes(take_renderer, size.tempo_changes)),
        ("identity", lambda: identity(classifier, comparisons)),
        (
            "unseen personas",
            lambda: unseen_personas(take_renderer, classifier, size.unseen_personas, clip_s=size.clip_s),
        ),
        ("prompt words", lambda: prompt_words(take_renderer, classifier, size.prompts)),
        ("diversity", lambda: diversity(classifier, comparisons, others)),
        ("vocoders", lambda: vocoders(renderer, comparisons[: size.vocoder_songs])),
        (
            "stems",
            lambda: stems(
                separator,
                songs=size.stem_songs,
                seconds=size.stem_seconds,
                held_out_soundfont=held_out_soundfont,
            ),
        ),
    ]
    sections = []
    for name, part in parts:
        on_part(name)
        sections.append(part())
    on_part("pictures")
    error_db = autoencoder_error_db(renderer, comparisons)
    goals = [goal for section in sections for goal in section.goals]
    goals.append(
        Goal(name="autoencoder, log-mel L1, dB", value=error_db, target=_MAX_AUTOENCODER_ERROR_DB, at_most=True)
    )
    plot_spectrograms(comparisons[:_PLOTTED_TAKES], folder / "takes.png")
    (song,) = held_out_stem_songs(1, seconds=size.stem_seconds, font=load_soundfont())
    plot_stems(separator, song, folder / "stems.png")
    plot_goals(goals, folder / "goals.png")
    page = folder / "README.md"
    page.write_text(_page(take_renderer, separator, sections, goals), encoding="utf-8")
    (folder / "figures.json").write_text(_figures(goals), encoding="utf-8")
    return page


def _page(take_renderer: TakeRenderer, separator: Separator, sections: list[Section], goals: list[Goal]) -> str:
    info, sampling = take_renderer.renderer.info, take_renderer.sampling
    digests = {model.role: model.sha256[:12] for model in info.models}
    head = f"""# Evaluation of `{info.name}` and of the separator `{separator.info.name}`

Written by `sonichaos-train evaluate`. Takes of {sampling.seconds:g} s in {sampling.steps} steps at guidance
{sampling.guidance:g}, from noise of standard deviation {take_renderer.renderer.config.noise_scale:g}.
Renderer: {", ".join(f"{role} {digest}" for role, digest in digests.items())}. Separator: {separator.info.weights_sha256[:12]}.
Tables compare each figure with true corpus audio and, where one exists, with a null: the value without any relation to the request.

{sum(goal.met for goal in goals)} of {len(goals)} goals are reached.

![goals](goals.png)

| goal | target | measured | met |
| --- | --- | --- | --- |
"""
    pictures = """## Pictures

Spectrograms of corpus song, autoencoder upper bound and take; true stems above the separated ones.

![takes](takes.png)

![stems](stems.png)
"""
    tables = "\n".join(section.markdown() for section in sections)
    return head + "\n".join(goal.row() for goal in goals) + "\n\n" + tables + "\n" + pictures


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
