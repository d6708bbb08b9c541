"""API keys: their text, how long an answer of the journal counts, what an outage changes, and when their use is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from servicekit.access.api_key import ApiKey, KeyText, is_key_id, new_key_text, parse_key_text
from servicekit.access.api_keys import ApiKeyIdentifier
from servicekit.access.caller import Caller, CallFacts, IdentityMethod, Scope
from servicekit.errors import Unauthenticated, Unavailable
from tests.support.manual_clock import ManualClock

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Records:
    """Keys in memory. ``down`` refuses, ``hangs`` does not answer at all; ``lookups`` and ``touched`` are what was asked."""

    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.lookups: list[str] = []
        self.touched: list[dict[str, datetime]] = []
        self.down = False
        self.hangs = False
        self.touch = asyncio.Event()

    async def find(self, key_id: str) -> ApiKey | None:
        """See `ApiKeys`."""
        self.lookups.append(key_id)
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if self.down:
            raise Unavailable("the journal does not answer", reason="STORE_UNAVAILABLE")
        return self.keys.get(key_id)

    async def touch_all(self, last_used: Mapping[str, datetime]) -> None:
        """Record the times."""
        self.touched.append(dict(last_used))
        self.touch.set()

    def add(self, **changes: object) -> KeyText:
        """A new key of tenant a."""
        text = new_key_text()
        values: dict[str, object] = {
            "key_id": text.key_id,
            "secret_sha256": text.secret_sha256,
            "tenant": "a",
            "name": "",
            "scopes": frozenset({Scope.READ}),
            "create_time": START,
            **changes,
        }
        self.keys[text.key_id] = ApiKey(**values)  # type: ignore[arg-type]
        return text


class Keys:
    """`Records` as `ApiKeys`."""

    def __init__(self, records: Records) -> None:
        self.find = records.find
        self.touch = records.touch_all


@pytest.fixture
def clock() -> ManualClock:
    """The test's clock."""
    return ManualClock(START)


@pytest.fixture
def records() -> Records:
    """No keys."""
    return Records()


@pytest.fixture
def identifier(records: Records, clock: ManualClock) -> ApiKeyIdentifier:
    """Waits for a journal that hangs for a moment only."""
    return ApiKeyIdentifier(Keys(records), clock, patience_s=0.01, touch_delay_s=0.0)


def call(text: str) -> CallFacts:
    """A call with a key."""
    return CallFacts(method="/x/Y", peer="ipv4:10.0.0.7:1", authorization=(f"Bearer {text}",))


async def identified(identifier: ApiKeyIdentifier, text: KeyText) -> Caller:
    """The caller, who must be identified."""
    caller = await identifier.identify(call(text.text))
    assert caller is not None
    return caller


async def refusal(identifier: ApiKeyIdentifier, text: str) -> tuple[str, str]:
    """Reason and message."""
    with pytest.raises(Unauthenticated) as refused:
        await identifier.identify(call(text))
    return refused.value.reason, refused.value.message


def test_the_text_of_a_key_has_an_id_and_256_random_bits() -> None:
    """And is read back; the representation of its parts does not show the secret."""
    text = new_key_text(lambda size: bytes(range(size)))
    assert text.text == "sonichaos_aaaqeayeauda_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert parse_key_text(text.text) == text
    assert len(text.secret) == 32
    assert is_key_id(text.key_id)
    assert repr(text) == "KeyText(key_id='aaaqeayeauda')"
    assert len({new_key_text().text for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "=",
        lambda text: text.upper(),
        lambda text: text.replace("sonichaos_", "sonichaos-"),
        lambda text: text + "\n",
        lambda text: text[:12] + text[13:],
        lambda text: text[:-1] + "9",  # the same bytes, with a spare bit set
    ],
)
def test_nothing_else_is_a_key(change: object) -> None:
    """Truncated, longer, padded, in capitals, with a line end, or another spelling of the same bytes."""
    assert callable(change)
    text = new_key_text(lambda size: bytes(range(size))).text
    assert parse_key_text(change(text)) is None


async def test_a_key_is_a_tenant_with_scopes_and_limits(records: Records, identifier: ApiKeyIdentifier) -> None:
    """The subject is the id, which is no secret."""
    end = START + timedelta(days=90)
    text = records.add(scopes=frozenset({Scope.READ, Scope.RENDER}), limits={"waiting_jobs": 10}, expire_time=end)
    caller = await identified(identifier, text)
    assert (caller.tenant, caller.subject, caller.method) == ("a", text.key_id, IdentityMethod.API_KEY)
    assert (caller.scopes, caller.limit_overrides) == ({Scope.READ, Scope.RENDER}, {"waiting_jobs": 10})
    assert caller.expires_at == end


async def test_other_credentials_are_left_to_others(identifier: ApiKeyIdentifier) -> None:
    """A JWT, another scheme, no credential, two of them."""
    for authorization in (
        ("Bearer eyJ.a.b",),
        ("Basic sonichaos_a",),
        (),
        ("Bearer sonichaos_a", "Bearer sonichaos_b"),
    ):
        facts = CallFacts(method="/x/Y", peer="ipv4:10.0.0.7:1", authorization=authorization)
        assert await identifier.identify(facts) is None


async def test_wrong_and_unknown_keys_look_alike(records: Records, identifier: ApiKeyIdentifier) -> None:
    """Nobody learns which ids exist, and no message shows the key."""
    text = records.add()
    wrong = KeyText(text.key_id, bytes([text.secret[0] ^ 1]) + text.secret[1:])
    unknown = KeyText(new_key_text().key_id, text.secret)
    for key in (wrong, unknown):
        refused = await refusal(identifier, key.text)
        assert refused == ("CREDENTIALS_INVALID", f"the API key {key.key_id} is not valid")
    reason, message = await refusal(identifier, text.text[:-1])
    assert reason == "CREDENTIALS_INVALID"
    assert "malformed" in message
    assert text.text[:-1] not in message


