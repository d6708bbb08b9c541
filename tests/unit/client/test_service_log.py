"""The log files of ``sonichaos up``: bounded, and readable."""

from __future__ import annotations

from pathlib import Path

from hostctl.service_log import LogFile, readable


def test_a_log_file_is_bounded(tmp_path: Path) -> None:
    """A full file becomes .1, that one .2; no more are stored, and every line is whole."""
    log = LogFile(tmp_path / "logs" / "a.log", max_bytes=100, generations=2)
    for number in range(40):
        log.write(f"line {number:04d}")
        log.flush(5.0)
    files = sorted((tmp_path / "logs").iterdir())
    assert [path.name for path in files] == ["a.log", "a.log.1", "a.log.2"]
    assert all(path.stat().st_size <= 110 for path in files)
    lines = [line for path in reversed(files) for line in path.read_text().splitlines()]
    assert lines == [f"line {number:04d}" for number in range(40 - len(lines), 40)]
    assert len(lines) > 20


def test_an_earlier_log_is_continued(tmp_path: Path) -> None:
    """The next start appends."""
    for text in ("first", "second"):
        log = LogFile(tmp_path / "a.log")
        log.write(text)
        log.flush(5.0)
    assert (tmp_path / "a.log").read_text() == "first\nsecond\n"


def test_lines_without_structure_stay_as_they_are() -> None:
    """Such as a traceback of the interpreter, or JSON that is no log line."""
    for line in ("Traceback (most recent call last):", '{"a": 1}', "{broken", ""):
        assert readable(line) == line
