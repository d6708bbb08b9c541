"""What a caller gives with an upload, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from servicekit.delivery.labels import check_labels, check_licence, check_text
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import StemMode
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.store.object_key import InvalidKey, check_key

UPLOAD_FOLDER = "uploads/"
"""Folder in the store whose files can be separated without sending their bytes."""

_REQUEST_ID = re.compile(r"[\x21-\x7e]{0,128}")
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_MAX_FILE_NAME = 255
_ROOT = "header"


@dataclass(frozen=True, kw_only=True)
class UploadHeader:
    """``sha256`` is empty where it is not to be checked, ``store_key`` where the bytes follow.

    ``expire_time`` is UTC; None: never.
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
        """Raise `InvalidFields` with every field that is wrong."""
        found = [
            *check_text(self.file_name, f"{_ROOT}.file_name", max_characters=_MAX_FILE_NAME),
            *check_labels(self.labels, root=_ROOT),
            *check_licence(self.licence, root=_ROOT),
        ]
        if not _REQUEST_ID.fullmatch(self.request_id):
            found.append(FieldViolation(f"{_ROOT}.request_id", "must be at most 128 printable ASCII characters"))
        if not _SHA256.fullmatch(self.sha256):
            found.append(FieldViolation(f"{_ROOT}.sha256", "must be 64 lower-case hex digits, or empty"))
        if not _is_upload_key(self.store_key):
            found.append(FieldViolation(f"{_ROOT}.store_key", f"must be a key under {UPLOAD_FOLDER!r}, or empty"))
        if found:
            raise InvalidFields(found)


def _is_upload_key(key: str) -> bool:
    if not key:
        return True
    try:
        return check_key(key).startswith(UPLOAD_FOLDER)
    except InvalidKey:
        return False
