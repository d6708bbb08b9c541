"""Shared by all tests: a report that names the tests that could not run."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

# As `sonichaos up` does for the services; read by OpenMP when torch is loaded, here and in every process that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell makes background processes ignore SIGINT, and every process that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
_MISSING = "needs "


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files for several processes, which take them one after the other.

    Files of tests/flow, which need the processors, alternate with those of tests/wire, most of which wait. The many small files of
    tests/unit come last, so that all processes end at about the same time.
    """
    numbers: dict[str, dict[Path, int]] = {"flow": {}, "wire": {}}

    def position(item: pytest.Item) -> tuple[int, int, str]:
        folder, *below = item.path.relative_to(ROOT / "tests").parts
        if folder in numbers:
            files = numbers[folder]
            return 0, files.setdefault(item.path, len(files)), folder
        return (1 if "project" in below else 2), 0, ""

    items.sort(key=position)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List tests that were skipped because a system dependency is missing. In CI that is a failure (see below)."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("not run")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """In CI the packages of apt.txt and of the group `dev` are installed: a test that lacks one fails instead of being skipped."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith((_MISSING + "Debian package", _MISSING + "PyPI package")):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {reason}, and CI must have it"


def require_debian(package: str, program: str) -> None:
    """Skip, naming the Debian package, if its ``program`` is missing."""
    if shutil.which(program) is None and not Path(program).exists():
        pytest.skip(f"{_MISSING}Debian package {package}")
