"""The Range header of a download."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.store.byte_range import ByteRange, UnsatisfiableRange, parse_range

SIZE = st.integers(0, 50)
PLACE = st.one_of(st.none(), st.integers(0, 60))


@given(size=SIZE, first=PLACE, last=PLACE)
def test_a_single_range_is_parsed_as_the_rfc_says(size: int, first: int | None, last: int | None) -> None:
    """first-last, first- and -length select the bytes that RFC 9110 names, counted one by one."""
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        assert parse_range(header, size) is None
        return
    if first is None:
        wanted = [place for place in range(size) if place >= size - (last or 0)]
    else:
        wanted = [place for place in range(size) if place >= first and (last is None or place <= last)]
    if not wanted:
        with pytest.raises(UnsatisfiableRange):
            parse_range(header, size)
        return
    assert parse_range(header, size) == ByteRange(wanted[0], wanted[-1] + 1)


@pytest.mark.parametrize(
    "header", [None, "", "bytes", "bytes=", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "bytes=-1-2", "bytes=٣-"]
)
def test_anything_but_a_single_range_selects_the_whole_object(header: str | None) -> None:
    """Several ranges, another unit and unparsable headers select the whole object."""
    assert parse_range(header, 10) is None


@given(st.text(max_size=60), SIZE)
def test_any_header_is_parsed(header: str, size: int) -> None:
    """Any text gives a range inside the object, none, or UnsatisfiableRange."""
    try:
        part = parse_range(header, size)
    except UnsatisfiableRange:
        return
    assert part is None or 0 <= part.first < part.end <= size
