"""The built page: files in memory, by path, with the headers that browsers need to protect and cache them."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

BUILT = Path(__file__).with_name("page")
"""Where `make web` puts the built page. Wheels have it."""
MAX_PAGE_BYTES = 32 << 20
_HASHED = re.compile(r"/assets/.+-[A-Za-z0-9_-]{8,}\.[a-z0-9.]+")
_TYPES = {
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
_COMPRESSED = ("text/", "application/json", "application/manifest+json", "image/svg+xml")


class PageMissing(Exception):
    """There is no built page; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class _PageFile:
    body: bytes
    compressed: bytes | None
    content_type: str
    cache: str
    tag: str

    def answer(self, request: web.BaseRequest) -> web.Response:
        headers = {"Cache-Control": self.cache, "ETag": self.tag, "Vary": "Accept-Encoding"}
        if self.tag in _listed(request.headers.get("If-None-Match", "")):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        headers["Content-Type"] = self.content_type
        if self.compressed is not None and "gzip" in _listed(request.headers.get("Accept-Encoding", "")):
            return web.Response(body=self.compressed, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=self.body, headers=headers)


class Page:
    """The files of a built page. A path is looked up as text, so none reaches a file outside of the folder."""

    def __init__(self, files: Mapping[str, _PageFile]) -> None:
        self._files = files

    @classmethod
    def load(cls, folder: Path = BUILT) -> Page:
        """Read all files. Raises `PageMissing`."""
        if not (folder / "index.html").is_file():
            raise PageMissing(
                "This installation has no built page. In a checkout, build it with 'make web', which needs Node.js 20 or newer "
                "with npm; released packages contain it."
            )
        files: dict[str, _PageFile] = {}
        total = 0
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
                if total > MAX_PAGE_BYTES:
                    raise PageMissing(
                        f"The built page in {folder} has more than {MAX_PAGE_BYTES} bytes. Run 'make web' again."
                    )
                url = "/" + path.relative_to(folder).as_posix()
                files["/" if url == "/index.html" else url] = _read(url, path.read_bytes())
        return cls(files)

    def answer(self, request: web.BaseRequest) -> web.Response | None:
        """The file that a GET or HEAD asks for; None if there is none."""
        file = self._files.get(request.raw_path.partition("?")[0])
        return None if file is None else file.answer(request)


def _read(url: str, body: bytes) -> _PageFile:
    suffix = Path(url).suffix
    kind = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    compressed = gzip.compress(body, 9, mtime=0) if kind.startswith(_COMPRESSED) else None
    return _PageFile(
        body=body,
        compressed=compressed if compressed is not None and len(compressed) < len(body) else None,
        content_type=f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
        cache="public, max-age=31536000, immutable" if _HASHED.fullmatch(url) else "no-cache",
        tag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
    )


def _listed(header: str) -> set[str]:
    """The entries of a header that is a list. Those that are refused by a weight of 0 are left out."""
    entries = (entry.strip().removeprefix("W/") for entry in header.split(","))
    return {entry.partition(";")[0].strip() for entry in entries if not re.search(r";\s*q=0(\.0*)?$", entry)}
