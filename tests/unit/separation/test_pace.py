"""The time left of a separation: what was measured in the stage under way, what the last take needed beyond it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from separation_service.timing.eta import EtaEstimator, EtaProgress, Load
from separation_service.timing.latency_budget import LatencyBudget
from separation_service.timing.progress import CallProgress, ProgressUpdate
from servicekit.clock import SetClock
from servicekit.journal import Stage
from servicekit.metrics import Metrics

MINUTE = Load(audio_s=60.0, steps=30)


@pytest.fixture
def clock() -> SetClock:
    """A time that stands still."""
    return SetClock(datetime(2026, 3, 1, tzinfo=UTC))


def separate(clock: SetClock, pace: EtaEstimator, load: Load, *, wait_s: float = 0.0) -> list[ProgressUpdate]:
    """One take: a second of work a step, a second of packing and half a second of storing for every ten of audio."""
    told: list[ProgressUpdate] = []
    calls = CallProgress(told.append, clock=clock, observe=lambda _stage, _seconds: None)
    paced = EtaProgress(calls, pace, LatencyBudget(30.0, Metrics("separation")), clock=clock)
    paced.stage(Stage.RECEIVE)
    paced.take(load)
    paced.stage(Stage.SEPARATE, load.steps)
    clock.advance(wait_s)
    paced.step(0, total=load.steps)
    for done in range(1, load.steps + 1):
        clock.advance(1.0)
        paced.step(done, total=load.steps)
    for stage, seconds in ((Stage.PACKAGE, load.audio_s / 10), (Stage.STORE, load.audio_s / 20)):
        paced.stage(stage)
        clock.advance(seconds / 2)
        paced.step(1, total=2)
        clock.advance(seconds / 2)
        paced.step(2, total=2)
    paced.end()
    return told


def test_the_wait_for_the_device_is_no_work(clock: SetClock) -> None:
    """However long a take waited, its own steps alone say how long the rest takes; every step is told."""
    told = separate(clock, EtaEstimator(), MINUTE, wait_s=500.0)
    steps = [t for t in told if t.stage is Stage.SEPARATE and t.steps_done]
    assert [t.steps_done for t in steps] == list(range(1, 31))
    rest_s = 0.15 * 30.0
    assert [t.time_left_s for t in steps] == pytest.approx([30.0 - done + rest_s for done in range(1, 31)])


def test_the_second_take_knows_its_time(clock: SetClock) -> None:
    """After one take, the next knows what it will need at every step, in proportion to its own size, and is right."""
    pace = EtaEstimator()
    separate(clock, pace, MINUTE)
    assert pace.rest_s(Stage.RECEIVE, Load(audio_s=120.0, steps=60)) == pytest.approx(60.0 + 12.0 + 6.0)
    assert pace.realtime_factor == pytest.approx(2.0)
    began_s = clock.monotonic_s()
    told = separate(clock, pace, Load(audio_s=120.0, steps=60))
    took_s = clock.monotonic_s() - began_s
    separating = [t for t in told if t.stage is Stage.SEPARATE and t.steps_done]
    assert [t.time_left_s for t in separating] == pytest.approx([took_s - t.steps_done for t in separating])
    halves = {t.stage: t.time_left_s for t in told if t.steps_total == 2 and t.steps_done == 1}
    assert halves == {Stage.PACKAGE: pytest.approx(6.0 + 6.0), Stage.STORE: pytest.approx(3.0)}
