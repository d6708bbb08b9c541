"""The receiver's check of a signature."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from servicekit.webhooks.signature import HEADER, sign
from sonichaos_client import InvalidSignatureError, verify_signature
from sonichaos_client.webhooks import SIGNATURE_HEADER

BODY, SECRET = b'{"id": "wd-1"}', "whsec_" + "a" * 43
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SIGNED = sign(BODY, SECRET, int(NOW.timestamp()))
T, V1 = SIGNED.split(",")


def test_what_the_service_signs_is_accepted_within_the_tolerance() -> None:
    """Both ways: the receiver's clock may be behind. An unknown part, and a signature by an earlier secret, change nothing."""
    assert SIGNATURE_HEADER == HEADER
    for header in (SIGNED, f"{T}, {V1}", f"{T},v1={'0' * 64},{V1}", f"{SIGNED},v2=x"):
        verify_signature(BODY, header, SECRET, now=NOW)
    for age in (timedelta(minutes=5), timedelta(minutes=-5)):
        verify_signature(BODY, SIGNED, SECRET, now=NOW + age)
    verify_signature(BODY, SIGNED, SECRET, timedelta(hours=1), now=NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        T,
        V1,
        f"t=-1,{V1}",
        f"t=1e9,{V1}",
        f"t=,{V1}",
        f"{T},{T},{V1}",
        f"{T},v1={V1[3:-1]}",
        f"{T},v1={V1[3:].upper()}",
    ],
)
def test_a_header_that_is_no_signature_is_refused(header: str) -> None:
    """The message shows the form."""
    with pytest.raises(InvalidSignatureError, match="must be like t="):
        verify_signature(BODY, header, SECRET, now=NOW)


def test_another_body_secret_or_time_is_refused() -> None:
    """The time is signed too, so an old request cannot be given a new one."""
    later = f"t={int(NOW.timestamp()) + 1},{V1}"
    for body, header, secret in (
        (BODY + b" ", SIGNED, SECRET),
        (BODY, SIGNED, SECRET[:-1] + "b"),
        (BODY, later, SECRET),
        (BODY, f"{T},v1={'0' * 64}", SECRET),
    ):
        with pytest.raises(InvalidSignatureError, match="not that of this body"):
            verify_signature(body, header, secret, now=NOW)


def test_an_old_request_is_refused() -> None:
    """And one from the future."""
    for age in (timedelta(minutes=5, seconds=1), timedelta(minutes=-5, seconds=-1)):
        with pytest.raises(InvalidSignatureError, match="at most 300 s are allowed"):
            verify_signature(BODY, SIGNED, SECRET, now=NOW + age)


def test_an_empty_secret_is_refused() -> None:
    """As of a variable that is not set: anyone could sign with it."""
    with pytest.raises(ValueError, match="must be the secret of the webhook"):
        verify_signature(BODY, sign(BODY, "", int(NOW.timestamp())), "", now=NOW)
