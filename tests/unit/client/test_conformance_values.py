"""Matchers and values of conformance cases, as docs/conformance.md defines them."""

from __future__ import annotations

import io
import wave
from typing import Any

import pytest

from sonichaos_client.testing.conformance.matching import ABSENT, MATCHERS, differences, matches
from sonichaos_client.testing.conformance.values import FUNCTIONS, ValueFault, resolve

EVENTS = [{"n": "1", "f": 0.0, "a": 1}, {"n": "2", "f": 0.5, "a": 1}, {"n": "3", "f": 0.1, "a": 2}]
NAMES = {"take": {"job": {"jobId": "j-1", "files": [{"name": "a.wav", "size": "7"}, {"name": "b.wav", "size": "9"}]}}}

HOLDS: list[tuple[str, Any, Any]] = [
    ("$equals", {"$equals": {"a": 1}}, {"a": 1}),
    ("$absent", {"x": {"$absent": True}}, {"y": 1}),
    ("$matches", {"$matches": "[a-f]+"}, "abc"),
    ("$min", {"$min": 3}, "3"),
    ("$max", {"$max": "18446744073709551615"}, "18446744073709551615"),
    ("$one_of", {"$one_of": [1, {"$min": 5}]}, 7),
    ("$not", {"$not": 1}, 2),
    ("$all", {"$all": [{"a": 1}, {"b": 2}]}, {"a": 1, "b": 2}),
    ("$length", {"$length": {"$min": 2}}, "ab"),
    ("$each", {"$each": {"a": {"$min": 1}}}, EVENTS),
    ("$some", {"$some": {"n": 2}}, EVENTS),
    ("$none", {"$none": {"n": 4}}, EVENTS),
    ("$in_order", {"$in_order": [{"n": 1}, {"n": 3}]}, EVENTS),
    ("$starts_with", {"$starts_with": EVENTS[:2]}, EVENTS),
    ("$consecutive", {"$consecutive": {"path": "n", "after": "0"}}, [*EVENTS, {"heartbeat": 1}]),
    ("$never_falls", {"$never_falls": {"path": "f", "within": ["a"]}}, EVENTS),
    ("$values", {"$values": {"path": "n", "are": ["3", "1", "2"], "unique": True}}, EVENTS),
]
FAILS: list[tuple[str, Any, Any]] = [
    ("$equals", {"$equals": {"a": 1}}, {"a": 1, "b": 2}),
    ("$absent", {"x": {"$absent": True}}, {"x": 1}),
    ("$matches", {"$matches": "[a-f]+"}, "abcx"),
    ("$min", {"$min": 3}, "2"),
    ("$max", {"$max": 1}, "one"),
    ("$one_of", {"$one_of": [1, 2]}, 3),
    ("$not", {"$not": {"a": 1}}, {"a": 1, "b": 2}),
    ("$all", {"$all": [{"a": 1}, {"b": 2}]}, {"a": 1}),
    ("$length", {"$length": 2}, [1]),
    ("$each", {"$each": {"a": 1}}, EVENTS),
    ("$some", {"$some": {"n": 4}}, EVENTS),
    ("$none", {"$none": {"n": 3}}, EVENTS),
    ("$in_order", {"$in_order": [{"n": 3}, {"n": 1}]}, EVENTS),
    ("$starts_with", {"$starts_with": EVENTS}, EVENTS[:2]),
    ("$consecutive", {"$consecutive": {"path": "n", "first": 1}}, [EVENTS[0], EVENTS[2]]),
    ("$never_falls", {"$never_falls": {"path": "f"}}, EVENTS),
    ("$values", {"$values": {"path": "a", "unique": True}}, EVENTS),
    ("$values", {"$values": {"path": "n", "falling": True}}, EVENTS),
    ("$values", {"$values": {"path": "a", "are": [1]}}, EVENTS),
]


@pytest.mark.parametrize(("name", "expected", "received"), HOLDS)
def test_a_matcher_holds(name: str, expected: Any, received: Any) -> None:
    """Where the value is what it describes."""
    assert matches(expected, received), name


