"""Labels and licence of briefs and uploads: one validator, every bound tested on both sides."""

from __future__ import annotations

import pytest

from servicekit.delivery.labels import check_labels, check_licence
from servicekit.delivery.manifest import Licence

GOOD_KEYS = ["a", "0", "reel", "Client/Project.cut_2-b", "k" * 63]
BAD_KEYS = ["", "k" * 64, "-a", "/a", "with space", "ümlaut", "a\n", "a\x00"]


@pytest.mark.parametrize("key", GOOD_KEYS)
def test_a_key_of_plain_characters_is_accepted(key: str) -> None:
    """Letters, digits and ._/-, from a letter or digit on, 63 at most."""
    assert check_labels({key: ""}, root="brief") == []


@pytest.mark.parametrize("key", BAD_KEYS)
def test_another_key_is_named(key: str) -> None:
    """The whole key has to match, a line break at its end included."""
    (violation,) = check_labels({key: "v"}, root="header")
    assert violation.field == "header.labels"


def test_values_and_their_number_are_bounded() -> None:
    """256 characters and 32 labels."""
    assert check_labels({f"k{n}": "v" * 256 for n in range(32)}, root="brief") == []
    (many,) = check_labels({f"k{n}": "" for n in range(33)}, root="brief")
    assert many.description == "must be at most 32 labels, got 33"
    (long,) = check_labels({"k": "v" * 257}, root="brief")
    assert (long.field, long.description) == ("brief.labels[k]", "must be at most 256 characters, got 257")
    (control,) = check_labels({"k": "\x07"}, root="brief")
    assert control.description == "must not have control characters"


@pytest.mark.parametrize(("field", "limit"), [("tier", 64), ("licensee", 256), ("terms", 2048)])
def test_texts_of_a_licence_are_bounded(field: str, limit: int) -> None:
    """Each under its own path."""
    assert check_licence(Licence(**{field: "x" * limit}), root="brief") == []
    (violation,) = check_licence(Licence(**{field: "x" * (limit + 1)}), root="brief")
    assert violation.field == f"brief.licence.{field}"
