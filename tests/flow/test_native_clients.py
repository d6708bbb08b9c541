"""The examples in C++, Ruby, Go and Java against a live pair with the starter weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.conftest import running_up
from tests.support.example_flow import check_example, digests
from tests.support.native_clients import LANGUAGES, native_client
from tests.support.pair import LivePair

PERSONA = "neon-drift"


@pytest.fixture(scope="module")
def starter_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePair]:
    """Both services as `sonichaos up` starts them, for all languages."""
    with running_up(tmp_path_factory.mktemp("starter"), {}) as live:
        yield live


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_flow(language: str, starter_pair: LivePair, tmp_path: Path) -> None:
    """One job of two calls, no event lost or repeated by a disconnect, one stem alone, checked, and a re-render."""
    client = native_client(language)
    addresses = ["--address", starter_pair.render_address, "--separation-address", starter_pair.separation_address]
    result = client.run_example(*addresses, "--persona", PERSONA, "--seconds", "2", "--out", str(tmp_path))
    assert result.returncode == 0, result.stderr
    printed = check_example(result.stdout, starter_pair.client)
    assert digests(tmp_path) == {printed["stemSha256"]}
    for version in starter_pair.client.get_job(printed["jobId"]).versions:
        assert f"v{version.number} {version.files.zip.sha256}\n" in result.stdout
