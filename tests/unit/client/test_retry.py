"""Waits before another try."""

from __future__ import annotations

import random

import grpc
import pytest

from sonichaos_client import errors
from sonichaos_client.retry import Backoff, RetryPolicy, is_retryable

POLICY = RetryPolicy(initial_backoff_s=1, max_backoff_s=8, max_elapsed_s=40)


def backoff() -> Backoff:
    """A backoff with known draws."""
    return Backoff(POLICY, random.Random(5))  # noqa: S311


def test_waits_double_up_to_the_cap_and_vary() -> None:
    """Each wait lies between half and all of 1, 2, 4, 8, 8 seconds."""
    waiting = backoff()
    waits = [waiting.next_wait_s(errors.UnavailableError("down")) for _ in range(5)]
    for wait, most in zip(waits, (1, 2, 4, 8, 8), strict=True):
        assert most / 2 <= wait <= most


def test_the_service_may_ask_for_a_longer_wait() -> None:
    """RetryInfo is kept to."""
    assert backoff().next_wait_s(errors.UnavailableError("down", retry_after_s=25)) == 25


def test_patience_ends_and_success_renews_it() -> None:
    """Waits in a row are bounded in all; something that arrives starts anew."""
    waiting = backoff()
    error = errors.UnavailableError("down", retry_after_s=25)
    waiting.next_wait_s(error)
    waiting.reset()
    waiting.next_wait_s(error)
    waiting.next_wait_s(error)
    with pytest.raises(errors.UnavailableError):
        waiting.next_wait_s(error)


@pytest.mark.parametrize(
    ("error", "cut"),
    [
        (errors.UnavailableError("Socket closed"), True),
        (errors.UnavailableError("draining", reason="DRAINING"), True),
        (errors.InternalError("RST_STREAM", code=grpc.StatusCode.INTERNAL), True),
        (errors.InternalError("a bug", code=grpc.StatusCode.INTERNAL, reason="INTERNAL"), False),
        (errors.CallCancelledError("by a proxy"), True),
        (errors.NotFoundError("no job"), False),
        (errors.ResourceExhaustedError("too many watchers", retry_after_s=1), True),
        (errors.ResourceExhaustedError("too large"), False),
    ],
)
def test_a_cut_is_told_from_a_refusal(error: errors.SonichaosError, *, cut: bool) -> None:
    """Only what another try may mend is tried again."""
    assert is_retryable(error) is cut
