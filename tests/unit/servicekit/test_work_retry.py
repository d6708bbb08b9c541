"""Which errors are retried, and after which delay."""

from __future__ import annotations

import pytest

from servicekit.errors import InvalidAudio, Unavailable
from servicekit.work import AttemptPolicy

POLICY = AttemptPolicy(max_attempts=3, initial_delay_s=1.0, backoff_factor=4.0)


@pytest.mark.parametrize("reason", ["WARMING", "DRAINING"])
def test_the_delay_of_a_restarting_service_is_respected(reason: str) -> None:
    """Where it is longer than the own delay; the number of attempts stays bounded."""
    error = Unavailable("soon", reason=reason, retry_after_s=3.0)
    assert POLICY.is_retryable(error)
    assert [POLICY.delay_s(attempts, error) for attempts in (1, 2, 3)] == [3.0, 4.0, None]


def test_a_service_that_does_not_answer_is_retried_sooner() -> None:
    """The delay for callers does not apply to the retries."""
    error = Unavailable("separation_service does not answer", reason="SEPARATION_UNAVAILABLE", retry_after_s=30.0)
    assert [POLICY.delay_s(attempts, error) for attempts in (1, 2, 3)] == [1.0, 4.0, None]


def test_bad_input_is_not_retried() -> None:
    """Another attempt cannot help."""
    assert not POLICY.is_retryable(InvalidAudio("no"))
