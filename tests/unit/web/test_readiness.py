"""What the page shows of the services: states, times, failures without paths."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hostctl.up_report import ServiceState
from hostctl.web.readiness import Readiness
from tests.support.manual_clock import ManualClock

NAMES = ("separation_service", "render_service")
START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def of(readiness: Readiness, name: str = "render_service") -> dict[str, Any]:
    """What it says of a service."""
    services: dict[str, dict[str, Any]] = readiness.as_dict()["services"]
    assert tuple(services) == NAMES
    return services[name]


def test_a_state_has_the_time_since_which_it_holds() -> None:
    """The same state again changes nothing."""
    clock = ManualClock(START)
    readiness = Readiness(NAMES, clock.now)
    assert of(readiness) == {
        "state": "starting",
        "stage": "waits for its start",
        "since": "2026-03-04T05:06:07.000Z",
        "detail": "",
    }
    clock.advance(1.5)
    readiness.on_state("render_service", ServiceState.LOADING)
    clock.advance(1)
    readiness.on_state("render_service", ServiceState.LOADING)
    assert of(readiness)["since"] == "2026-03-04T05:06:08.500Z"
    assert of(readiness, "separation_service")["state"] == "starting"
    assert readiness.as_dict()["release"]


def test_a_crash_is_shown_until_the_service_serves_again() -> None:
    """Then its reason is gone."""
    readiness = Readiness(NAMES)
    readiness.on_state("render_service", ServiceState.RESTARTING, "was killed by SIGKILL")
    assert of(readiness)["state"] == "restarting"
    for state in (ServiceState.LOADING, ServiceState.WARMING):
        readiness.on_state("render_service", state)
        assert of(readiness)["detail"] == "was killed by SIGKILL"
    readiness.on_state("render_service", ServiceState.SERVING)
    assert of(readiness)["detail"] == ""


def test_a_failure_has_its_last_line_and_what_to_do() -> None:
    """It stays, whatever is said later; folders of paths are left out, other text is not."""
    readiness = Readiness(NAMES)
    lines = [
        "started",
        "cannot start: '/home/ann/models/best/model.json' has schema 3/4; see https://example.com/a/b\n\n",
    ]
    readiness.on_failure("render_service", "render_service exited with status 2 before it was ready", lines)
    readiness.on_state("render_service", ServiceState.ENDED)
    first, advice = of(readiness)["detail"].split("\n")
    assert of(readiness)["state"] == "failed"
    assert first == (
        "render_service exited with status 2 before it was ready: cannot start: 'model.json' has schema 3/4; see "
        "https://example.com/a/b"
    )
    assert "start it again" in advice


def test_a_failure_without_a_line() -> None:
    """And one whose line is long."""
    readiness = Readiness(NAMES)
    readiness.on_failure("render_service", "render_service was killed by SIGKILL", [])
    assert of(readiness)["detail"].startswith("render_service was killed by SIGKILL.\n")
    readiness.on_failure("separation_service", "separation_service exited with status 1", ["x" * 5000])
    assert len(of(readiness, "separation_service")["detail"]) < 500


def test_a_service_that_stops_is_stopped() -> None:
    """It takes no new work from the first moment."""
    readiness = Readiness(NAMES)
    for state, stage in ((ServiceState.STOPPING, "finishes its running jobs"), (ServiceState.ENDED, "stopped")):
        readiness.on_state("render_service", state)
        assert (of(readiness)["state"], of(readiness)["stage"]) == ("stopped", stage)
