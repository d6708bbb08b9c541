"""What errors of the journal show of its database: nothing that callers must not know, and enough for operators."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from servicekit.errors import Unavailable, cause_of
from servicekit.journal import Journal
from tests.support.manual_clock import ManualClock

PASSWORD = "s3cret-word"
CLOCK = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize("url", [f"postgres://u:{PASSWORD}@db/x", f"mysql://u:{PASSWORD}@db/x", f"u:{PASSWORD}@db/x"])
def test_a_wrong_url_is_not_shown(url: str) -> None:
    """It was printed with its password, into the log of the container; postgres:// is a common mistake."""
    with pytest.raises(ValueError, match="the journal URL must be") as refused:
        Journal.open(url, clock=CLOCK)
    assert PASSWORD not in str(refused.value)


def test_callers_do_not_read_where_the_database_is() -> None:
    """Anyone who sent a made-up API key during an outage read its address and user. The cause, for the log, has the address."""
    with pytest.raises(Unavailable) as refused:
        Journal.open("postgresql://someone@127.0.0.1:1/studio", clock=CLOCK)
    assert refused.value.message == "the journal does not answer (no connection to its database); retry"
    assert "127.0.0.1" in cause_of(refused.value)
