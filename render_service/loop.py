"""Loops: a take is rendered a little beyond its end, and what lies there fades into its start.

So the first sample continues the last one. Letters: ``C`` channels (2), ``T`` samples, ``N`` samples of the overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from render_service.composer.score import Note, Score, Section, SungNote
from render_service.music.harmony import ChordSpan
from render_service.plan import Plan
from render_service.renderers.renderer import Waveform
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ

OVERLAP_S = 0.02
"""Long enough that low notes do not click, short enough that the attack on the first downbeat stays."""

_S = TypeVar("_S", ChordSpan, Note, Section, SungNote)


def with_overlap(plan: Plan) -> Plan:
    """What is rendered for a plan: of a loop, 20 ms more, in which the first chord and the first notes come round again."""
    if not plan.loop:
        return plan
    score = None if plan.score is None else _score_with_overlap(plan.score, plan.seconds)
    return replace(
        plan,
        seconds=plan.seconds + OVERLAP_S,
        chords=(*plan.chords, *_again(plan.chords, plan.seconds)),
        score=score,
    )


def _score_with_overlap(score: Score, seconds: float) -> Score:
    return replace(
        score,
        sections=(*score.sections, *_again(score.sections, seconds)),
        notes=(*score.notes, *_again(score.notes, seconds)),
        sung=(*score.sung, *_again(score.sung, seconds)),
    )


def _again(spans: Iterable[_S], seconds: float) -> Iterable[_S]:
    """What starts in the first 20 ms, after ``seconds``."""
    for span in spans:
        if span.start_s < OVERLAP_S:
            end_s = min(span.end_s, OVERLAP_S) + seconds
            yield replace(span, start_s=span.start_s + seconds, end_s=end_s)


def close_loop(waveform: Waveform, plan: Plan) -> Waveform:
    """The take ``(2, round(seconds * 44100))`` from what :func:`with_overlap` rendered ``(2, T)``.

    The continuation of the end fades out over the start at constant power.
    """
    if not plan.loop:
        return waveform
    frames = round(plan.seconds * SAMPLE_RATE_HZ)
    beyond = waveform[:, frames:]
    progress = np.arange(beyond.shape[1], dtype=np.float32) / beyond.shape[1]
    closed = waveform[:, :frames].copy()
    start = closed[:, : beyond.shape[1]]
    start[:] = np.sin(0.5 * np.pi * progress) * start + np.cos(0.5 * np.pi * progress) * beyond
    return closed
