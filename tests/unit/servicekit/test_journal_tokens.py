"""Page tokens and cursors: valid for their context alone, and they show nothing of what they hold."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from servicekit.errors import InvalidToken
from servicekit.journal.tokens import Sealer

KEY = b"k" * 32


def test_a_token_opens_in_its_own_context_only() -> None:
    """Another tenant, another purpose and another key are refused."""
    token = Sealer(KEY).seal([7, "x"], "feed", "a")
    assert Sealer(KEY).open(token, "feed", "a") == [7, "x"]
    for sealer, bound in (
        (Sealer(KEY), ("feed", "b")),
        (Sealer(KEY), ("jobs", "a")),
        (Sealer(b"x" * 32), ("feed", "a")),
    ):
        with pytest.raises(InvalidToken):
            sealer.open(token, *bound)


@pytest.mark.parametrize("text", ["", "A", "AAAA", "A" * 22, "A" * 600, "not base64!", "ä"])
def test_other_text_is_refused(text: str) -> None:
    """Too short, too long, or no base64."""
    with pytest.raises(InvalidToken):
        Sealer(KEY).open(text, "feed", "a")


def test_a_flipped_bit_is_refused() -> None:
    """Wherever it is."""
    raw = base64.urlsafe_b64decode(Sealer(KEY).seal(123456, "feed", "a") + "==")
    for index in range(len(raw)):
        other = bytearray(raw)
        other[index] ^= 1
        with pytest.raises(InvalidToken):
            Sealer(KEY).open(base64.urlsafe_b64encode(other).rstrip(b"=").decode(), "feed", "a")


def test_a_cursor_does_not_show_its_position() -> None:
    """Two positions in a row have nothing in common but their length."""
    first, second = (base64.urlsafe_b64decode(Sealer(KEY).seal(n, "feed", "a") + "==") for n in (123456, 123457))
    assert b"12345" not in first
    assert first[16:] != second[16:]
    assert len(first) == len(second)


def test_a_cursor_of_release_0_1_still_opens() -> None:
    """Its payload was authentic but not encrypted; callers store cursors for months."""
    data = b"123456"
    tag = hmac.digest(KEY, b'["feed","a"]' + b"\0" + data, hashlib.sha256)[:16]
    token = base64.urlsafe_b64encode(tag + data).rstrip(b"=").decode()
    assert Sealer(KEY).open(token, "feed", "a") == 123456
    with pytest.raises(InvalidToken):
        Sealer(KEY).open(token, "feed", "b")
