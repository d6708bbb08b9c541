"""Which steps of progress are published, and the time left."""

from __future__ import annotations

from datetime import UTC, datetime

from servicekit.work import ProgressThrottle, estimate_time_left_s
from tests.support.manual_clock import ManualClock


def test_first_and_last_step_pass_and_the_steps_between_once_per_interval() -> None:
    """Steps of 30 ms with an interval of 100 ms."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    throttle = ProgressThrottle(clock, interval_s=0.1)
    passed = []
    for _stage in range(2):
        throttle.start_stage()
        for done in range(11):
            if throttle.is_due(done, 10):
                throttle.published(done)
                passed.append(done)
            clock.advance(0.03)
    assert passed == [0, 4, 8, 10] * 2


def test_a_step_is_never_published_twice() -> None:
    """Also after a long pause, and also where it is the last."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    throttle = ProgressThrottle(clock)
    throttle.published(10)
    clock.advance(60.0)
    assert not throttle.is_due(9, 10)
    assert not throttle.is_due(10, 10)


def test_time_left_goes_on_at_the_same_speed() -> None:
    """A quarter done in 3 s leaves 9 s."""
    assert estimate_time_left_s(3.0, done=0.25, remaining=0.75) == 9.0
