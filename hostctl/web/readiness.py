"""How far each service is, as the page shows it before it can call one: ``GET /readiness.json``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from hostctl.up_report import ServiceState

_STAGES = {
    ServiceState.STARTING: "waits for its start",
    ServiceState.LOADING: "loads its models",
    ServiceState.WARMING: "warms up its models",
    ServiceState.SERVING: "ready",
    ServiceState.RESTARTING: "starts again after a crash",
    ServiceState.STOPPING: "finishes its running jobs",
    ServiceState.ENDED: "stopped",
    ServiceState.FAILED: "ended by itself",
}
_NAMES = {ServiceState.STOPPING: "stopped", ServiceState.ENDED: "stopped"}
"""For the page. A service that stops takes no new work."""
_BEFORE_SERVING = (ServiceState.LOADING, ServiceState.WARMING)
_PATH = re.compile(r"(?<![\w:/])/(?:[^\s/'\",:;]+/)+(?=[^\s/])")
_MAX_DETAIL = 300
_ADVICE = "'sonichaos up' shows more lines and the path of the log. Correct the cause, then start it again."


@dataclass(frozen=True, kw_only=True)
class _Service:
    state: ServiceState
    since: datetime
    detail: str = ""


class Readiness:
    """The states of the services. ``failure_shown`` is set once somebody has asked for a failure."""

    def __init__(self, services: tuple[str, ...], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._release = metadata.version("sonichaos-studio")
        self.was_asked = False
        self.failure_shown = asyncio.Event()
        self._services = {name: _Service(state=ServiceState.STARTING, since=now()) for name in services}

    def on_state(self, service: str, state: ServiceState, detail: str = "") -> None:
        """A service has reached a state. ``detail`` is what else the page shows until it serves; a failure stays until the end."""
        known = self._services[service]
        if known.state not in (state, ServiceState.FAILED):
            shown = detail or (known.detail if state in _BEFORE_SERVING else "")
            self._services[service] = _Service(state=state, since=self._now(), detail=shown)

    def on_failure(self, service: str, ended: str, last_lines: Sequence[str]) -> None:
        """A service ended by itself. The page shows its last line, without the folders of paths in it."""
        last = next((line for text in reversed(last_lines) for line in reversed(text.splitlines()) if line.strip()), "")
        shown = _PATH.sub("", last.strip())[:_MAX_DETAIL]
        detail = f"{ended}: {shown}" if shown else f"{ended}."
        self.on_state(service, ServiceState.FAILED, f"{detail}\n{_ADVICE}")

    def as_dict(self) -> dict[str, Any]:
        """For the page."""
        self.was_asked = True
        if any(one.state is ServiceState.FAILED for one in self._services.values()):
            self.failure_shown.set()
        return {
            "release": self._release,
            "services": {
                name: {
                    "state": _NAMES.get(one.state, str(one.state)),
                    "stage": _STAGES[one.state],
                    "since": one.since.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "detail": one.detail,
                }
                for name, one in self._services.items()
            },
        }
