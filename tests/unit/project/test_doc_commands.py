"""The commands for developers on the pages exist: tests, benchmarks and their options. `sonichaos` is in test_docs.py."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.doc_blocks import PAGES, ROOT, blocks

_COMMAND = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:python -m )?(?P<program>pytest|benchmarks\.\w+)(?P<arguments>.*)"
)
_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def _shown(page: Path) -> Iterator[str]:
    """Each line of the page's blocks of commands, and each text in backticks."""
    for block in blocks(page, "sh"):
        yield from block.code.splitlines()
    yield from re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))


def _commands(program: str) -> list[tuple[str, str, list[str]]]:
    """Page, program and arguments of the commands whose program begins so."""
    return [
        (page.name, found["program"], shlex.split(found["arguments"], comments=True))
        for page in PAGES
        for shown in _shown(page)
        if (found := _COMMAND.fullmatch(shown.replace("\\|", "|"))) and found["program"].startswith(program)
    ]


def _value(arguments: list[str], option: str, default: str) -> str:
    return arguments[arguments.index(option) + 1] if option in arguments else default


def _holds(expression: str, text: str) -> bool:
    """Whether an expression of ``pytest -k`` or ``-m`` holds: each word stands for its occurrence in the text."""

    def truth(word: re.Match[str]) -> str:
        return word[0] if word[0] in {"and", "or", "not"} else str(word[0].lower() in text.lower())

    return bool(eval(re.sub(r"[^\s()]+", truth, expression)))  # noqa: S307  our own pages


def _tests(path: Path) -> Iterator[tuple[str, str]]:
    """Names and marks of each test of a file or folder; names include those of its file and the values of its parameters."""
    for file in sorted(path.rglob("test_*.py")) if path.is_dir() else [path]:
        source = file.read_text(encoding="utf-8")
        of_all = "soak" if re.search(r"^pytestmark = .*mark\.soak", source, re.MULTILINE) else ""
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, _FUNCTION) and node.name.startswith("test_"):
                decorators = " ".join(ast.get_source_segment(source, one) or "" for one in node.decorator_list)
                yield f"{file.name} {node.name} {decorators}", "soak" if "mark.soak" in decorators else of_all


def _selects(names: list[str], marks: str, words: str) -> bool:
    """Whether pytest finds a test in these files or folders for the expressions of -m and -k."""
    tests = (test for name in names for test in _tests(ROOT / name))
    if any(_holds(marks, mark) and (not words or _holds(words, name)) for name, mark in tests):
        return True
    # Only pytest knows the names of computed parameters.
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", marks, "-k", words, *names]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("page", sorted({page for page, _, _ in _commands("pytest")}))
def test_tests_on_pages_exist(page: str) -> None:
    """The files of each `pytest` command that a page shows exist, and its selection, and each word of it, fits a test."""
    for _, _, arguments in (command for command in _commands("pytest") if command[0] == page):
        names = [name for name in arguments if name.startswith("tests")]
        marks, words = _value(arguments, "-m", "not soak"), _value(arguments, "-k", "")
        for name in names:
            assert (ROOT / name).exists(), f"{page}: pytest {name}"
        single = [word for word in re.findall(r"[^\s()]+", words) if word not in {"and", "or", "not"}]
        for selection in {words, *single} if names else ():
            assert _selects(names, marks, selection), (
                f"{page}: pytest {shlex.join(arguments)}: no test for {selection!r}"
            )


def test_benchmarks_on_pages_exist() -> None:
    """Each benchmark that a page names is one, and has the options that it is shown with."""
    shown = _commands("benchmarks.")
    assert len(shown) > 20
    for page, program, arguments in shown:
        file = ROOT / f"{program.replace('.', '/')}.py"
        assert file.is_file(), f"{page}: {program}"
        options = set(re.findall(r'add_argument\(\s*"(--[\w-]+)"', file.read_text(encoding="utf-8")))
        asked = {word.strip("[]") for word in arguments if word.strip("[").startswith("--")}
        assert asked <= options, f"{page}: {program} has no {asked - options}"
