"""Judges one answer: the rules that hold for every answer, and what a step expects of this one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sonichaos_client.testing.conformance.case_files import reasons
from sonichaos_client.testing.conformance.matching import Difference, differences
from sonichaos_client.testing.conformance.wire import Answer

DOMAIN = "sonichaos.ai"
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
MAX_DETAILS_BYTES = 4 * 1024
MAX_VIOLATIONS = 10


def judge(answer: Answer, expected: Any) -> list[Difference]:  # noqa: ANN401 - any JSON value
    """How an answer differs from the rules for every answer and from ``expected``; a list of those are alternatives."""
    if not isinstance(expected, list):
        return [*_differences(answer, expected), *check_rules(answer)]
    found = [_differences(answer, one) for one in expected]
    same_status = [one for one in found if not any(difference.path == "" for difference in one)]
    if not same_status:
        return [Difference("", " or ".join(_status(one) for one in expected), _shown(answer)), *check_rules(answer)]
    return [*min(same_status, key=len), *check_rules(answer)]


def _status(expected: Mapping[str, Any]) -> str:
    return f"{expected.get('code', 'OK')} {expected.get('reason', '')}".strip()


def _shown(answer: Answer) -> str:
    status = f"{answer.code} {answer.reason}".strip()
    return f"{status}: {answer.message}" if answer.message else status


def _differences(answer: Answer, expected: Mapping[str, Any]) -> list[Difference]:
    code = expected.get("code", "OK")
    if answer.code != code or expected.get("reason", answer.reason) != answer.reason:
        return [Difference("", _status(expected), _shown(answer))]
    body = answer.as_json()
    return [
        one
        for name in ("message", "metadata", "violations", "response")
        if name in expected
        for one in differences(expected[name], body[name], name)
    ]


def check_rules(answer: Answer) -> Iterator[Difference]:
    """The rules for every answer."""
    if answer.code == "OK":
        if answer.response_bytes > MAX_RESPONSE_BYTES:
            yield Difference("response", f"at most {MAX_RESPONSE_BYTES} bytes", f"{answer.response_bytes} bytes")
    elif not answer.has_details:
        yield Difference("status", "google.rpc.Status with details in grpc-status-details-bin", _shown(answer))
    else:
        yield from _check_details(answer)


def _check_details(answer: Answer) -> Iterator[Difference]:
    """The rules for every error: see docs/errors.md."""
    if answer.details_bytes >= MAX_DETAILS_BYTES:
        yield Difference("status", f"less than {MAX_DETAILS_BYTES} bytes", f"{answer.details_bytes} bytes")
    if answer.domain != DOMAIN:
        yield Difference("ErrorInfo.domain", DOMAIN, answer.domain or "nothing")
    if not answer.message:
        yield Difference("message", "a text for people", "nothing")
    named, is_field_error = len(answer.violations), answer.reason == "INVALID_FIELD"
    if named > MAX_VIOLATIONS or is_field_error != (named > 0):
        yield Difference("BadRequest", f"1 to {MAX_VIOLATIONS} fields for INVALID_FIELD only", f"{named} fields")
    reason = reasons().get(answer.reason)
    if reason is None:
        yield Difference("ErrorInfo.reason", "a reason of docs/errors.md", answer.reason or "nothing")
        return
    if answer.code != reason.code:
        yield Difference("code", f"{reason.code} for {reason.name}", answer.code)
    if reason.retry != (answer.retry_after_s is not None):
        wanted = "RetryInfo" if reason.retry else "no RetryInfo"
        yield Difference("RetryInfo", f"{wanted} for {reason.name}", f"retry after {answer.retry_after_s} s")
    for name in reason.metadata:
        if name not in answer.metadata:
            yield Difference(f"metadata.{name}", f"metadata of {reason.name}", f"{dict(answer.metadata)}")
