"""The planner that composes by rules: a pure function of its request, within the bounds of scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from render_service.composer.form import ending_start_s
from render_service.composer.habits import DEFAULT_HABITS
from render_service.composer.planner import ScoreRequest
from render_service.composer.rule_planner import RulePlanner
from render_service.composer.score import check_score
from render_service.composer.style import Instrumentation, Mood
from render_service.composer.style_reader import StyleReader
from render_service.music.harmony import draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap, TempoPoint
from render_service.renderers.latent_diffusion.text_encoder import TextEncoder, packaged_folder

WINDING = TempoMap(
    points=(
        TempoPoint(start_s=0.0, bpm=150.0, beats_per_bar=7, beat_unit=8),
        TempoPoint(start_s=1.4, bpm=66.0, beats_per_bar=3),
    ),
    first_downbeat_s=0.3,
    swing=0.62,
)


@pytest.fixture(scope="module")
def planner() -> RulePlanner:
    """A planner with the packaged text encoder, for one middling persona."""
    return RulePlanner(StyleReader(TextEncoder(packaged_folder()).sentences), lambda _: DEFAULT_HABITS)


def request(
    prompt: str = "a song", *, seed: int = 1, seconds: float = 20.0, key: str = "C minor", grid: TempoMap | None = None
) -> ScoreRequest:
    """What a plan has decided before its score."""
    tempo_map, parsed = grid or TempoMap.constant(110.0), Key.parse(key)
    ending_s = ending_start_s(tempo_map, seconds)
    return ScoreRequest(
        prompt=prompt,
        persona_embedding=(1.0,),
        seed=seed,
        seconds=seconds,
        tempo_map=tempo_map,
        key=parsed,
        chords=draw_chords(
            np.random.default_rng(seed), key=parsed, tempo_map=tempo_map, seconds=seconds, ending_s=ending_s
        ),
        ending_s=ending_s,
        instrumental=False,
    )


def test_equal_requests_give_equal_scores(planner: RulePlanner) -> None:
    """Also after other prompts were read; another seed gives another score."""
    first = planner.write_score(request("sad piano"))
    planner.write_score(request("happy brass"))
    assert planner.write_score(request("sad piano")) == first
    assert planner.write_score(request("sad piano", seed=2)) != first


@pytest.mark.parametrize("seconds", [2.0, 7.3, 180.0])
@pytest.mark.parametrize("grid", [TempoMap.constant(300.0, beats_per_bar=1), TempoMap.constant(30.0), WINDING])
def test_scores_are_within_bounds(planner: RulePlanner, seconds: float, grid: TempoMap) -> None:
    """From the shortest take to the longest, at extreme tempos and over changes of tempo and metre."""
    score = planner.write_score(request(seconds=seconds, grid=grid))
    check_score(score, seconds=seconds)
    assert score.notes


def test_named_instruments_play(planner: RulePlanner) -> None:
    """The first family plays the chords, whatever the seed."""
    for seed in range(4):
        score = planner.write_score(request("calm marimba and accordion", seed=seed))
        assert score.instrumentation == (Instrumentation.MALLETS, Instrumentation.ORGAN)


def test_instruments_that_nobody_names_are_drawn_from_the_seed(planner: RulePlanner) -> None:
    """Over many seeds, most families appear, and one or two play."""
    drawn = [planner.write_score(request(seed=seed, seconds=4.0)).instrumentation for seed in range(40)]
    assert len({family for families in drawn for family in families}) >= 7
    assert {len(families) for families in drawn} == {1, 2}


def test_the_mood_of_the_prompt_is_followed(planner: RulePlanner) -> None:
    """An energetic take has more notes than a calm one of the same seeds."""
    counts = {
        mood: sum(len(planner.write_score(request(f"{mood} piano", seed=seed)).notes) for seed in range(6))
        for mood in ("calm", "energetic")
    }
    assert counts["energetic"] > 1.2 * counts["calm"]
    assert planner.read_style("energetic piano").mood is Mood.ENERGETIC


def test_without_a_voice_nothing_is_sung(planner: RulePlanner) -> None:
    """Instrumental takes have no sung notes."""
    asked = request(seconds=40.0)
    assert planner.write_score(asked).sung
    assert not planner.write_score(replace(asked, instrumental=True)).sung
