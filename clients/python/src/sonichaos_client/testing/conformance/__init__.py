"""A conformance suite: cases as data, and a runner that drives any server through them.

docs/conformance.md describes the format, so that a runner can be written in any language. Requires the extra ``testing``.
"""

from __future__ import annotations

from sonichaos_client.testing.conformance.case_files import Case, CaseFileError, Reason, Suite, load_suite, reasons
from sonichaos_client.testing.conformance.matching import Difference
from sonichaos_client.testing.conformance.runner import CaseResult, Result, Runner, StepDifference
from sonichaos_client.testing.conformance.wire import Wire

__all__ = [
    "Case",
    "CaseFileError",
    "CaseResult",
    "Difference",
    "Reason",
    "Result",
    "Runner",
    "StepDifference",
    "Suite",
    "Wire",
    "load_suite",
    "reasons",
]
