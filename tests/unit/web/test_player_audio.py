"""The page's player in Debian's Chromium, without the services: what it plays, sample by sample."""

from __future__ import annotations

from tests.conftest import require_debian
from tests.support.typescript_build import CHROMIUM
from tests.support.web_page import require_packages, run_npm


def test_the_player_plays_every_sample_where_it_belongs() -> None:
    """clients/web/test/player_audio.spec.ts: stems in step, loops without a seam, versions at one position, clicks on beats."""
    require_debian("chromium", CHROMIUM)
    require_packages()
    ran = run_npm("run", "--silent", "test:browser", "--", "player_audio.spec.ts")
    assert ran.returncode == 0, ran.stdout + ran.stderr
