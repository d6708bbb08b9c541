"""Which refusals are temporary, after which delay the next try begins, and how long a version waits in all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from servicekit.errors import FailedPrecondition, InvalidAudio, ResourceExhausted, ServiceError, Unavailable
from servicekit.journal import Stage, WaitState
from servicekit.work import RetryPolicy
from servicekit.work.retry import WaitBudget
from tests.support.manual_clock import ManualClock

POLICY = RetryPolicy(initial_delay_s=1.0, backoff_factor=4.0, max_delay_s=20.0, max_wait_s=100.0)
DOWN = Unavailable("separation_service does not answer", reason="SEPARATION_UNAVAILABLE", retry_after_s=30.0)


@pytest.mark.parametrize("reason", ["WARMING", "DRAINING"])
def test_the_delay_of_a_restarting_service_is_respected(reason: str) -> None:
    """Where it is longer than the own delay."""
    error = Unavailable("soon", reason=reason, retry_after_s=3.0)
    assert POLICY.is_temporary(error)
    assert [POLICY.delay_s(failures, error) for failures in (1, 2, 3)] == [3.0, 4.0, 16.0]


def test_a_service_that_does_not_answer_is_tried_sooner() -> None:
    """The delay for callers does not apply, and the own one has a limit, however often it was tried."""
    assert [POLICY.delay_s(failures, DOWN) for failures in (1, 2, 3, 4, 5000)] == [1.0, 4.0, 16.0, 20.0, 20.0]


@pytest.mark.parametrize(
    "error",
    [
        ResourceExhausted("", reason="LOANS_EXHAUSTED"),
        ResourceExhausted("", reason="QUEUE_FULL"),
        ResourceExhausted("", reason="DISK_FULL"),
        ResourceExhausted("", reason="OUT_OF_MEMORY"),
        Unavailable("", reason="STORE_UNAVAILABLE"),
        FailedPrecondition("", reason="LEASE_LOST"),
    ],
)
def test_what_another_try_can_overcome_is_temporary(error: ServiceError) -> None:
    """A full pool, a busy device, a store that is down, a loan that a restarted peer no longer has."""
    assert POLICY.is_temporary(error)


def test_bad_input_is_not_tried_again() -> None:
    """Another try cannot help."""
    budget = WaitBudget(POLICY, ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    assert budget.refused(InvalidAudio("no")) is None
    assert budget.refusal is None


def test_the_budget_is_time_for_each_reason() -> None:
    """A hundred seconds of refusals, however many; the last delay ends with the budget; another reason has its own."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    budget = WaitBudget(POLICY, clock)
    waited_s = 0.0
    while (delay_s := budget.refused(DOWN)) is not None:
        budget.trying()
        clock.advance(delay_s)
        waited_s += delay_s
    assert waited_s == 100.0
    assert budget.refused(MemoryError()) == 30.0
    assert budget.refusal is not None
    assert budget.refusal.reason == "OUT_OF_MEMORY"


def test_a_success_starts_the_budget_anew() -> None:
    """What was refused and has succeeded may be refused again for the whole time."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    budget = WaitBudget(POLICY, clock)
    assert budget.refused(DOWN) == 1.0
    clock.advance(99.0)
    budget.succeeded()
    clock.advance(99.0)
    assert budget.refused(DOWN) == 1.0


def test_the_budget_outlives_the_process() -> None:
    """What was waited before counts, the time until the next process does not; the delays go on where they were."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    first = WaitBudget(POLICY, clock)
    first.refused(DOWN, stage=Stage.HANDOFF)
    clock.advance(60.0)
    assert first.refused(DOWN, stage=Stage.HANDOFF) == 4.0
    clock.advance(86_400.0)
    second = WaitBudget(POLICY, clock, first.state)
    assert second.refused(DOWN, stage=Stage.HANDOFF) == 16.0
    clock.advance(39.0)
    assert second.refused(DOWN, stage=Stage.HANDOFF) == 1.0
    clock.advance(1.0)
    assert second.refused(DOWN, stage=Stage.HANDOFF) is None


def test_a_wait_is_over_with_its_stage() -> None:
    """Also where the attempt that gets through it was not refused; other stages do not end it."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    budget = WaitBudget(POLICY, clock)
    budget.refused(DOWN, stage=Stage.SEPARATE)
    budget.trying()
    clock.advance(99.0)
    budget.passed(Stage.HANDOFF)
    assert budget.state.spent["SEPARATION_UNAVAILABLE"]["stage"] == "SEPARATE"
    budget.passed(Stage.SEPARATE)
    assert budget.state == WaitState()
    clock.advance(99.0)
    assert budget.refused(DOWN, stage=Stage.STORE) == 1.0