@pytest.mark.parametrize(("name", "expected", "received"), FAILS)
def test_a_matcher_fails(name: str, expected: Any, received: Any) -> None:
    """Where it is not; the difference says what was expected and received."""
    found = differences(expected, received)
    assert found, name
    assert all(one.expected and one.received for one in found)


def test_every_matcher_is_tested() -> None:
    """In both directions."""
    assert {name for name, *_ in HOLDS} == {name for name, *_ in FAILS} == MATCHERS


def test_plain_values() -> None:
    """Objects match by the fields they name, lists item by item, numbers also the text of their digits."""
    assert matches({"a": {"b": 1}}, {"a": {"b": "1", "c": 2}, "d": 3})
    assert matches("5", 5)
    assert not matches("05", "5")
    assert not matches({"a": 1}, {"a": True})
    assert not matches([1], [1, 2])
    assert [(one.path, one.received) for one in differences({"a": [{"b": 1}]}, {"a": [{}]})] == [("a[0].b", "nothing")]
    assert not matches(0, ABSENT)


def test_references() -> None:
    """A text that is one reference has the value's type; within a text it is inserted."""
    assert resolve("${take.job.files[-1].size}", NAMES) == "9"
    assert resolve("${take.job.files}", NAMES) == NAMES["take"]["job"]["files"]
    assert resolve("jobs/${take.job.jobId}/v1", NAMES) == "jobs/j-1/v1"
    assert resolve({"${take.job.jobId}": "${take.job.files[name=b.wav].size}"}, NAMES) == {"j-1": "9"}
    for path in ("${take.nothing}", "${take.job.files[5]}", "${take.job.files[name=c.wav]}", "${take.?}"):
        with pytest.raises(ValueFault, match="take"):
            resolve(path, NAMES)


VALUES: dict[str, tuple[Any, Any]] = {
    "$repeat": ({"text": "ab", "count": 2}, "abab"),
    "$list": ({"count": 2, "item": {"t": {"$number": {"times": 0.5, "plus": 1}}}}, [{"t": 1.0}, {"t": 1.5}]),
    "$map": ({"count": 2, "key": "k{i}", "value": "v"}, {"k0": "v", "k1": "v"}),
    "$number": ({"plus": 3}, 3.0),
    "$time_plus": ({"time": "2026-01-31T23:59:59.5Z", "seconds": 0.75}, "2026-02-01T00:00:00.250Z"),
    "$concat": ([[1], ["${take.job.jobId}"]], [1, "j-1"]),
    "$slice": ({"of": "abcdef", "start": "1", "size": 2}, "bc"),
    "$sha256": ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "$text": ({"$zero_bytes": 1}, "\0"),
    "$joined": ({"of": [{"data": "YWI="}, {"data": "Yw=="}], "field": "data"}, b"abc"),
    "$alter": ("ab0", "ab1"),
    "$zero_bytes": (3, b"\0\0\0"),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS - {"$wav", "$now_plus_seconds"}))
def test_functions(name: str) -> None:
    """Each has the value that the page says."""
    argument, value = VALUES[name]
    assert resolve({name: argument}, NAMES) == value


def test_a_function_with_a_wrong_argument() -> None:
    """Says which function it is."""
    with pytest.raises(ValueFault, match=r"\$slice"):
        resolve({"$slice": {"of": "abc"}}, NAMES)


def test_wav_and_time() -> None:
    """A WAV file that others read, and a time as protobuf's JSON has it."""
    with wave.open(io.BytesIO(resolve({"$wav": {"seconds": 0.1, "channels": 1, "rate_hz": 8000}}, NAMES))) as read:
        assert (read.getnchannels(), read.getframerate(), read.getsampwidth(), read.getnframes()) == (1, 8000, 2, 800)
        samples = read.readframes(800)
    assert max(samples[1::2]) > 0
    assert resolve({"$now_plus_seconds": 60}, NAMES).endswith("Z")
