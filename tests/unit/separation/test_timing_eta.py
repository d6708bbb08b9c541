"""Estimated time left of a separation: the stage in progress as measured, the later stages as the last separation needed them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from separation_service.timing.eta import EtaEstimator, EtaProgress, Load
from separation_service.timing.latency_budget import LatencyBudget
from separation_service.timing.progress import CallProgress, ProgressUpdate
from servicekit.journal import Stage
from servicekit.metrics import Metrics
from tests.support.manual_clock import ManualClock

MINUTE = Load(audio_s=60.0, steps=30)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that only the test advances."""
    return ManualClock(datetime(2026, 3, 1, tzinfo=UTC))


def separate(clock: ManualClock, estimator: EtaEstimator, load: Load, *, wait_s: float = 0.0) -> list[ProgressUpdate]:
    """One take: a second of work a step, a second of packing and half a second of storing for every ten of audio."""
    updates: list[ProgressUpdate] = []
    calls = CallProgress(updates.append, clock=clock, observe=lambda _stage, _seconds: None)
    progress = EtaProgress(calls, estimator, LatencyBudget(30.0, Metrics("separation")), clock=clock)
    progress.stage(Stage.RECEIVE)
    progress.set_load(load)
    progress.stage(Stage.SEPARATE, load.steps)
    clock.advance(wait_s)
    progress.step(0, total=load.steps)
    for done in range(1, load.steps + 1):
        clock.advance(1.0)
        progress.step(done, total=load.steps)
    for stage, seconds in ((Stage.PACKAGE, load.audio_s / 10), (Stage.STORE, load.audio_s / 20)):
        progress.stage(stage)
        clock.advance(seconds / 2)
        progress.step(1, total=2)
        clock.advance(seconds / 2)
        progress.step(2, total=2)
    progress.end_stage()
    return updates


def test_the_wait_for_the_device_does_not_count(clock: ManualClock) -> None:
    """However long a take waited, its own steps alone tell how long the rest takes; every step is published."""
    updates = separate(clock, EtaEstimator(), MINUTE, wait_s=500.0)
    steps = [update for update in updates if update.stage is Stage.SEPARATE and update.steps_done]
    assert [update.steps_done for update in steps] == list(range(1, 31))
    rest_s = 0.15 * 30.0
    assert [update.time_left_s for update in steps] == pytest.approx([30.0 - done + rest_s for done in range(1, 31)])


def test_the_second_separation_has_an_exact_estimate(clock: ManualClock) -> None:
    """After one separation, every step of the next one carries the right time left, in proportion to its size."""
    estimator = EtaEstimator()
    separate(clock, estimator, MINUTE)
    assert estimator.expected_after_s(Stage.RECEIVE, Load(audio_s=120.0, steps=60)) == pytest.approx(60.0 + 12.0 + 6.0)
    assert estimator.realtime_factor == pytest.approx(2.0)
    started_s = clock.monotonic_s()
    updates = separate(clock, estimator, Load(audio_s=120.0, steps=60))
    took_s = clock.monotonic_s() - started_s
    separating = [update for update in updates if update.stage is Stage.SEPARATE and update.steps_done]
    assert [update.time_left_s for update in separating] == pytest.approx(
        [took_s - update.steps_done for update in separating]
    )
    halves = {
        update.stage: update.time_left_s for update in updates if (update.steps_done, update.steps_total) == (1, 2)
    }
    assert halves == {Stage.PACKAGE: pytest.approx(6.0 + 6.0), Stage.STORE: pytest.approx(3.0)}
