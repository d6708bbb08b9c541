"""The parts of the evaluation, and what they measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from separation_service.engine import Separator
from training.corpus.song import Song
from training.evaluation.adherence import adherence, tempo_changes
from training.evaluation.classifier import PersonaClassifier, load_or_fit_classifier
from training.evaluation.diversity import diversity
from training.evaluation.endings import endings
from training.evaluation.identity import identity, unseen_personas
from training.evaluation.judge import judge
from training.evaluation.pitches import notes
from training.evaluation.prompt_words import prompt_words
from training.evaluation.section import Section
from training.evaluation.spectrum import sound
from training.evaluation.stems import stems
from training.evaluation.strokes import strokes
from training.evaluation.takes import Comparison, Sampling, TakeRenderer, held_out_songs, load_take_renderer
from training.evaluation.vocoders import vocoders


@dataclass(frozen=True, kw_only=True)
class EvaluationSize:
    """How much is measured.

    ``takes`` and ``other_songs``: held-out songs with and without takes; ``tempo_changes``: songs with a tempo change, and as many
    with swing; ``unseen_personas``: personas added from two clips of ``clip_s``; ``prompts``: prompts whose words are changed;
    ``vocoder_songs``: songs for the vocoder; ``stem_songs`` of ``stem_seconds`` for the separator. The classifier is fitted on
    ``classifier_clips`` of each of the twelve personas and of ``classifier_unseen_personas``. ``pictures``: songs of ``picture_s``
    that are plotted.
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
    pictures: int = 3
    picture_s: float = 16.0


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is evaluated. Takes, songs and classifier are made when a part needs them; ``on_part`` receives what is made."""

    renderer: LatentDiffusion
    separator: Separator
    sampling: Sampling
    size: EvaluationSize
    held_out_soundfont: Path | None
    classifier_file: Path | None
    on_part: Callable[[str], None]

    @cached_property
    def classifier(self) -> PersonaClassifier:
        """The persona classifier, loaded or fitted."""
        self.on_part("classifier")
        return load_or_fit_classifier(
            clips_per_persona=self.size.classifier_clips,
            unseen_personas=self.size.classifier_unseen_personas,
            cache=self.classifier_file,
        )

    @cached_property
    def take_renderer(self) -> TakeRenderer:
        """The renderer with the embeddings of the named personas."""
        self.on_part("personas")
        return load_take_renderer(self.renderer, self.sampling, clip_s=self.size.clip_s)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """The held-out songs with their takes."""
        take_renderer = self.take_renderer
        self.on_part("takes")
        songs = held_out_songs(self.size.takes, seconds=self.sampling.seconds)
        return [take_renderer.compare(song, i % len(take_renderer.embeddings)) for i, song in enumerate(songs)]

    @cached_property
    def others(self) -> list[Song]:
        """Held-out songs without takes."""
        return list(held_out_songs(self.size.other_songs, seconds=self.sampling.seconds, first=self.size.takes))

    def section(self, part: str) -> Section:
        """Measure one of :data:`PARTS`."""
        return PARTS[part](self)


PARTS: dict[str, Callable[[Evaluation], Section]] = {
    "adherence": lambda e: adherence(e.comparisons),
    "notes": lambda e: notes(e.comparisons),
    "strokes": lambda e: strokes(e.comparisons),
    "sound": lambda e: sound(e.comparisons),
    "endings": lambda e: endings(e.renderer, e.comparisons),
    "tempo-changes": lambda e: tempo_changes(e.take_renderer, e.size.tempo_changes),
    "identity": lambda e: identity(e.classifier, e.comparisons),
    "unseen-personas": lambda e: unseen_personas(
        e.take_renderer, e.classifier, e.size.unseen_personas, clip_s=e.size.clip_s
    ),
    "words": lambda e: prompt_words(e.take_renderer, e.classifier, e.size.prompts),
    "diversity": lambda e: diversity(e.classifier, e.comparisons, e.others),
    "judge": lambda e: judge(e.comparisons, e.others),
    "vocoders": lambda e: vocoders(e.renderer, e.comparisons[: e.size.vocoder_songs]),
    "separator": lambda e: stems(
        e.separator, songs=e.size.stem_songs, seconds=e.size.stem_seconds, held_out_soundfont=e.held_out_soundfont
    ),
}
"""The parts in the order of the report."""