async def test_a_revoked_key_is_refused_after_five_seconds(
    records: Records, identifier: ApiKeyIdentifier, clock: ManualClock
) -> None:
    """The answer of the journal counts that long; running calls are checked with a new one."""
    text = records.add()
    caller = await identified(identifier, text)
    records.keys[text.key_id] = ApiKey(**{**vars(records.keys[text.key_id]), "revoke_time": START})
    clock.advance(4.9)
    assert (await identified(identifier, text)).tenant == "a"
    clock.advance(0.1)
    assert (await refusal(identifier, text.text))[0] == "CREDENTIALS_INVALID"
    assert len(records.lookups) == 2
    assert not await identifier.is_valid(caller)


async def test_an_expired_key_is_refused_at_once(
    records: Records, identifier: ApiKeyIdentifier, clock: ManualClock
) -> None:
    """By the journal's time of day, whatever is remembered of it."""
    text = records.add(expire_time=START + timedelta(seconds=2))
    caller = await identified(identifier, text)
    clock.advance(2.0)
    assert (await refusal(identifier, text.text))[0] == "CREDENTIALS_EXPIRED"
    assert not await identifier.is_valid(caller)


async def test_a_replaced_key_works_until_it_expires(
    records: Records, identifier: ApiKeyIdentifier, clock: ManualClock
) -> None:
    """That is the overlap of a rotation."""
    text = records.add(replaced_by="other", expire_time=START + timedelta(hours=24))
    assert await identifier.is_valid(await identified(identifier, text))
    clock.advance(24 * 3600.0)
    assert (await refusal(identifier, text.text))[0] == "CREDENTIALS_EXPIRED"


async def test_calls_at_once_share_a_lookup(records: Records, identifier: ApiKeyIdentifier) -> None:
    """Fifty calls with one key cost one; made-up ids cost one each."""
    text = records.add()
    await asyncio.gather(*[identified(identifier, text) for _ in range(50)])
    assert len(records.lookups) == 1


async def test_a_new_key_works_after_a_try_too_early(
    records: Records, identifier: ApiKeyIdentifier, clock: ManualClock
) -> None:
    """That a key is unknown is remembered for five seconds as well."""
    text = records.add()
    key = records.keys.pop(text.key_id)
    for _ in range(3):
        await refusal(identifier, text.text)
    assert len(records.lookups) == 1
    records.keys[text.key_id] = key
    clock.advance(5.0)
    assert (await identified(identifier, text)).tenant == "a"


async def test_made_up_ids_do_not_push_out_real_keys(records: Records, identifier: ApiKeyIdentifier) -> None:
    """What is remembered of unknown keys is bounded and has its own place."""
    text = records.add()
    await identified(identifier, text)
    for _ in range(1500):
        await refusal(identifier, new_key_text().text)
    asked = len(records.lookups)
    await identified(identifier, text)
    assert len(records.lookups) == asked


@pytest.mark.parametrize("outage", ["down", "hangs"])
async def test_a_known_key_works_for_a_minute_of_an_outage(
    records: Records, identifier: ApiKeyIdentifier, clock: ManualClock, outage: str
) -> None:
    """Then it is UNAVAILABLE: nobody can say whether it was revoked. An unknown key is UNAVAILABLE at once."""
    text, other = records.add(), records.add()
    caller = await identified(identifier, text)
    setattr(records, outage, True)
    clock.advance(59.0)
    assert (await identified(identifier, text)).tenant == "a"
    assert await identifier.is_valid(caller)
    records.hangs, records.down = False, True
    clock.advance(1.0)
    if outage == "down":
        for asked in (text, other):
            with pytest.raises(Unavailable):
                await identifier.identify(call(asked.text))


async def test_a_cancelled_call_does_not_cancel_the_lookup_of_others(
    records: Records, identifier: ApiKeyIdentifier
) -> None:
    """Two calls with one key, of which the first hangs up."""
    text = records.add()
    first = asyncio.create_task(identifier.identify(call(text.text)))
    second = asyncio.create_task(identifier.identify(call(text.text)))
    await asyncio.sleep(0)
    first.cancel()
    caller = await second
    assert caller is not None
    assert len(records.lookups) == 1


async def test_the_last_use_is_recorded_once_a_minute(records: Records, clock: ManualClock) -> None:
    """For all keys together, and what waits when the service stops is written then."""
    one, two = records.add(), records.add()
    async with ApiKeyIdentifier(Keys(records), clock, touch_delay_s=0.01) as identifier:
        for text in (one, two, one, one):
            await identified(identifier, text)
        await asyncio.wait_for(records.touch.wait(), 10.0)
        assert records.touched == [{one.key_id: START, two.key_id: START}]
        clock.advance(59.0)
        await identified(identifier, one)
        clock.advance(1.0)
        await identified(identifier, one)
    assert records.touched[1:] == [{one.key_id: START + timedelta(seconds=60)}]


async def test_a_refused_key_is_not_used(records: Records, clock: ManualClock) -> None:
    """Its time of last use stays."""
    text = records.add(revoke_time=START)
    async with ApiKeyIdentifier(Keys(records), clock) as identifier:
        await refusal(identifier, text.text)
    assert records.touched == []


async def test_an_expired_key_ends_its_calls_while_the_journal_is_down(
    records: Records, identifier: ApiKeyIdentifier, clock: ManualClock
) -> None:
    """Its expiry is known without the journal."""
    caller = await identified(identifier, records.add(expire_time=START + timedelta(hours=1)))
    records.down = True
    clock.advance(3600.0)
    assert not await identifier.is_valid(caller)
