"""Which names a store accepts as keys."""

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from servicekit.store.object_key import (
    MAX_KEY_CHARS,
    MAX_SEGMENT_CHARS,
    InvalidKey,
    check_folder,
    check_key,
    download_name,
)
from tests.unit.servicekit.store.conftest import folder_store

FIRST = string.ascii_letters + string.digits
SEGMENT = st.builds(str.__add__, st.sampled_from(FIRST), st.text(FIRST + "._-", max_size=12))
KEY = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)


@given(KEY)
def test_a_key_of_safe_segments_is_accepted_unchanged(key: str) -> None:
    """Segments of letters, digits, dot, underscore and hyphen, beginning with a letter or digit, make a key."""
    assert check_key(key) == key
    assert check_folder(f"{key}/") == key
    assert "/" not in download_name(key)


@given(st.text())
@example("jobs/../../etc/passwd")
@example("jobs/a\n")
@example("jobs/a\x00.wav")
@example("jobs/%2e%2e/a")
@example("jobs/ａ")
@example("٣")
def test_an_accepted_key_is_safe_as_a_path_and_in_a_url(text: str) -> None:
    """A name is refused with InvalidKey, or needs no escape in a URL and stays below the folder that it is joined to."""
    try:
        key = check_key(text)
    except InvalidKey:
        return
    assert quote(key) == key
    assert Path("/root", key).resolve() == Path(f"/root/{key}")
    assert all(part and not part.startswith(".") for part in key.split("/"))


@settings(max_examples=40, deadline=None)
@given(name=st.one_of(KEY, st.text(max_size=40)))
def test_a_folder_store_puts_files_below_its_root_only(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the name, the object is a file below the root, or the call is refused and creates no file."""
    root = tmp_path_factory.mktemp("root")
    store = folder_store(root / "objects")
    try:
        store.put_bytes(name, b"1", content_type="audio/wav")
        expected = {root / "objects" / name}
    except InvalidKey:
        expected = set()
    assert {path for path in root.rglob("*") if not path.is_dir()} == expected


def test_keys_have_a_maximum_length() -> None:
    """A key and each of its segments has a maximum length."""
    segment = "a" * MAX_SEGMENT_CHARS
    assert check_key(segment) == segment
    with pytest.raises(InvalidKey, match=str(MAX_SEGMENT_CHARS)):
        check_key(segment + "a")
    whole = "/".join(["a"] * (MAX_KEY_CHARS // 2)) + "b"
    assert check_key(whole) == whole
    with pytest.raises(InvalidKey, match=f"{MAX_KEY_CHARS + 1} characters"):
        check_key(whole + "b")


def test_the_error_shows_the_key_and_a_valid_one() -> None:
    """A refused key's message shows the wrong segment and a correct key."""
    with pytest.raises(InvalidKey, match=r"as in jobs/0a1b/v1\.zip.*segment '\.\.'"):
        check_key("jobs/../x")
