"""Fields that callers of both services may set."""

from __future__ import annotations

import pytest

from servicekit.caller_fields import check_labels, check_licence, check_request_id, check_text
from servicekit.delivery.manifest import Licence


@pytest.mark.parametrize("good", ["", "a", "x" * 128, "job-1/2:3", "~!"])
def test_a_request_id_is_printable_ascii(good: str) -> None:
    """Empty is none; everything printable but a space is allowed."""
    assert check_request_id(good) == []


@pytest.mark.parametrize("bad", ["a b", "a\n", "\n", "é", "x" * 129, "a\x7f"])
def test_other_request_ids_are_refused(bad: str) -> None:
    """Also one that ends in a line break. The violation names field and value."""
    (violation,) = check_request_id(bad, "header.request_id")
    assert violation.field == "header.request_id"
    assert violation.description.endswith(f"got {bad[:80]!r}")


def test_texts_may_have_line_breaks_but_no_control_characters() -> None:
    """The length is counted in characters."""
    assert check_text("line\n\tline é", "prompt", max_characters=12) == []
    (long,) = check_text("four", "prompt", max_characters=3)
    assert long.description == "must have at most 3 characters, got 4"
    (control,) = check_text("a\x00", "prompt", max_characters=3)
    assert control.description == "must not contain control characters, got '\\x00'"


@pytest.mark.parametrize("key", ["a", "0", "reel", "Client/Project.cut_2-b", "k" * 63])
def test_label_keys_may_have_letters_digits_and_separators(key: str) -> None:
    """From a letter or digit on, 63 characters at most."""
    assert check_labels({key: "x" * 256}, "brief.labels") == []


@pytest.mark.parametrize("key", ["", "a\n", "-a", "a b", "é", "x" * 64])
def test_label_keys_are_plain(key: str) -> None:
    """A key is safe in a file name, a query and a metric's label."""
    (violation,) = check_labels({"good.key/1": "any\nvalue", key: ""}, "brief.labels")
    assert violation.field == "brief.labels"


def test_all_wrong_labels_are_named() -> None:
    """Too many labels, and each value that is too long."""
    labels = {f"k{number}": "x" * 257 if number < 2 else "" for number in range(33)}
    fields = [violation.field for violation in check_labels(labels, "labels")]
    assert fields == ["labels", "labels[k0]", "labels[k1]"]


def test_texts_of_a_licence_have_their_own_limits() -> None:
    """64 characters for the tier, 256 for the licensee, 2048 for the terms."""
    assert check_licence(Licence(tier="x" * 64, licensee="x" * 256, terms="x" * 2048), "licence") == []
    wrong = check_licence(Licence(tier="x" * 65, licensee="x" * 257, terms="\x01"), "brief.licence")
    assert [violation.field for violation in wrong] == [
        "brief.licence.tier",
        "brief.licence.licensee",
        "brief.licence.terms",
    ]
