"""The Python blocks of the READMEs run as documented; the one with credentials is in test_documented_network.py."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

import sonichaos_client
from sonichaos_client.verify import verify_zip
from tests.support.pair import LivePair

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("page", ["README.md", "clients/python/README.md"])
def test_block_of_readme_renders_and_saves_a_take(
    page: str, live_pair: LivePair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run unchanged against the pair under test, twice in one folder, a README's first block downloads a ZIP that verifies."""
    block, *_ = re.findall(
        r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    here = functools.partial(sonichaos_client.Client, live_pair.render_address, live_pair.separation_address)
    monkeypatch.setattr(sonichaos_client, "Client", here)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        exec(compile(block, page, "exec"), {})  # noqa: S102  our own README
    first, second = (tmp_path / "out").iterdir()
    assert not verify_zip(first).failures
    assert not verify_zip(second).failures
