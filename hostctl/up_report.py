"""What ``sonichaos up`` shows: progress and addresses for people, or one JSON object per line for programs."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from hostctl.installation import Installation
from hostctl.service_log import parse_line
from servicekit.line_writer import LineWriter
from sonichaos_client.addresses import RENDER_ADDRESS, SEPARATION_ADDRESS

_FLUSH_S = 2.0  # for the last lines of output, which may have no reader any more
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class ServiceState(StrEnum):
    """How far a service is."""

    STARTING = "starting"
    LOADING = "loading"
    WARMING = "warming"
    SERVING = "serving"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    ENDED = "ended"
    FAILED = "failed"


_WORDS = {
    ServiceState.STARTING: "starts",
    ServiceState.LOADING: "loads its models",
    ServiceState.WARMING: "warms up",
    ServiceState.SERVING: "ready",
    ServiceState.RESTARTING: "starts again",
    ServiceState.STOPPING: "stops",
    ServiceState.ENDED: "ended",
    ServiceState.FAILED: "failed",
}
_STATE_OF_EVENT = {"listening": ServiceState.WARMING, "serving": ServiceState.SERVING}


def state_in(line: str) -> ServiceState | None:
    """The state that a line of a service's log reports; None for most lines."""
    fields = parse_line(line)
    return _STATE_OF_EVENT.get(fields["event"]) if fields.get("source") == "servicekit.serving" else None


