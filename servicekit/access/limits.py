"""Limits of tenants: their values, where they come from, and the refusal when one is reached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Self

from servicekit.access.caller import LOCAL_TENANT, Caller, Scope, current_caller
from servicekit.errors import ResourceExhausted
from servicekit.host_settings import HostSettings

_ADVICE = {
    "waiting_jobs": "wait until some are done, or cancel some, then retry",
    "running_jobs": "wait until one is done",
    "audio_seconds_per_day": "retry after midnight UTC, or ask for less audio",
    "requests_per_second": "send fewer calls a second, and retry this one after a moment",
    "upload_bytes_per_day": "retry after midnight UTC",
    "open_streams": "close a watch or wait for an upload or a download, then retry",
}


@dataclass(frozen=True, kw_only=True)
class TenantLimits:
    """What a tenant may use. 0 is no limit.

    ``waiting_jobs`` and ``running_jobs`` are versions of both services together. Days are those of UTC. Requests and streams are
    counted by each service process for itself; ``open_streams`` are watches, downloads and calls that send a stream.
    """

    waiting_jobs: int = 0
    running_jobs: int = 0
    audio_seconds_per_day: float = 0.0
    requests_per_second: float = 0.0
    upload_bytes_per_day: int = 0
    open_streams: int = 0

    def with_overrides(self, overrides: Mapping[str, float]) -> Self:
        """These limits, those replaced that ``overrides`` names. Names that no limit has are ignored."""
        if not overrides:
            return self
        known = {
            field.name: overrides[field.name] if field.type == "float" else int(overrides[field.name])
            for field in fields(self)
            if field.name in overrides
        }
        return replace(self, **known)  # type: ignore[arg-type]  # a float is for a float, an int for an int


UNLIMITED = TenantLimits()
LIMIT_NAMES = tuple(field.name for field in fields(TenantLimits))


def check_overrides(overrides: Mapping[str, float]) -> None:
    """Raise ValueError for a name that no limit has, and for a number below 0 or without end."""
    for name, value in overrides.items():
        if name not in LIMIT_NAMES:
            raise ValueError(f"a limit must be one of {', '.join(LIMIT_NAMES)}, got {name!r}")
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"the limit {name} must be 0 (none) or a positive number, got {value}")


@dataclass(frozen=True)
class LimitPolicy:
    """Gives each caller its limits: ``defaults``, and what its credential overrides.

    The defaults are not for the tenant ``local``, nor for the other service.
    """

    defaults: TenantLimits = UNLIMITED

    @classmethod
    def of_settings(cls, settings: HostSettings) -> Self:
        """The defaults that the operator has set."""
        return cls(TenantLimits(**{name: getattr(settings, f"limit_{name}") for name in LIMIT_NAMES}))

    def of(self, caller: Caller) -> TenantLimits:
        """The limits of a caller."""
        trusted = caller.tenant == LOCAL_TENANT or Scope.PEER in caller.scopes
        defaults = UNLIMITED if trusted else self.defaults
        return defaults.with_overrides(caller.limit_overrides)


def limits_of_current_caller(policy: LimitPolicy | None) -> TenantLimits:
    """The limits of the call that runs; none without a policy."""
    return UNLIMITED if policy is None else policy.of(current_caller())


def seconds_until_midnight(now: datetime) -> float:
    """Seconds until the next midnight UTC, from which on the limits of a day count anew. ``now`` is UTC."""
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - now).total_seconds()


def limit_reached(limit: str, *, allowed: float, used: float, retry_after_s: float | None) -> ResourceExhausted:
    """The refusal of a call for which ``limit`` leaves no room. ``retry_after_s`` None: it never will."""
    shown = {"limit": limit, "allowed": f"{allowed:.12g}", "used": f"{round(used, 2):.12g}"}
    advice = _ADVICE[limit] if retry_after_s is not None else "ask for less audio"
    return ResourceExhausted(
        f"the tenant's limit {limit} is {shown['allowed']}, and {shown['used']} would be used; {advice}",
        reason="TENANT_LIMIT",
        metadata=shown,
        retry_after_s=retry_after_s,
    )
