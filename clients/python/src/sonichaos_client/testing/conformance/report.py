"""The results for people, as a table, and for programs, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sonichaos_client.testing.conformance.runner import CaseResult, Result

_MARKS = {Result.PASSED: "pass", Result.FAILED: "FAIL", Result.SKIPPED: "skip"}
_ID_WIDTH = 46


def lines_of(result: CaseResult) -> Iterator[str]:
    """The rows of a case: its result, and for each difference what was expected and received."""
    row = f"{_MARKS[result.result]}  {result.case.id:<{_ID_WIDTH}} {result.seconds:6.2f} s"
    yield f"{row}  {result.skipped_because}" if result.skipped_because else row
    if result.differences:
        yield f"      {result.case.why}"
    for one in result.differences:
        yield f"      {one.step}{f': {one.difference.path}' if one.difference.path else ''}"
        yield f"        expected  {one.difference.expected}"
        yield f"        received  {one.difference.received}"


def summary(results: Sequence[CaseResult]) -> str:
    """How many cases passed, failed and were skipped, and the time they took."""
    counts = {result: sum(one.result is result for one in results) for result in Result}
    seconds = sum(one.seconds for one in results)
    parts = [f"{count} {result}" for result, count in counts.items() if count or result is not Result.SKIPPED]
    return f"{len(results)} cases in {seconds:.1f} s: {', '.join(parts)}."


def as_json(result: CaseResult) -> dict[str, Any]:
    """The result of a case as one JSON object."""
    body: dict[str, Any] = {
        "id": result.case.id,
        "why": result.case.why,
        "result": str(result.result),
        "seconds": round(result.seconds, 3),
        "differences": [
            {
                "step": one.step,
                "path": one.difference.path,
                "expected": one.difference.expected,
                "received": one.difference.received,
            }
            for one in result.differences
        ],
    }
    if result.skipped_because:
        body["skippedBecause"] = result.skipped_because
    return body
