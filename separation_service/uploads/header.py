"""What a caller says of an upload, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import StemMode
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.store.object_key import InvalidKey, check_key
from servicekit.text import has_control_characters

UPLOAD_FOLDER = "uploads/"
"""Where files of the store lie that may be separated without sending their bytes."""

_REQUEST_ID = re.compile(r"[\x21-\x7e]{0,128}")
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_MAX_FILE_NAME, _MAX_LABELS, _MAX_LABEL_NAME, _MAX_LABEL_VALUE = 255, 32, 63, 256
_MAX_TIER, _MAX_LICENSEE, _MAX_TERMS = 64, 256, 2048


@dataclass(frozen=True, kw_only=True)
class UploadHeader:
    """What a caller says of an upload.

    ``sha256`` empty: not checked. ``store_key`` empty: the bytes follow. ``expire_time`` (UTC) None: never.
    """

    request_id: str
    stem_mode: StemMode
    file_name: str
    labels: Mapping[str, str]
    licence: Licence
    sha256: str
    store_key: str
    expire_time: datetime | None = None

    def __post_init__(self) -> None:
        """Raise `InvalidFields` naming every field that is wrong."""
        licence = self.licence
        wrong = {
            "request_id": (not _REQUEST_ID.fullmatch(self.request_id), "wants at most 128 printable ASCII characters"),
            "file_name": (not _is_text(self.file_name, _MAX_FILE_NAME), _text_wanted(_MAX_FILE_NAME)),
            "labels": (
                not _are_labels(self.labels),
                "wants at most 32, names of 1 to 63 and values of at most 256 characters",
            ),
            "licence.tier": (not _is_text(licence.tier, _MAX_TIER), _text_wanted(_MAX_TIER)),
            "licence.licensee": (not _is_text(licence.licensee, _MAX_LICENSEE), _text_wanted(_MAX_LICENSEE)),
            "licence.terms": (not _is_text(licence.terms, _MAX_TERMS), _text_wanted(_MAX_TERMS)),
            "sha256": (not _SHA256.fullmatch(self.sha256), "wants 64 lower-case hex digits, or nothing"),
            "store_key": (not _is_upload_key(self.store_key), f"wants a key under {UPLOAD_FOLDER!r}, or nothing"),
        }
        found = [FieldViolation(f"header.{field}", advice) for field, (is_wrong, advice) in wrong.items() if is_wrong]
        if found:
            raise InvalidFields(found)


def _are_labels(labels: Mapping[str, str]) -> bool:
    return len(labels) <= _MAX_LABELS and all(
        name and _is_text(name, _MAX_LABEL_NAME) and _is_text(value, _MAX_LABEL_VALUE) for name, value in labels.items()
    )


def _is_text(text: str, most: int) -> bool:
    return len(text) <= most and not has_control_characters(text)


def _text_wanted(most: int) -> str:
    return f"wants at most {most} characters and no control character"


def _is_upload_key(key: str) -> bool:
    if not key:
        return True
    try:
        return check_key(key).startswith(UPLOAD_FOLDER)
    except InvalidKey:
        return False
