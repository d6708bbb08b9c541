"""The log lines of a whole process, its own and those of its libraries."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from servicekit.line_writer import LineWriter
from tests.support.small_disk import MIB, fill, small_disk

SETUP = """
import logging, sys
import structlog
from servicekit.logs import configure_logs, logger
library = logging.getLogger("some.library")
"""


def run(body: str, *, stderr: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``body`` in a process of its own; ``stderr`` names a file that takes the place of its stderr."""
    code = SETUP + textwrap.dedent(body)
    if stderr is None:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    with open(stderr, "w", encoding="utf-8") as file:  # noqa: PTH123 - a device
        return subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=file, text=True, check=False)


def lines(body: str) -> list[dict[str, Any]]:
    """What ``body`` logs, one object a line."""
    done = run(body)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_own_and_library_lines_have_the_same_fields() -> None:
    """Service, source, level, time, event and the bound job id stand in every line, whoever logged it."""
    own, theirs = lines("""
        configure_logs(service="render_service", level="info")
        structlog.contextvars.bind_contextvars(job_id="j-1")
        logger("journal").warning("lease_lost", attempt=2)
        library.warning("%d connections left", 3)
    """)
    assert own.pop("timestamp").endswith("Z")
    assert theirs.pop("timestamp").endswith("Z")
    assert own == {
        "service": "render_service",
        "source": "journal",
        "level": "warning",
        "event": "lease_lost",
        "job_id": "j-1",
        "attempt": 2,
    }
    assert theirs == {
        "service": "render_service",
        "source": "some.library",
        "level": "warning",
        "event": "3 connections left",
        "job_id": "j-1",
    }


def test_levels() -> None:
    """The level holds for own events; libraries log from WARNING on, whatever the level."""
    for level, events in (("debug", ["a", "b", "z"]), ("info", ["b", "z"]), ("error", ["z"])):
        found = lines(f"""
            configure_logs(service="s", level="{level}")
            logger("x").debug("a")
            logger("x").info("b")
            library.info("c")
            library.warning("z")
        """)
        assert [line["event"] for line in found] == events


def test_an_exception_is_a_field_of_one_line() -> None:
    """A traceback does not break the line, in own events and in those of libraries."""
    found = lines("""
        configure_logs(service="s", level="info")
        try:
            1 / 0
        except ZeroDivisionError:
            logger("x").exception("failed")
            library.exception("failed too")
    """)
    assert [line["event"] for line in found] == ["failed", "failed too"]
    assert [line["level"] for line in found] == ["error", "error"]
    assert all("ZeroDivisionError: division by zero" in line["exception"] for line in found)


def test_a_value_that_json_lacks_is_written_as_its_repr() -> None:
    """Any object can be logged."""
    (line,) = lines("""
        configure_logs(service="s", level="info")
        logger("x").info("found", value={1, }, text="Größe")
    """)
    assert (line["value"], line["text"]) == ("{1}", "Größe")


def test_a_line_that_cannot_be_formatted_is_dropped() -> None:
    """A broken repr and a library's wrong arguments cost their own line, neither the work nor the next line."""
    (line,) = lines("""
        class Broken:
            def __repr__(self):
                raise RuntimeError("no repr")
        configure_logs(service="s", level="info")
        logger("x").info("broken", value=Broken())
        library.warning("%d of %d", "one")
        logger("x").info("work goes on")
    """)
    assert line["event"] == "work goes on"


CONFIGURE = """
    configure_logs(service="s", level="info")
"""
LOG_AND_WORK = """
    logger("x").info("own")
    library.warning("of a library")
    print("work done")
"""


def test_a_full_disk_under_the_log_does_not_stop_work() -> None:
    """Writes to a stderr without space fail; the work does not."""
    done = run(CONFIGURE + LOG_AND_WORK, stderr="/dev/full")
    assert done.stdout == "work done\n"


def test_a_closed_stderr_does_not_stop_work() -> None:
    """A process whose stderr was closed works on."""
    done = run(CONFIGURE + "    sys.stderr.close()\n" + LOG_AND_WORK)
    assert done.stdout == "work done\n"


def test_a_reader_that_is_gone_does_not_stop_work() -> None:
    """Writes to a pipe without a reader fail; the work does not."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stderr:
        code = SETUP + textwrap.dedent(CONFIGURE + LOG_AND_WORK)
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr, text=True, check=False
        )
    assert done.stdout == "work done\n"


MANY_LINES = """
    for number in range(3000):
        logger("x").info("line", number=number, text="." * 3000)
    sys.stdout.write("work done\\n")
    sys.stdout.flush()
"""


def test_a_reader_that_does_not_read_does_not_stop_work() -> None:
    """Nine megabytes go to a pipe that nobody reads. The lines that do not fit are dropped, and their number is logged later."""
    code = SETUP + textwrap.dedent(CONFIGURE + MANY_LINES)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "work done\n"
    found = [json.loads(line) for line in process.stderr if line.startswith("{") and line.endswith("}\n")]
    process.communicate()
    written = [line["number"] for line in found if line["event"] == "line"]
    assert written == sorted(written)
    assert 0 < len(written) < 3000


def test_a_real_full_disk_under_the_log(tmp_path: Path) -> None:
    """What it does not take is dropped, a line that it took half of stays torn, and with space again the others are counted."""
    body = """
        writer = configure_logs(service="s", level="info")
        for number in range(60):
            logger("x").info("line", number=number, text="." * 3000)
        assert writer.flush(30)
        print(writer.dropped, flush=True)
        sys.stdin.readline()
        logger("x").info("there is space")
        assert writer.flush(30)
    """
    code = SETUP + textwrap.dedent(body)
    with small_disk(tmp_path / "disk", size_bytes=MIB) as disk:
        filler = fill(disk, leave_bytes=MIB // 8)
        with (disk / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert process.stdout is not None
        dropped = int(process.stdout.readline())
        filler.unlink()
        process.communicate("go on\n")
        lines = (disk / "log").read_text().splitlines()
    assert process.returncode == 0
    *written, counted, last = (json.loads(line) for line in lines if line.endswith("}"))
    assert (counted["event"], counted["lines"], last["event"]) == ("log lines were dropped", dropped, "there is space")
    assert [line["number"] for line in written] == list(range(len(written)))
    assert dropped == 60 - len(written) > 0


def test_dropped_lines_are_counted_in_the_log(tmp_path: Path) -> None:
    """While writes fail, lines are dropped; the next one that succeeds is preceded by their number."""
    failures = iter([OSError(errno.ENOSPC, "No space left on device")] * 3)

    def fail() -> None:
        if failure := next(failures, None):
            raise failure

    path = tmp_path / "log"
    with path.open("wb") as file:
        writer = LineWriter(file.fileno(), on_dropped=lambda lines: f"{lines} dropped", before_write=fail)
        for line in ("one", "two", "three", "four"):
            writer.write(line)
        assert writer.flush(30.0)
    assert path.read_text() == "3 dropped\nfour\n"
    assert writer.dropped == 3
