"""The header of an upload, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from servicekit.access.caller import LOCAL_TENANT
from servicekit.caller_fields import check_labels, check_licence, check_priority, check_request_id, check_text
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import StemMode
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.store.object_key import InvalidKey, check_key
from servicekit.store.object_store import ObjectStore

UPLOAD_FOLDER = "uploads/"
"""The folder of the store whose files can be separated without sending their bytes. Each tenant has a folder of its own in it."""

_SHA256 = re.compile(r"([0-9a-f]{64})?")
_MAX_FILE_NAME_CHARACTERS = 255


@dataclass(frozen=True, kw_only=True)
class UploadHeader:
    """The fields of an upload besides its bytes.

    ``sha256`` is empty if it is not to be checked, ``store_key`` if the bytes follow. ``expire_time`` is UTC; None: never.
    """

    request_id: str
    stem_mode: StemMode
    file_name: str
    labels: Mapping[str, str]
    licence: Licence
    sha256: str
    store_key: str
    expire_time: datetime | None = None
    priority: int = 0
    resample: bool = False

    def __post_init__(self) -> None:
        """Raise `InvalidFields` naming every field that is wrong."""
        found = [
            *check_request_id(self.request_id, "header.request_id"),
            *check_text(self.file_name, "header.file_name", max_characters=_MAX_FILE_NAME_CHARACTERS),
            *check_labels(self.labels, "header.labels"),
            *check_licence(self.licence, "header.licence"),
            *check_priority(self.priority, "header.priority"),
        ]
        if not _SHA256.fullmatch(self.sha256):
            found.append(FieldViolation("header.sha256", f"must be 64 lower-case hex digits, got {self.sha256[:80]!r}"))
        found += check_upload_key(self.store_key, "header.store_key")
        if found:
            raise InvalidFields(found)


def upload_folder(tenant: str) -> str:
    """The folder whose files a tenant's callers may name, with a slash at its end. ``local`` may name every tenant's."""
    return UPLOAD_FOLDER if tenant == LOCAL_TENANT else f"{UPLOAD_FOLDER}{tenant}/"


def own_uploads(tenant: str, store: ObjectStore) -> list[str]:
    """The keys of the files that only a tenant may name. For ``local``: those that lie in no folder, which may be a tenant's."""
    keys = store.keys(upload_folder(tenant).rstrip("/"))
    return [key for key in keys if tenant != LOCAL_TENANT or "/" not in key.removeprefix(UPLOAD_FOLDER)]


def erase_uploads(tenant: str, store: ObjectStore) -> int:
    """Remove those files; returns how many there were."""
    keys = own_uploads(tenant, store)
    for key in keys:
        store.delete(key)
    return len(keys)


def check_upload_key(key: str, field: str) -> list[FieldViolation]:
    """A key of the folder whose files callers may name; empty is none. What else the store has belongs to jobs and personas."""
    try:
        valid = not key or check_key(key).startswith(UPLOAD_FOLDER)
    except InvalidKey:
        valid = False
    return [] if valid else [FieldViolation(field, f"must be a key under {UPLOAD_FOLDER!r}, got {key[:80]!r}")]
