"""How long work waits for what it depends on."""

from __future__ import annotations

import pytest

from servicekit.errors import InvalidAudio, Unavailable
from servicekit.work import RetryPolicy

POLICY = RetryPolicy(attempts=3, first_delay_s=1.0, factor=4.0)


@pytest.mark.parametrize("reason", ["WARMING", "DRAINING"])
def test_a_service_that_restarts_is_waited_for(reason: str) -> None:
    """Its own advice is kept to where that is longer; the number of tries stays bounded."""
    error = Unavailable("soon", reason=reason, retry_after_s=3.0)
    assert POLICY.covers(error)
    assert [POLICY.delay_s(tries, error) for tries in (1, 2, 3)] == [3.0, 4.0, None]


def test_a_service_that_does_not_answer_is_tried_sooner() -> None:
    """What a caller is told to wait does not hold up the first tries."""
    error = Unavailable("nobody there", reason="SEPARATION_UNAVAILABLE", retry_after_s=30.0)
    assert [POLICY.delay_s(tries, error) for tries in (1, 2, 3)] == [1.0, 4.0, None]


def test_what_trying_again_cannot_mend_is_not_tried_again() -> None:
    """Bad input stays bad."""
    assert not POLICY.covers(InvalidAudio("no"))
