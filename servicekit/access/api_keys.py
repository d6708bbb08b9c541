"""Identifies callers by API keys."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from servicekit.access.api_key import PREFIX, ApiKey, ApiKeys, ApiKeyState, parse_key_text
from servicekit.access.caller import Caller, CallFacts, IdentityMethod
from servicekit.clock import Clock
from servicekit.errors import ServiceError, Unauthenticated
from servicekit.repeated_problem import RepeatedProblem

_FRESH_S = 5.0
_OUTAGE_S = 60.0
_PATIENCE_S = 1.0
_MAX_KNOWN = 10_000
_MAX_UNKNOWN = 1_000
_TOUCH_INTERVAL_S = 60.0
_TOUCH_DELAY_S = 1.0
_NO_SECRET = hashlib.sha256(b"").hexdigest()
"""Compared with where there is no key of that id, so that an unknown id costs as much as a wrong secret."""


@dataclass(frozen=True)
class _Found:
    """What the journal had for a key id (None: no such key), and when, in seconds that never jump."""

    key: ApiKey | None
    at_s: float


class ApiKeyIdentifier:
    """Callers by the keys of the journal.

    All times are in seconds. A key is looked up again after ``fresh_s``, so a revocation counts after that time, and whenever a
    running call is checked. While the journal does not answer, a key that it had at most ``outage_s`` ago still counts, and calls
    with it wait ``patience_s`` for the journal. The time of a key's last use is recorded once in ``touch_interval_s``, for all keys
    together, ``touch_delay_s`` after a call. Used by one event loop, in a block of ``async with``.
    """

    def __init__(
        self,
        keys: ApiKeys,
        clock: Clock,
        *,
        fresh_s: float = _FRESH_S,
        outage_s: float = _OUTAGE_S,
        patience_s: float = _PATIENCE_S,
        touch_interval_s: float = _TOUCH_INTERVAL_S,
        touch_delay_s: float = _TOUCH_DELAY_S,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._fresh_s = fresh_s
        self._outage_s = outage_s
        self._patience_s = patience_s
        self._known: OrderedDict[str, _Found] = OrderedDict()
        self._unknown: OrderedDict[str, _Found] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[_Found]] = {}
        self._last_used = _LastUsed(keys, clock, interval_s=touch_interval_s, delay_s=touch_delay_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lookup in self._lookups.values():
            lookup.cancel()
        await self._last_used.close()

    async def identify(self, call: CallFacts) -> Caller | None:
        """See `servicekit.access.caller.Identifier`. Raises Unavailable where the journal cannot tell."""
        token = call.bearer_token
        if token is None or not token.startswith(PREFIX):
            return None
        text = parse_key_text(token)
        if text is None:
            raise _invalid("the API key is malformed; check that it was copied whole")
        key = await self._find(text.key_id, self._fresh_s)
        expected = key.secret_sha256 if key is not None else _NO_SECRET
        matches = hmac.compare_digest(expected, text.secret_sha256)
        if key is None or not matches:
            raise _invalid(f"the API key {text.key_id} is not valid")
        state = key.state(self._clock.now())
        if state is ApiKeyState.REVOKED:
            raise _invalid(f"the API key {text.key_id} was revoked; use another")
        if state is ApiKeyState.EXPIRED:
            raise Unauthenticated(f"the API key {text.key_id} expired; use another", reason="CREDENTIALS_EXPIRED")
        self._last_used.record(key.key_id)
        return Caller(
            tenant=key.tenant,
            subject=key.key_id,
            method=IdentityMethod.API_KEY,
            scopes=key.scopes,
            limit_overrides=key.limits,
            expires_at=key.expire_time,
        )

    async def is_valid(self, caller: Caller) -> bool:
        """Whether the caller's key is neither revoked nor expired. Raises Unavailable where the journal cannot tell."""
        if caller.method is not IdentityMethod.API_KEY:
            return True
        if caller.expires_at is not None and caller.expires_at <= self._clock.now():
            return False  # also while the journal does not answer
        key = await self._find(caller.subject, fresh_s=0.0)
        return key is not None and key.state(self._clock.now()) in {ApiKeyState.ACTIVE, ApiKeyState.REPLACED}

    async def _find(self, key_id: str, fresh_s: float) -> ApiKey | None:
        """The key as it was ``fresh_s`` ago at most or, while the journal does not answer, ``outage_s`` ago."""
        known = self._known.get(key_id) or self._unknown.get(key_id)
        age_s = self._clock.monotonic_s() - known.at_s if known is not None else 0.0
        if known is not None and age_s < fresh_s:
            return known.key
        usable = known is not None and known.key is not None and age_s < self._outage_s
        lookup = self._lookup(key_id)
        if known is not None and usable:
            await asyncio.wait({lookup}, timeout=self._patience_s)
            return lookup.result().key if lookup.done() and lookup.exception() is None else known.key
        return (await asyncio.shield(lookup)).key

    def _lookup(self, key_id: str) -> asyncio.Task[_Found]:
        """The running lookup of a key: calls at once with one key share it, and it goes on where one of them is cancelled."""
        running = self._lookups.get(key_id)
        if running is None:
            running = self._lookups[key_id] = asyncio.create_task(self._look_up(key_id))
            running.add_done_callback(lambda ended: self._ended(key_id, ended))
        return running

    async def _look_up(self, key_id: str) -> _Found:
        key = await self._keys.find(key_id)
        found = _Found(key, self._clock.monotonic_s())
        kept, other = (self._unknown, self._known) if key is None else (self._known, self._unknown)
        other.pop(key_id, None)
        kept[key_id] = found
        kept.move_to_end(key_id)
        while len(kept) > (_MAX_UNKNOWN if key is None else _MAX_KNOWN):
            kept.popitem(last=False)
        return found

    def _ended(self, key_id: str, ended: asyncio.Task[_Found]) -> None:
        del self._lookups[key_id]
        if not ended.cancelled():
            ended.exception()  # seen here where its calls were cancelled or went on with what they knew


class _LastUsed:
    """Records when keys were last used, some time after the calls and for all keys at once."""

    def __init__(self, keys: ApiKeys, clock: Clock, *, interval_s: float, delay_s: float) -> None:
        self._keys = keys
        self._clock = clock
        self._interval_s = interval_s
        self._delay_s = delay_s
        self._recorded: OrderedDict[str, float] = OrderedDict()
        self._waiting: dict[str, datetime] = {}
        self._writing: asyncio.Task[None] | None = None
        self._problem = RepeatedProblem("recording when API keys were last used")

    def record(self, key_id: str) -> None:
        """The key was used now."""
        now_s = self._clock.monotonic_s()
        recorded_s = self._recorded.get(key_id)
        if recorded_s is not None and now_s - recorded_s < self._interval_s:
            return
        self._recorded[key_id] = now_s
        self._recorded.move_to_end(key_id)
        while len(self._recorded) > _MAX_KNOWN:
            self._recorded.popitem(last=False)
        self._waiting[key_id] = self._clock.now()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_later())

    async def close(self) -> None:
        """Write what waits."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        await self._write()

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._delay_s)
            await self._write()

    async def _write(self) -> None:
        used: Mapping[str, datetime] = self._waiting
        if not used:
            return
        self._waiting = {}
        try:
            await self._keys.touch(used)
        except ServiceError as error:
            self._problem.occurred(error)
        else:
            self._problem.over()


def _invalid(message: str) -> Unauthenticated:
    return Unauthenticated(message, reason="CREDENTIALS_INVALID")
