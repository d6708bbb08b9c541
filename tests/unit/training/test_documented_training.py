"""The commands of `sonichaos-train` on the pages exist, with the options that they are shown with."""

from __future__ import annotations

import re
import shlex

from tests.support.doc_blocks import PAGES, blocks
from training.cli import main


def test_training_commands_on_pages_exist() -> None:
    """In blocks and in backticks, where capitals stand for values."""
    shown = 0
    for page in PAGES:
        lines = [line for block in blocks(page, "sh") for line in block.code.splitlines()]
        for text in (*lines, *re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))):
            if not (found := re.match(r"(?:\.venv/bin/)?sonichaos-train ([a-z].*)", text)):
                continue
            name, *arguments = shlex.split(found[1], comments=True)
            assert name in main.commands, f"{page.name}: {text}"
            options = {option for parameter in main.commands[name].params for option in (*parameter.opts, "--help")}
            asked = {word for word in arguments if word.startswith("--")}
            assert asked <= options, f"{page.name}: {text}: {asked - options}"
            shown += 1
    assert shown > 20
