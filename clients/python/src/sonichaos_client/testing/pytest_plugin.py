"""Pytest plugin: the fixture ``sonichaos_fake``, fake services for one test (docs/fake.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sonichaos_client.testing.fake import FakeSonichaos

_MARKER = "sonichaos_fake"
_SPEED = 20.0
"""A take with stems takes 0.1 s."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(speed={_SPEED:g}, manual_clock=False, api_keys=(), script={{}}): how the fixture {_MARKER} runs its services",
    )


@pytest.fixture
def sonichaos_fake(request: pytest.FixtureRequest) -> Iterator[FakeSonichaos]:
    """Fake services on free ports, empty at the start of each test. The marker of the same name sets their options."""
    from sonichaos_client.testing.fake import ANY_PORT, FakeOptions, parse_script, start_fake

    marker = request.node.get_closest_marker(_MARKER)
    given = dict(marker.kwargs) if marker is not None else {}
    manual, speed = given.pop("manual_clock", False), given.pop("speed", _SPEED)
    options = FakeOptions(
        render_listen=ANY_PORT,
        separation_listen=ANY_PORT,
        url_listen=ANY_PORT,
        speed=0.0 if manual else speed,
        api_keys=given.pop("api_keys", ()),
        script=parse_script(given.pop("script", {})),
    )
    if given or (marker is not None and marker.args):
        raise pytest.UsageError(
            f"the marker {_MARKER} takes speed, manual_clock, api_keys and script by name, got {[*given, *marker.args]}."
        )
    with start_fake(options) as fake:
        yield fake
