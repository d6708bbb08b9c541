"""The whole evaluation as one page of Markdown with pictures beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from separation_service.engine import Separator
from training.corpus.soundfont import load_soundfont
from training.evaluation.following import changing_tempo, following
from training.evaluation.identity import identity, spread, strangers
from training.evaluation.judge import fit_judge
from training.evaluation.pictures import goal_picture, mel_pictures, stem_pictures
from training.evaluation.section import Goal, Section
from training.evaluation.stems import held_out_songs as songs_of_stems
from training.evaluation.stems import stems
from training.evaluation.takes import Sampling, Studio, held_out_songs, open_studio
from training.evaluation.vocoders import autoencoder_error_db, vocoders
from training.evaluation.words import words

_AUTOENCODER_GOAL_DB = 1.2
_PICTURED = 4


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured.

    ``takes`` and ``others``: held-out songs with takes, and without; ``changing``: songs with a changing tempo, and with
    swing; ``strangers``: unseen personas; ``bases``: prompts that are changed; ``copies``: songs for the vocoder;
    ``stem_songs`` of ``stem_seconds``; personas are known by two clips of ``clip_s``; ``clips_each`` persona of twelve and of
    ``judge_strangers`` teach the judge.
    """

    takes: int = 24
    others: int = 24
    changing: int = 4
    strangers: int = 6
    bases: int = 3
    copies: int = 3
    stem_songs: int = 6
    stem_seconds: float = 10.0
    clip_s: float = 10.0
    clips_each: int = 28
    judge_strangers: int = 12


Say = Callable[[str], None]


def evaluate(
    renderer: LatentDiffusion,
    separator: Separator,
    folder: Path,
    *,
    sampling: Sampling,
    extent: Extent,
    held_out_soundfont: Path | None,
    judge_file: Path | None,
    say: Say,
) -> Path:
    """Measure, draw, and write ``{folder}/README.md`` with its pictures and ``figures.json``; returns the page.

    ``say`` is told of each part as it begins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    say("judge")
    judge = fit_judge(clips_each=extent.clips_each, strangers=extent.judge_strangers, kept=judge_file)
    say("personas")
    studio = open_studio(renderer, sampling, clip_s=extent.clip_s)
    say("takes")
    songs = held_out_songs(extent.takes, seconds=sampling.seconds)
    trios = [studio.trio(song, i % len(studio.embeddings)) for i, song in enumerate(songs)]
    others = list(held_out_songs(extent.others, seconds=sampling.seconds, first=extent.takes))
    parts: list[tuple[str, Callable[[], Section]]] = [
        ("following", lambda: following(trios)),
        ("changing tempo", lambda: changing_tempo(studio, extent.changing)),
        ("identity", lambda: identity(judge, trios)),
        ("strangers", lambda: strangers(studio, judge, extent.strangers, clip_s=extent.clip_s)),
        ("words", lambda: words(studio, judge, extent.bases)),
        ("spread", lambda: spread(judge, trios, others)),
        ("vocoders", lambda: vocoders(renderer, trios[: extent.copies])),
        (
            "stems",
            lambda: stems(
                separator,
                songs=extent.stem_songs,
                seconds=extent.stem_seconds,
                held_out_soundfont=held_out_soundfont,
            ),
        ),
    ]
    sections = []
    for name, part in parts:
        say(name)
        sections.append(part())
    say("pictures")
    error_db = autoencoder_error_db(renderer, trios)
    goals = [goal for section in sections for goal in section.goals]
    goals.append(Goal(name="autoencoder, log-mel L1, dB", reached=error_db, wanted=_AUTOENCODER_GOAL_DB, at_most=True))
    mel_pictures(trios[:_PICTURED], folder / "takes.png")
    (song,) = songs_of_stems(1, seconds=extent.stem_seconds, font=load_soundfont())
    stem_pictures(separator, song, folder / "stems.png")
    goal_picture(goals, folder / "goals.png")
    page = folder / "README.md"
    page.write_text(_page(studio, separator, sections, goals), encoding="utf-8")
    (folder / "figures.json").write_text(_figures(goals), encoding="utf-8")
    return page


def _page(studio: Studio, separator: Separator, sections: list[Section], goals: list[Goal]) -> str:
    info, sampling = studio.renderer.info, studio.sampling
    digests = {model.role: model.sha256[:12] for model in info.models}
    head = f"""# Evaluation of `{info.name}` and of the separator `{separator.info.name}`

Written by `sonichaos-train evaluate`. Takes of {sampling.seconds:g} s in {sampling.steps} steps at guidance
{sampling.guidance:g}, from noise of standard deviation {studio.renderer.config.noise_scale:g}.
Renderer: {", ".join(f"{role} {digest}" for role, digest in digests.items())}. Separator: {separator.info.weights_sha256[:12]}.
Tables compare each figure with true corpus audio and, where one exists, with a null: the value of a measure that found nothing.

{sum(goal.met for goal in goals)} of {len(goals)} goals are reached.

![goals](goals.png)

| goal | wanted | reached | |
| --- | --- | --- | --- |
"""
    pictures = """## Pictures

Spectrograms of corpus song, ceiling and take; true stems above the separated ones.

![takes](takes.png)

![stems](stems.png)
"""
    tables = "\n".join(section.markdown() for section in sections)
    return head + "\n".join(goal.row() for goal in goals) + "\n\n" + tables + "\n" + pictures


def _figures(goals: list[Goal]) -> str:
    rows = [
        {
            "name": goal.name,
            "reached": None if math.isnan(goal.reached) else round(goal.reached, 4),
            "wanted": goal.wanted,
            "atMost": goal.at_most,
            "met": goal.met,
        }
        for goal in goals
    ]
    return json.dumps(rows, indent=1) + "\n"