def output_to(descriptor: int) -> LineWriter:
    """Output that cannot stop the services: no line waits for a reader that is slow, stopped or gone."""
    return LineWriter(os.dup(descriptor), on_dropped=lambda lines: f"{lines} lines were dropped")


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Both services serve."""

    installation: Installation
    renderer: str
    separator: str
    logs: str | None
    """The folder of the log files; None if the logs go to stderr."""

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        made = self.installation
        return {
            "ready": True,
            "renderAddress": made.for_callers(made.render),
            "separationAddress": made.for_callers(made.separation),
            "renderSocket": made.render_socket,
            "separationSocket": made.separation_socket,
            "urlListen": made.urls.address,
            "data": str(made.data),
            "logs": self.logs,
            "renderer": self.renderer,
            "separator": self.separator,
            "pid": os.getpid(),
            "page": made.page_address,
        }

    def example(self) -> str:
        """A command that works now, with the addresses if they are not the defaults."""
        made = self.installation
        render, separation = made.for_callers(made.render), made.for_callers(made.separation)
        is_default = (render, separation) == (RENDER_ADDRESS, SEPARATION_ADDRESS)
        addresses = "" if is_default else f" --render-address {render} --separation-address {separation}"
        return f'sonichaos render --prompt "slow dusty boom bap" --seconds 8 --out take.wav{addresses}'

    def lines(self) -> list[str]:
        """For people: an address per line."""
        made = self.installation
        services = (
            ("render_service", made.render, made.render_socket, "RENDER", self.renderer),
            ("separation_service", made.separation, made.separation_socket, "SEPARATION", self.separator),
        )
        lines = []
        for name, addresses, socket, prefix, model in services:
            lines += [f"  {name:<18}  {made.for_callers(addresses)}  {model}", f"  {'':<18}  {socket}"]
            lines += [f"  {'':<18}  {one}  (client certificates)" for one in made.for_certificates(prefix)]
        lines += [f"  {'signed URLs':<18}  {made.url_base}", f"  {'data':<18}  {made.data}"]
        return [*lines, f"  {'logs':<18}  {self.logs}"] if self.logs else lines


class Report(Protocol):
    """Shows what happens. No method waits for whoever reads."""

    def on_state(self, service: str, state: ServiceState, **details: int) -> None:
        """A service has reached a state."""

    def on_page(self, address: str) -> None:
        """The page is there, before the services are."""

    def on_ready(self, ready: Ready) -> None:
        """Both services serve."""

    def on_stopping(self) -> None:
        """A signal asked for the end."""

    def on_failure(self, message: str, last_lines: list[str], log: str | None) -> None:
        """A service ended by itself; ``last_lines`` are those of its log, ``log`` is the path of all of them."""

    def note(self, text: str) -> None:
        """Anything else, for people."""

    def tick(self) -> None:
        """Called several times a second until both services serve."""

    def flush(self) -> None:
        """Wait a moment for the readers of what was shown."""


@dataclass
class JsonReport:
    """One object per line on stdout for each change of a state, then for the addresses; errors go to stderr as well."""

    notes: LineWriter
    _results: LineWriter = field(default_factory=lambda: output_to(sys.stdout.fileno()))

    def on_state(self, service: str, state: ServiceState, **details: int) -> None:
        """Print the state."""
        self._print({"service": service, "state": state, **details})

    def on_page(self, address: str) -> None:
        """Print its address."""
        self._print({"page": address})

    def on_ready(self, ready: Ready) -> None:
        """Print the addresses."""
        self._print(ready.as_dict())

    def on_stopping(self) -> None:
        """Print it."""
        self._print({"stopping": True})

    def on_failure(self, message: str, last_lines: list[str], log: str | None) -> None:
        """Print the failure for programs, and for people."""
        self._print({"error": {"message": message, "lastLines": last_lines, "log": log}})
        self.note(failure_text(message, last_lines, log))

    def note(self, text: str) -> None:
        """Print to stderr."""
        self.notes.write(text)

    def tick(self) -> None:
        """Show nothing."""

    def flush(self) -> None:
        """Wait for both readers."""
        self._results.flush(_FLUSH_S)
        self.notes.flush(_FLUSH_S)

    def _print(self, body: dict[str, Any]) -> None:
        self._results.write(json.dumps(body, ensure_ascii=False))


@dataclass
class TextReport:
    """Live lines on stderr while the models load, if ``is_live``, then the addresses on stdout."""

    notes: LineWriter
    is_live: bool
    clock: Callable[[], float] = time.monotonic
    _results: LineWriter = field(default_factory=lambda: output_to(sys.stdout.fileno()))
    _board: dict[str, tuple[ServiceState, float, float]] = field(default_factory=dict)
    _drawn: int = 0
    _frames: itertools.cycle[str] = field(default_factory=lambda: itertools.cycle(_SPINNER))

    def on_state(self, service: str, state: ServiceState, **_details: int) -> None:
        """Show it in the service's line."""
        now_s = self.clock()
        started_s = self._board[service][1] if service in self._board else now_s
        if state is not ServiceState.ENDED:
            self._board[service] = (state, started_s, now_s)

    def on_page(self, address: str) -> None:
        """Say that it shows the same as the live lines."""
        self.note(f"The page shows how far the services are: {address}")

    def on_ready(self, ready: Ready) -> None:
        """Leave the lines as they are, and print the addresses."""
        self._draw()
        self.notes.flush(_FLUSH_S)  # stdout and stderr are one terminal
        lines = [*ready.lines(), f"Ready. Try, in another shell: {ready.example()}", "Ctrl-C stops the services."]
        if ready.installation.page_address:
            lines.append(f"The page: {ready.installation.page_address}")
        self._results.write("\n".join(lines))

    def on_stopping(self) -> None:
        """Say what is going on."""
        self.note(
            "\nStopping: running jobs finish first. Ctrl-C again stops at once; unfinished jobs continue at the next start."
        )

    def on_failure(self, message: str, last_lines: list[str], log: str | None) -> None:
        """Print what the service wrote last."""
        self._draw()
        self.note(failure_text(message, last_lines, log))

    def note(self, text: str) -> None:
        """Print to stderr."""
        self.notes.write(text)

    def tick(self) -> None:
        """Draw the lines again."""
        self._draw()

    def flush(self) -> None:
        """Wait for both readers."""
        self._results.flush(_FLUSH_S)
        self.notes.flush(_FLUSH_S)

    def _draw(self) -> None:
        if not self.is_live or not self._board:
            return
        spinner, now_s = next(self._frames), self.clock()
        lines = []
        for name, (state, started_s, changed_s) in self._board.items():
            is_serving = state is ServiceState.SERVING
            elapsed_s = (changed_s if is_serving else now_s) - started_s
            lines.append(f"\x1b[2K{'✓' if is_serving else spinner} {name:<18}  {_WORDS[state]:<16} {elapsed_s:4.0f} s")
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        self.notes.write(up + "\n".join(lines))
        self._drawn = len(lines)


def failure_text(message: str, last_lines: list[str], log: str | None) -> str:
    """A failure for people."""
    lines = [f"Error: {message}", *(f"  {part}" for line in last_lines for part in line.splitlines())]
    return "\n".join([*lines, f"All of its log: {log}"] if log else lines)
