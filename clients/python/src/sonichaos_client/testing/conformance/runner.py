"""Runs cases against a server."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sonichaos_client.testing.conformance.answers import judge
from sonichaos_client.testing.conformance.case_files import Case, Step, Suite
from sonichaos_client.testing.conformance.cleanup import CreatedThings
from sonichaos_client.testing.conformance.http_requests import fetch
from sonichaos_client.testing.conformance.inspections import InspectionError, inspect
from sonichaos_client.testing.conformance.matching import Difference, differences, matches
from sonichaos_client.testing.conformance.values import ValueFault, resolve
from sonichaos_client.testing.conformance.wire import Answer, OpenStream, Rpc, Wire

LIMIT_S = 60.0
POLL_S = 0.1
MAX_MESSAGES = 100_000
"""Of one read: a stream that never stops sending does not fill the memory."""


class Result(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class StepDifference:
    """What one step found. ``step`` says which, such as ``step 2 (JobsService/GetJob)``."""

    step: str
    difference: Difference


@dataclass(frozen=True)
class CaseResult:
    """How a case ended, with what was not as expected. ``skipped_because`` is empty unless it was skipped."""

    case: Case
    result: Result
    seconds: float
    differences: Sequence[StepDifference] = ()
    skipped_because: str = ""


class StepFailed(Exception):
    """A step found differences."""

    def __init__(self, found: Sequence[Difference], step: str = "") -> None:
        super().__init__(step)
        self.found = found
        self.step = step

    def named(self, step: str) -> StepFailed:
        """The same, with the step; the innermost one counts."""
        return self if self.step else StepFailed(self.found, step)


class Runner:
    """Runs the cases of a suite one after another. Each fixture runs once, when the first case needs it.

    ``patience`` multiplies every time limit. Cases that are ``destructive`` are skipped unless that is asked for.
    """

    def __init__(self, wire: Wire, suite: Suite, *, patience: float = 1.0, destructive: bool = False) -> None:
        self._wire = wire
        self._suite = suite
        self._patience = patience
        self._destructive = destructive
        self._fixtures: dict[str, Mapping[str, Any] | StepFailed] = {}
        self._fixture_things = CreatedThings(wire)
        self._run = {"id": secrets.token_hex(4)}

    def run(self, cases: Sequence[Case]) -> Iterator[CaseResult]:
        """Run cases, then remove what their fixtures created, then run those that are destructive."""
        yield from self._run_in_order([case for case in cases if not case.destructive])
        started_s = time.monotonic()
        left = self._fixture_things.remove(LIMIT_S * self._patience)
        if left:
            found = [StepDifference("cleanup", one) for one in left]
            yield CaseResult(_CLEANUP, Result.FAILED, time.monotonic() - started_s, found)
        yield from self._run_in_order([case for case in cases if case.destructive])

    def _run_in_order(self, cases: Sequence[Case]) -> Iterator[CaseResult]:
        for case in cases:
            started_s = time.monotonic()
            if case.destructive and not self._destructive:
                yield CaseResult(case, Result.SKIPPED, 0.0, skipped_because=_NOT_ASKED_FOR)
            else:
                result = self._run_case(case)
                yield replace(result, seconds=time.monotonic() - started_s)

    def _run_case(self, case: Case) -> CaseResult:
        things = CreatedThings(self._wire, self._fixture_things)
        try:
            names = self._names(case)
            condition = case.only_if
            if condition is not None and not matches(condition.expect, resolve(condition.value, names)):
                return CaseResult(case, Result.SKIPPED, 0.0, skipped_because=condition.otherwise)
            _Steps(self._wire, names, things, self._patience).run(case.steps)
            left = things.remove(LIMIT_S * self._patience)
        except StepFailed as error:
            things.remove(LIMIT_S * self._patience)
            return CaseResult(case, Result.FAILED, 0.0, [StepDifference(error.step, one) for one in error.found])
        if left:
            return CaseResult(case, Result.FAILED, 0.0, [StepDifference("cleanup", one) for one in left])
        return CaseResult(case, Result.PASSED, 0.0)

    def _names(self, case: Case) -> dict[str, Any]:
        """What references of the case can name at its start: the run, and what its fixtures saved."""
        return {"run": self._run, **{need: self._fixture(need) for need in case.needs}}

    def _fixture(self, name: str) -> Mapping[str, Any]:
        """What a fixture saved; it runs at the first call. Raises StepFailed, at each call if it failed once."""
        if name not in self._fixtures:
            fixture = self._suite.fixtures[name]
            try:
                names = self._names(fixture)
                _Steps(self._wire, names, self._fixture_things, self._patience).run(fixture.steps)
                self._fixtures[name] = names
            except StepFailed as error:
                self._fixtures[name] = StepFailed(error.found, f"fixture {name}, {error.step}")
        found = self._fixtures[name]
        if isinstance(found, StepFailed):
            raise found
        return found


_NOT_ASKED_FOR = "destructive, and not asked for (--destructive)"
_CLEANUP = Case("cleanup", "What the suite created is removed.", (), (), None)


class _Steps:
    """Runs the steps of one case or fixture; ``names`` gains what they save."""

    def __init__(self, wire: Wire, names: dict[str, Any], things: CreatedThings, patience: float) -> None:
        self._wire = wire
        self._names = names
        self._things = things
        self._patience = patience
        self._streams: dict[str, OpenStream] = {}
        self._handlers: Mapping[str, Callable[[Step], None]] = {
            "open": self._open,
            "read": self._read,
            "cut": self._cut,
            "rpc": self._call,
            "fetch": self._fetch,
            "inspect": self._inspect,
            "check": self._check,
            "set": self._set,
        }

    def run(self, steps: Sequence[Step]) -> None:
        """Run steps in order. Raises StepFailed at the first that finds a difference; open streams are closed."""
        try:
            for number, step in enumerate(steps, start=1):
                self._run_step(step, f"step {number} ({_title(step)})")
        finally:
            for stream in self._streams.values():
                stream.cut()

    def _run_step(self, step: Step, title: str) -> None:
        try:
            self._handlers[_kind(step)](step)
        except ValueFault as error:
            raise StepFailed([Difference("", "values that this step can use", str(error))], title) from None
        except StepFailed as error:
            raise error.named(title) from None

    def _resolve(self, template: Any) -> Any:  # noqa: ANN401 - any JSON value
        return resolve(template, self._names)

    def _limit_s(self, step: Step) -> float:
        return float(step.get("within_seconds", LIMIT_S)) * self._patience

    def _save(self, step: Step, value: Any) -> None:  # noqa: ANN401
        if "save" in step:
            self._names[step["save"]] = value

    def _call(self, step: Step) -> None:
        rpc, answers = Rpc.named(step["rpc"]), []
        for index in range(step.get("times", 1)):
            answer = self._answer(rpc, step, index)
            deadline_s = time.monotonic() + self._limit_s(step)
            while found := judge(answer, self._resolve(step.get("expect", {}))):
                if "poll" not in step or time.monotonic() > deadline_s:
                    raise StepFailed(found)
                time.sleep(POLL_S)
                answer = self._answer(rpc, step, index)
            answers.append(answer.as_json() if step.get("save_status") else answer.response)
        self._save(step, answers if "times" in step else answers[0])

    def _answer(self, rpc: Rpc, step: Step, index: int) -> Answer:
        """Make the call of a step once."""
        bodies = resolve(step.get("requests", [step.get("request", {})]), self._names, index)
        metadata = tuple(self._resolve(step.get("metadata", {})).items())
        requests = [rpc.request(body) for body in bodies]
        answer = self._wire.call(rpc, step.get("to"), requests, self._limit_s(step), metadata)
        self._things.note(rpc, answer)
        return answer

    def _open(self, step: Step) -> None:
        rpc = Rpc.named(step["rpc"])
        request = rpc.request(self._resolve(step.get("request", {})))
        metadata = tuple(self._resolve(step.get("metadata", {})).items())
        self._streams[step["open"]] = self._wire.open(rpc, step.get("to"), request, metadata)

    def _read(self, step: Step) -> None:
        stream = self._streams[step["read"]]
        kept: list[Any] = []
        keep, until = self._resolve(step.get("keep", {})), step["until"]
        target = None if until == "end" else self._resolve(until)
        deadline_s = time.monotonic() + self._limit_s(step)
        while True:
            try:
                item = stream.next(deadline_s)
            except TimeoutError:
                limit = f"within {self._limit_s(step):g} s: {'the end' if target is None else target}"
                raise StepFailed([Difference("", limit, f"{len(kept)} messages, the last {kept[-1:]}")]) from None
            if isinstance(item, Answer):
                self._ended(step, item, target)
                break
            if matches(keep, item):
                kept.append(item)
                if target is not None and matches(target, item):
                    break
            if len(kept) > MAX_MESSAGES:
                raise StepFailed([Difference("", f"at most {MAX_MESSAGES} messages", "more")])
        _require(differences(self._resolve(step.get("messages", {"$length": {"$min": 0}})), kept, "messages"))
        self._save(step, kept)

    def _ended(self, step: Step, answer: Answer, target: Any) -> None:  # noqa: ANN401
        if target is not None:
            text = f"{answer.code} {answer.reason} {answer.message}".strip()
            raise StepFailed([Difference("", f"a message like {target}", f"the stream's end with {text}")])
        _require(judge(answer, self._resolve(step.get("expect", {}))))

    def _cut(self, step: Step) -> None:
        self._streams.pop(step["cut"]).cut()

    def _fetch(self, step: Step) -> None:
        url, headers = self._resolve(step["fetch"]), self._resolve(step.get("headers", {}))
        answer, body = fetch(url, step.get("method", "GET"), headers, self._limit_s(step), self._wire.https)
        _require(differences(self._resolve(step.get("expect", {"status": 200})), answer, ""))
        self._save(step, body)

    def _inspect(self, step: Step) -> None:
        try:
            facts = inspect(step["inspect"], self._resolve(step["data"]))
        except InspectionError as error:
            raise StepFailed([Difference("", f"a {step['inspect']}", str(error))]) from None
        _require(differences(self._resolve(step.get("expect", {})), facts, ""))
        self._save(step, facts)

    def _check(self, step: Step) -> None:
        _require(differences(self._resolve(step["expect"]), self._resolve(step["check"]), ""))

    def _set(self, step: Step) -> None:
        for name, template in step["set"].items():
            self._names[name] = self._resolve(template)


_KINDS = ("open", "read", "cut", "rpc", "fetch", "inspect", "check", "set")
"""Keys that say what a step does; one that opens a stream also has `rpc`."""


def _kind(step: Step) -> str:
    return next(name for name in _KINDS if name in step)


def _title(step: Step) -> str:
    kind = _kind(step)
    detail = {"open": step.get("rpc"), "rpc": step.get("rpc"), "fetch": step.get("method", "GET")}.get(kind)
    named = step[kind] if detail is None and isinstance(step[kind], str) else detail
    return kind if named is None else f"{kind} {named}"


def _require(found: Sequence[Difference]) -> None:
    if found:
        raise StepFailed(found)
