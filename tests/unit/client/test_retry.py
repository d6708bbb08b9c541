"""Waits before another try."""

from __future__ import annotations

import random

import grpc
import pytest

from sonichaos_client import errors
from sonichaos_client.retry import Backoff, RetryPolicy, is_cut

POLICY = RetryPolicy(first_s=1, cap_s=8, patience_s=40)


def backoff() -> Backoff:
    """A backoff with known draws."""
    return Backoff(POLICY, random.Random(5))  # noqa: S311


def test_waits_double_up_to_the_cap_and_vary() -> None:
    """Each wait lies between half and all of 1, 2, 4, 8, 8 seconds."""
    waiting = backoff()
    waits = [waiting.wait_s(errors.Unavailable("down")) for _ in range(5)]
    for wait, most in zip(waits, (1, 2, 4, 8, 8), strict=True):
        assert most / 2 <= wait <= most


def test_the_service_may_ask_for_a_longer_wait() -> None:
    """RetryInfo is kept to."""
    assert backoff().wait_s(errors.Unavailable("down", retry_after_s=25)) == 25


def test_patience_ends_and_success_renews_it() -> None:
    """Waits in a row are bounded in all; something that arrives starts anew."""
    waiting = backoff()
    error = errors.Unavailable("down", retry_after_s=25)
    waiting.wait_s(error)
    waiting.succeeded()
    waiting.wait_s(error)
    waiting.wait_s(error)
    with pytest.raises(errors.Unavailable):
        waiting.wait_s(error)


@pytest.mark.parametrize(
    ("error", "cut"),
    [
        (errors.Unavailable("Socket closed"), True),
        (errors.Unavailable("draining", reason="DRAINING"), True),
        (errors.ServiceFault("RST_STREAM", code=grpc.StatusCode.INTERNAL), True),
        (errors.ServiceFault("a bug", code=grpc.StatusCode.INTERNAL, reason="INTERNAL"), False),
        (errors.CallCancelled("by a proxy"), True),
        (errors.NotFound("no job"), False),
        (errors.ResourceExhausted("too many watchers", retry_after_s=1), True),
        (errors.ResourceExhausted("too large"), False),
    ],
)
def test_a_cut_is_told_from_a_refusal(error: errors.SonichaosError, *, cut: bool) -> None:
    """Only what another try may mend is tried again."""
    assert is_cut(error) is cut
