"""The code blocks of the documentation are well formed, and those that no test runs are counted."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.support.doc_blocks import PAGES, ROOT, Block, blocks

ALL = [block for page in PAGES for block in blocks(page)]
LANGUAGES = {
    "sh",
    "text",
    "python",
    "javascript",
    "typescript",
    "yaml",
    "json",
    "toml",
    "ini",
    "cmake",
    "cpp",
    "ruby",
    "go",
    "java",
    "groovy",
    "xml",
}
# Why no test runs a block of commands, and how many blocks that is. A new reason, or one block more, is a decision: write it here.
NOT_RUN = {
    "downloads weights from huggingface.co": 2,
    "needs Docker": 4,
    "needs Maven Central": 2,
    "needs a GPU": 3,
    "needs a cluster": 1,
    "needs the proxy of Go modules": 2,
    "runs all tests, this one too": 2,
}


def _ids(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


def test_blocks_that_no_test_runs_are_counted() -> None:
    """Each reason is known and has as many blocks as it says, so the blocks that nothing runs cannot grow unnoticed."""
    counted = Counter(block.not_run for block in ALL if block.language == "sh" and block.not_run)
    assert dict(counted) == NOT_RUN


def test_tests_that_run_blocks_exist() -> None:
    """A block that names the test that runs it names one that exists."""
    for block in ALL:
        assert not block.run_by or (ROOT / block.run_by).is_file(), f"{block}: {block.run_by}"


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_every_block_is_fenced_and_has_a_language(page: Path) -> None:
    """Each block begins with its language, and no block is marked by indentation, which no test would find."""
    found = list(blocks(page))
    for block in found:
        assert block.language in LANGUAGES, f"{block}: {block.language!r} is none of {sorted(LANGUAGES)}"
    text = page.read_text(encoding="utf-8")
    for block in found:
        text = text.replace(block.code, "")
    for indented in re.finditer(r"\n\n {4,}\S.*", text):
        before = text[: indented.start()].rsplit("\n\n", 1)[-1]
        assert re.match(r" *([-*]|\d+\.) ", before), (
            f"{page.relative_to(ROOT)}: fence this block: {indented[0].strip()}"
        )


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "sh"], ids=_ids)
def test_commands_are_valid_shell(block: Block) -> None:
    """Each block of commands is valid for bash, also where no test runs it."""
    checked = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, f"{block}: {checked.stderr}"


@pytest.mark.parametrize(
    "block", [block for block in ALL if block.language in {"yaml", "json", "toml", "ini"}], ids=_ids
)
def test_data_blocks_parse(block: Block) -> None:
    """Each block of data parses: YAML, JSON, TOML, and files of variables as systemd and docker read them."""
    if block.language == "yaml":
        assert list(yaml.safe_load_all(block.code))
    elif block.language == "json":
        assert json.loads(block.code)
    elif block.language == "toml":
        assert tomllib.loads(block.code)
    else:
        for line in block.code.splitlines():
            assert re.match(r"([A-Za-z_]\w*=.*|[#;].*|\[\w+\]|)$", line), f"{block}: {line}"
