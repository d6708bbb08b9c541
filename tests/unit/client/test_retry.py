"""Backoff between retries."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import Any

import grpc
import pytest

from sonichaos_client import errors
from sonichaos_client.options import service_config
from sonichaos_client.retry import ALWAYS_RESUMABLE, RESUMABLE_WITHOUT_REASON, Backoff, RetryPolicy, is_retryable

ROOT = Path(__file__).resolve().parents[3]
POLICY = RetryPolicy(initial_backoff_s=1, max_backoff_s=8, max_elapsed_s=40)


def backoff() -> Backoff:
    """A backoff with a fixed seed."""
    return Backoff(POLICY, random.Random(5))  # noqa: S311


def test_waits_double_up_to_the_maximum_with_jitter() -> None:
    """Each wait is between half and all of 1, 2, 4, 8, 8 seconds."""
    waiting = backoff()
    waits = [waiting.next_wait_s(errors.UnavailableError("down")) for _ in range(5)]
    for wait, most in zip(waits, (1, 2, 4, 8, 8), strict=True):
        assert most / 2 <= wait <= most


def test_the_service_may_request_a_longer_wait() -> None:
    """A wait is never shorter than the delay in RetryInfo."""
    assert backoff().next_wait_s(errors.UnavailableError("down", retry_after_s=25)) == 25


def test_max_elapsed_s_limits_the_wait_and_progress_resets_it() -> None:
    """The total wait without progress is limited; progress resets it."""
    waiting = backoff()
    error = errors.UnavailableError("down", retry_after_s=25)
    waiting.next_wait_s(error)
    waiting.reset()
    waiting.next_wait_s(error)
    waiting.next_wait_s(error)
    with pytest.raises(errors.UnavailableError):
        waiting.next_wait_s(error)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_attempts": 0}, "max_attempts must be between 1 and 5, got 0."),
        ({"max_attempts": 6}, "max_attempts must be between 1 and 5, got 6."),
        ({"initial_backoff_s": 0.0}, "initial_backoff_s must be at least 0.001"),
        ({"initial_backoff_s": 9.0}, "at most max_backoff_s, which must be finite, got 9.0 and 5.0."),
        ({"max_backoff_s": math.inf}, "which must be finite, got 0.2 and inf."),
        ({"max_backoff_s": math.nan}, "which must be finite, got 0.2 and nan."),
        ({"max_elapsed_s": -1.0}, "max_elapsed_s must be 0 or more, got -1.0."),
        ({"max_elapsed_s": math.nan}, "max_elapsed_s must be 0 or more, got nan."),
    ],
)
def test_a_policy_that_cannot_be_followed_is_rejected(values: dict[str, Any], message: str) -> None:
    """With the bounds, where it is made."""
    with pytest.raises(ValueError, match=re.escape(message)):
        RetryPolicy(**values)


def test_grpc_repeats_what_reads_or_has_a_request_id() -> None:
    """The service config has the policy's waits, and no method whose second answer would be another."""
    (entry,) = service_config(POLICY)["methodConfig"]
    assert entry["retryPolicy"] == {
        "maxAttempts": 5,
        "initialBackoff": "1.000s",
        "maxBackoff": "8.000s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    named = {one["method"] for one in entry["name"]}
    assert {"GetJob", "CreateRender", "RerenderStem", "DeleteVersion"} <= named
    assert not named & {"CancelJob", "DeleteJob", "EraseJob", "AddStems", "RetryVersion", "CreatePersona", "Drain"}
    assert service_config(RetryPolicy(max_attempts=1)) == {}


def test_a_repeated_call_spans_an_attempt_to_connect() -> None:
    """Whatever the policy: waits between attempts to connect are below half of a call's waits in all."""
    assert RetryPolicy().max_reconnect_backoff_s == pytest.approx((0.2 + 0.4 + 0.8 + 1.6) / 2)
    assert RetryPolicy(max_attempts=2).max_reconnect_backoff_s == pytest.approx(0.1)
    assert RetryPolicy(max_attempts=1).max_reconnect_backoff_s == 5.0
    assert RetryPolicy(initial_backoff_s=2.0).max_reconnect_backoff_s == 5.0


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
def test_which_errors_are_retryable(error: errors.SonichaosError, *, cut: bool) -> None:
    """Only errors that a retry may fix are retried."""
    assert is_retryable(error) is cut


def test_all_clients_and_the_docs_have_one_list_of_resumable_codes() -> None:
    """The TypeScript client's sets and the sentence in docs/errors.md name the same codes."""
    source = (ROOT / "clients" / "typescript" / "src" / "watch_job.ts").read_text(encoding="utf-8")
    for name, codes in (("ALWAYS_RESUMABLE", ALWAYS_RESUMABLE), ("RESUMABLE_WITHOUT_REASON", RESUMABLE_WITHOUT_REASON)):
        listed = re.search(rf"const {name}.*new Set\(\[(.*?)\]\)", source)
        assert listed is not None
        named = {code.removeprefix("Code.").upper() for code in listed[1].split(", ")}
        assert {"CANCELLED" if code == "CANCELED" else code for code in named} == {code.name for code in codes}
    page = " ".join((ROOT / "docs" / "errors.md").read_text(encoding="utf-8").split())
    sentence = re.search(r"with UNAVAILABLE, or without a reason and with ([A-Z, or]+):", page)
    assert sentence is not None
    assert set(re.findall(r"[A-Z]{3,}", sentence[1])) == {code.name for code in RESUMABLE_WITHOUT_REASON}
