"""The log of the process of ``sonichaos up``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from hostctl.web.own_log import log_to
from servicekit.logs import logger

CREDENTIAL = "Bearer sonichaos_key"


@pytest.fixture
def written() -> Iterator[list[str]]:
    """The lines that were logged. structlog's configuration is that of the whole process."""
    lines: list[str] = []
    before = structlog.get_config()
    log_to(lines.append)
    yield lines
    structlog.configure(**before)


def test_a_failure_is_shown_without_values(written: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Local variables may be credentials; stdout is for programs that read JSON."""

    def fail(authorization: str) -> None:
        raise ValueError(f"a credential of {len(authorization)} characters")

    try:
        fail(CREDENTIAL)
    except ValueError as error:
        logger("tests").error("an HTTP request failed", exc_info=error, path="/")
    (text,) = written
    first, *rest = text.splitlines()
    assert first.endswith("error: an HTTP request failed path=/")
    assert rest[-1] == "ValueError: a credential of 20 characters"
    assert CREDENTIAL not in text
    assert tuple(capsys.readouterr()) == ("", "")


def test_what_is_no_problem_is_not_shown(written: list[str]) -> None:
    """Warnings are."""
    logger("tests").info("certificate reloaded")
    logger("tests").warning("certificate refused", file="a.pem")
    assert [line.partition(" ")[2] for line in written] == ["warning: certificate refused file=a.pem"]
