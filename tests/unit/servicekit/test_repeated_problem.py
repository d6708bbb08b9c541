"""An outage in the log: its begin, lines in between, its end."""

from __future__ import annotations

from structlog.testing import capture_logs

from servicekit.errors import ResourceExhausted, ServiceError, Unavailable
from servicekit.repeated_problem import RepeatedProblem

DOWN = Unavailable("down", reason="STORE_UNAVAILABLE", retry_after_s=1.0)
FULL = ResourceExhausted("full", reason="DISK_FULL")


def test_an_outage_is_a_few_lines() -> None:
    """Two minutes of four failures a second: the first of each reason, one line a minute, and the end with all of them."""
    time_s = [0.0]
    problem = RepeatedProblem("reading", interval_s=60.0, monotonic_s=lambda: time_s[0])
    problem.over()

    def fail(error: ServiceError) -> None:
        problem.occurred(error)
        time_s[0] += 0.25

    with capture_logs() as lines:
        for number in range(480):
            fail(FULL if number == 8 else DOWN)
        problem.over()
        problem.over()
        fail(DOWN)
    found = [(line["event"], line.get("message"), line.get("times")) for line in lines]
    assert found == [
        ("reading failed, will retry", "down", None),
        ("reading failed, will retry", "full", None),
        ("reading still fails", "down", 249),
        ("reading works again", None, 480),
        ("reading failed, will retry", "down", None),
    ]
