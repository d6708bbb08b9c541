"""Subjects of certificates as RFC 4514 writes them, compared by their meaning."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.x509 import Name
from cryptography.x509.oid import NameOID

_MORE_TYPES = {"EMAILADDRESS": NameOID.EMAIL_ADDRESS, "SERIALNUMBER": NameOID.SERIAL_NUMBER}
"""Types beside those of RFC 4514, section 3, under the names that OpenSSL prints."""


def parse_subject(text: str) -> Name:
    """The name that ``text`` writes; equal names are equal and hash alike, however they are written.

    Types may have any case and spaces may surround separators, but values count exactly. Raises ValueError.
    """
    try:
        name = Name.from_rfc4514_string("".join(_normalised(text)), attr_name_overrides=_MORE_TYPES)
    except ValueError as error:
        detail = f" ({error})" if str(error) else ""
        raise ValueError(f"must be a subject such as 'CN=mixer,O=Example' (RFC 4514), got {text!r}{detail}") from None
    if not name.rdns:
        raise ValueError("must be a subject such as 'CN=mixer,O=Example' (RFC 4514), got an empty one")
    return name


def _normalised(text: str) -> Iterator[str]:
    """Each attribute with its type in capitals and without the spaces around it, and each separator."""
    for part in _parts(text):
        kind, equals, value = part.partition("=")
        yield kind.strip().upper() + equals + _strip(value)


def _parts(text: str) -> Iterator[str]:
    """Attributes and the separators between them: ``,`` and ``+`` unless escaped."""
    part, escaped = "", False
    for character in text:
        if character in ",+" and not escaped:
            yield part
            yield character
            part = ""
        else:
            part += character
        escaped = character == "\\" and not escaped
    yield part


def _strip(value: str) -> str:
    """Without surrounding spaces, except an escaped last one."""
    stripped = value.strip(" ")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if backslashes % 2 and value.rstrip(" ") != value else stripped
