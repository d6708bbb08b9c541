"""What every test of the house shares: a named report of what could not run."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

# As `sonichaos up` does for the services; read by OpenMP when torch is loaded, here and in every process that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell starts what it leaves in the background without an ear for Ctrl-C, and every process that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
_MISSING = "needs "


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List by name what did not run because something of the system is missing. In CI that is a failure (see below)."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("not run")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """In CI the Debian packages of apt.txt are there: a test that says it needs one of them fails instead of being skipped."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(_MISSING + "Debian package"):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {reason}, and CI must have it"


def require_debian(package: str, program: str) -> None:
    """Skip by name where ``program`` of a Debian package is missing."""
    if shutil.which(program) is None and not Path(program).exists():
        pytest.skip(f"{_MISSING}Debian package {package}")
