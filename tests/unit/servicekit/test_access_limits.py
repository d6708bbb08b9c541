"""Limits of tenants: where they come from, and the counting of calls in a process."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from servicekit.access.call_limits import CallLimits
from servicekit.access.caller import LOCAL_TENANT, Caller, IdentityMethod, Scope, local_caller
from servicekit.access.limits import (
    LIMIT_NAMES,
    UNLIMITED,
    LimitPolicy,
    TenantLimits,
    check_overrides,
    seconds_until_midnight,
)
from servicekit.errors import ResourceExhausted
from servicekit.host_settings import HostSettings
from servicekit.settings import read_settings
from tests.support.manual_clock import ManualClock

GET_JOB = "/sonichaos.jobs.v1.JobsService/GetJob"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WATCH_JOB = "/sonichaos.jobs.v1.JobsService/WatchJob"
DEFAULTS = TenantLimits(
    waiting_jobs=5,
    running_jobs=2,
    audio_seconds_per_day=600,
    requests_per_second=4,
    upload_bytes_per_day=1 << 20,
    open_streams=2,
)


def caller(tenant: str = "acme", *, scopes: frozenset[Scope] = frozenset({Scope.READ}), **overrides: float) -> Caller:
    """A caller by an API key."""
    return Caller(tenant=tenant, subject="key", method=IdentityMethod.API_KEY, scopes=scopes, limit_overrides=overrides)


def test_a_key_overrides_single_limits() -> None:
    """Also with no limit, which is 0; the others stay, and numbers of things stay integers."""
    found = LimitPolicy(DEFAULTS).of(caller(waiting_jobs=7.0, open_streams=0, audio_seconds_per_day=1.5))
    assert found == TenantLimits(
        waiting_jobs=7,
        running_jobs=2,
        audio_seconds_per_day=1.5,
        requests_per_second=4,
        upload_bytes_per_day=1 << 20,
        open_streams=0,
    )
    assert isinstance(found.waiting_jobs, int)


def test_a_limit_of_a_later_release_is_ignored() -> None:
    """A key that was created by it works on."""
    assert LimitPolicy(DEFAULTS).of(caller(trees_planted=3.0)) == DEFAULTS


def test_the_operator_and_the_other_service_have_no_defaults() -> None:
    """A key for the operator's own tenant can still have limits."""
    policy = LimitPolicy(DEFAULTS)
    assert policy.of(local_caller()) == UNLIMITED
    assert policy.of(caller("pair", scopes=frozenset({Scope.PEER}))) == UNLIMITED
    assert policy.of(caller(LOCAL_TENANT, open_streams=1)) == TenantLimits(open_streams=1)


def test_every_limit_has_a_setting() -> None:
    """By its name."""
    environ = {f"SONICHAOS_LIMIT_{name.upper()}": str(number) for number, name in enumerate(LIMIT_NAMES, start=1)}
    policy = LimitPolicy.of_settings(read_settings(HostSettings, environ))
    assert [getattr(policy.defaults, name) for name in LIMIT_NAMES] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"waiting": 3.0}, "a limit must be one of waiting_jobs, .*, got 'waiting'"),
        ({"open_streams": -1.0}, r"the limit open_streams must be 0 \(none\) or a positive number, got -1"),
        ({"open_streams": float("inf")}, "got inf"),
        ({"open_streams": float("nan")}, "got nan"),
    ],
)
def test_wrong_overrides_are_refused(overrides: dict[str, float], message: str) -> None:
    """Where a key is created."""
    check_overrides(dict.fromkeys(LIMIT_NAMES, 1.0))
    with pytest.raises(ValueError, match=message):
        check_overrides(overrides)


def test_requests_are_counted_per_tenant() -> None:
    """Two seconds' worth at once, then as many as the rate gives back; another tenant's are its own."""
    clock = ManualClock(NOON)
    limits = CallLimits(LimitPolicy(DEFAULTS), clock)
    for _ in range(8):
        limits.begin(GET_JOB, caller(), is_stream=False)
    assert limits.requests(caller()) == 8
    with pytest.raises(ResourceExhausted, match=r"limit requests_per_second is 4, and 9 would be used") as caught:
        limits.begin(GET_JOB, caller(), is_stream=False)
    assert caught.value.reason == "TENANT_LIMIT"
    assert caught.value.metadata == {"limit": "requests_per_second", "allowed": "4", "used": "9"}
    assert caught.value.retry_after_s == 0.25
    limits.begin(GET_JOB, caller("other"), is_stream=False)
    clock.advance(0.25)
    limits.begin(GET_JOB, caller(), is_stream=False)
    clock.advance(3600)
    assert limits.requests(caller()) == 0


def test_a_rate_below_one_lets_one_request_through() -> None:
    """And the next after its time."""
    clock = ManualClock(NOON)
    limits = CallLimits(LimitPolicy(TenantLimits(requests_per_second=0.1)), clock)
    limits.begin(GET_JOB, caller(), is_stream=False)
    with pytest.raises(ResourceExhausted) as caught:
        limits.begin(GET_JOB, caller(), is_stream=False)
    assert caught.value.retry_after_s == pytest.approx(10)
    clock.advance(10)
    limits.begin(GET_JOB, caller(), is_stream=False)


def test_streams_are_counted_while_they_are_open() -> None:
    """A refused one is not counted, and takes no request from the rate."""
    limits = CallLimits(LimitPolicy(DEFAULTS), ManualClock(NOON))
    ends = [limits.begin(WATCH_JOB, caller(), is_stream=True) for _ in range(2)]
    with pytest.raises(ResourceExhausted, match="limit open_streams is 2, and 3 would be used; close a watch"):
        limits.begin(WATCH_JOB, caller(), is_stream=True)
    assert (limits.open_streams("acme"), limits.requests(caller())) == (2, 2)
    limits.begin(WATCH_JOB, caller("other"), is_stream=True)
    ends[0]()
    limits.begin(WATCH_JOB, caller(), is_stream=True)
    assert limits.open_streams("acme") == 2


def test_health_is_not_counted() -> None:
    """A load balancer may ask as often as it likes."""
    limits = CallLimits(LimitPolicy(TenantLimits(requests_per_second=1, open_streams=1)), ManualClock(NOON))
    for _ in range(10):
        limits.begin("/grpc.health.v1.Health/Check", caller(""), is_stream=False)
        limits.begin("/grpc.health.v1.Health/Watch", caller(""), is_stream=True)
    assert limits.open_streams("") == 0


def test_midnight_is_that_of_utc() -> None:
    """A new day begins then; the last day of a month has one too."""
    assert seconds_until_midnight(datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC)) == 30
    assert seconds_until_midnight(datetime(2026, 12, 1, tzinfo=UTC)) == 86400
