"""The site of docs/ as `make site` writes it: complete, without requests to other hosts, and with links that resolve."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
# Of these elements a browser fetches the address by itself; `a` is for readers.
_LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


class _Page(HTMLParser):
    """Ids, links and loaded addresses of one HTML page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what the element names."""
        named = {name: value for name, value in attrs if value is not None}
        self.ids |= {named[name] for name in ("id", "name") if name in named}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if tag in _LOADED and _LOADED[tag] in named and named.get("rel") != "canonical":
            self.loaded.append(named[_LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Strict: MkDocs fails on a page outside the navigation and on a link to a missing page or anchor."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, f"{built.stdout}{built.stderr}\nA new page needs a line in mkdocs.yml."
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, _Page]:
    """Every HTML page of the site, but for 404.html, whose links begin at a server's top."""
    return {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}


def test_site_loads_nothing_from_other_hosts(site: Path, pages: dict[Path, _Page]) -> None:
    """No page and no style sheet makes a browser fetch something from another host."""
    for path, page in pages.items():
        assert page.loaded, path
        for address in page.loaded:
            assert not re.match(r"([a-z]+:)?//", address), f"{path.relative_to(site)} loads {address}"
    for sheet in site.rglob("*.css"):
        loaded = re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text(encoding="utf-8"))
        assert not loaded, f"{sheet.relative_to(site)} loads {loaded}"


def test_links_of_the_site_resolve(site: Path, pages: dict[Path, _Page]) -> None:
    """Each link inside the site leads to a file, and its anchor to an element of that page."""
    broken: dict[str, set[str]] = defaultdict(set)
    for path, page in pages.items():
        for link in page.links + page.loaded:
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = unquote(link).partition("#")
            found = (path.parent / target.partition("?")[0]).resolve() if target else path
            if found.is_dir():
                found /= "index.html"
            if not found.is_file() or (anchor and found in pages and anchor not in pages[found].ids):
                broken[str(path.relative_to(site))].add(link)
    assert not broken


def test_each_page_is_there_as_html_and_as_markdown(site: Path) -> None:
    """Beside each page's HTML lies its Markdown, whose links lead to Markdown, and llms.txt lists it."""
    listed = set(re.findall(r"\]\(([^)]+)\)", (site / "llms.txt").read_text(encoding="utf-8")))
    for source in DOCS.rglob("*.md"):
        name = source.relative_to(DOCS)
        text = (site / name).read_text(encoding="utf-8")
        assert text.splitlines()[0] == source.read_text(encoding="utf-8").splitlines()[0]
        assert (site / name.parent / ("index.html" if name.stem == "README" else f"{name.stem}.html")).is_file()
        assert str(name) == "README.md" or str(name) in listed, f"llms.txt lacks {name}"
        for target in re.findall(r"\[[^\]]*\]\(([^)\s#]+)", text):
            assert re.match(r"[a-z]+:", target) or (site / name.parent / target).exists(), f"{name}: {target}"


def test_files_outside_docs_have_pages(site: Path) -> None:
    """A proto that docs/ links to is a page of the site, with its text."""
    proto = (site / "repository" / "protos" / "sonichaos" / "jobs" / "v1" / "job.proto.md").read_text(encoding="utf-8")
    assert (ROOT / "protos" / "sonichaos" / "jobs" / "v1" / "job.proto").read_text(encoding="utf-8").strip() in proto
