"""Loops: the end of a take leads into its start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from render_service.bounce import make_bounce
from render_service.composer.score import Note, Part, Score, Section, SectionKind
from render_service.composer.style import Instrumentation
from render_service.denoise import denoise
from render_service.loop import OVERLAP_S, close_loop, with_overlap
from render_service.plan import Plan
from render_service.renderers.renderer import Renderer, Waveform, no_report
from render_service.vocode import vocode
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from tests.support.tiny_checkpoint import plan as tiny_plan
from tests.unit.render.test_audit import facts

OVERLAP_FRAMES = round(OVERLAP_S * SAMPLE_RATE_HZ)


def loop_plan(seconds: float = 4.0, bpm: float = 120.0) -> Plan:
    """A plan of whole bars."""
    embedding = (1.0, *(0.0 for _ in range(7)))
    return replace(tiny_plan(seconds=seconds, embedding=embedding, bpm=bpm), loop=True, target_lufs=-16.0)


def rendered(plan: Plan, *hz: float) -> Waveform:
    """What a renderer gives for the plan with its overlap: sines that do not fit into the loop."""
    t = np.arange(round(with_overlap(plan).seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.asarray(sum(0.2 * np.sin(2.0 * np.pi * f * t + [[0.5], [1.5]]) for f in hz), dtype=np.float32)


def steps(waveform: Waveform) -> np.ndarray:
    """The distances between neighbouring samples within the take."""
    return np.abs(np.diff(waveform, axis=1))


def jump(waveform: Waveform) -> float:
    """The distance from the last sample to the first."""
    return float(np.abs(waveform[:, 0] - waveform[:, -1]).max())


@pytest.mark.parametrize("hz", [(55.0,), (41.3, 110.7), (997.0, 3001.0)])
def test_the_wrap_has_no_click(hz: tuple[float, ...]) -> None:
    """The jump from the last sample to the first is no larger than the steps within the take; cutting alone clicks."""
    plan = loop_plan(seconds=3.0, bpm=80.0)
    cut = rendered(plan, *hz)[:, : 3 * SAMPLE_RATE_HZ]
    closed = close_loop(rendered(plan, *hz), plan)
    assert closed.shape == cut.shape
    assert np.array_equal(closed[:, OVERLAP_FRAMES:], cut[:, OVERLAP_FRAMES:])
    assert jump(closed) <= steps(closed).max()
    assert jump(make_bounce(closed, facts(plan=plan)).samples()) <= steps(closed).max() * 2.0
    twice = np.concatenate([closed, closed], axis=1)
    wrap = twice[:, 3 * SAMPLE_RATE_HZ - 200 : 3 * SAMPLE_RATE_HZ + OVERLAP_FRAMES + 200]
    assert np.abs(np.diff(wrap, axis=1)).max() <= 1.6 * steps(cut).max()


def test_a_sine_that_fits_keeps_its_level_over_the_wrap() -> None:
    """What is the same at start and end is raised by 3 dB at most, in the middle of the crossfade."""
    plan = loop_plan()
    closed = close_loop(rendered(plan, 50.0), plan)
    assert np.abs(closed).max() <= 0.2 * np.sqrt(2.0) + 1e-6


def test_a_rendered_loop_repeats_without_a_seam(tiny_renderer: Renderer) -> None:
    """Through the stages: the take has the asked length, and its wrap is like its middle."""
    plan = replace(loop_plan(seconds=2.0), persona_embedding=_direction(tiny_renderer))
    latents = denoise(tiny_renderer, plan, no_report)
    waveform = vocode(tiny_renderer, latents, plan, no_report)
    samples = make_bounce(waveform, facts(plan=plan)).samples()
    assert latents.samples == 2 * SAMPLE_RATE_HZ + OVERLAP_FRAMES
    assert samples.shape == (2, 2 * SAMPLE_RATE_HZ)
    assert jump(samples) <= steps(samples).max()


def test_harmony_and_notes_of_a_loop_go_round() -> None:
    """Beyond the end the first chord and the notes of the first downbeat come again, without a gap."""
    first = Note(part=Part.BASS, start_s=0.0, end_s=1.0, pitch=33, velocity=1.0)
    score = Score(
        instrumentation=(next(iter(Instrumentation)),),
        sections=(Section(kind=SectionKind.CHORUS, start_s=0.0, end_s=4.0),),
        notes=(first, replace(first, start_s=2.0, end_s=4.0)),
        sung=(),
    )
    plan = replace(loop_plan(), score=score)
    longer = with_overlap(plan)
    again = longer.chords[len(plan.chords) :]
    assert [(chord.root, chord.quality) for chord in again] == [(plan.chords[0].root, plan.chords[0].quality)]
    assert again[0].start_s == plan.seconds
    assert longer.chords[-1].end_s == longer.seconds == plan.seconds + OVERLAP_S
    assert longer.score is not None
    assert longer.score.notes == (*score.notes, replace(first, start_s=4.0, end_s=longer.seconds))
    assert longer.score.sections[-1].kind is SectionKind.CHORUS
    assert longer.score.sections[-1].end_s == longer.seconds


def test_a_take_that_is_no_loop_is_rendered_as_planned(tiny_renderer: Renderer) -> None:
    """Nothing is added and nothing folded."""
    plan = replace(loop_plan(seconds=2.0), loop=False, persona_embedding=_direction(tiny_renderer))
    waveform = vocode(tiny_renderer, denoise(tiny_renderer, plan, no_report), plan, no_report)
    assert with_overlap(plan) is plan
    assert close_loop(waveform, plan) is waveform
    assert waveform.shape == (2, 2 * SAMPLE_RATE_HZ)


def _direction(renderer: Renderer) -> tuple[float, ...]:
    return (1.0, *(0.0 for _ in range(renderer.info.embedding_size - 1)))
