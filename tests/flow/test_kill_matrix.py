"""The kill matrix: each service killed, paused or cut off at each stage of each kind of job, on SQLite, PostgreSQL and S3.

`make soak` runs all of it. A part: ``pytest -m soak tests/flow/test_kill_matrix.py -k "sqlite and take and kill"``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.store.folder_store import FolderStore
from servicekit.store.s3_store import S3Store
from servicekit.store.url_signer import UrlSigner
from tests.flow.conftest import FreshPair, add_personas
from tests.support.databases import empty_database, postgresql_server
from tests.support.kill_matrix import CUT, KILL, LEASE_S, PAUSE, Case, Installation, cases, check_everything, run
from tests.support.lost_commits import LostCommits
from tests.support.s3_servers import rclone_server
from tests.support.stage_gate import (
    STEMS_COMMITTED,
    STEMS_STORED,
    UPLOAD_CHECKED,
    UPLOAD_COMMITTED,
    UPLOAD_RECEIVED,
    UPLOAD_STORED,
    ZIP_STORED,
    StageGate,
)
from tests.support.tiny_separator import tiny_separator
from tests.support.upload_kills import run_upload

pytestmark = pytest.mark.soak
SQLITE, POSTGRESQL, S3 = "sqlite", "postgresql", "s3"
LATE = {"DENOISE", "BOUNCE", "SEPARATE", "STORE", ZIP_STORED, STEMS_STORED, STEMS_COMMITTED}
MATRIX = {
    SQLITE: cases(KILL, PAUSE),
    POSTGRESQL: cases(KILL, PAUSE, CUT),
    S3: [case for case in cases(PAUSE, CUT) if case.point in LATE and case.victim in {case.owner, case.service}],
}


def _settings(folder: Path) -> dict[str, str]:
    """Few steps, a short lease, and a separator whose stems are not silent."""
    repo = tiny_separator(folder / "separator", gain=12.0)
    return {
        "SONICHAOS_SEPARATOR_REPO": str(repo),
        "SONICHAOS_RENDER_STEPS": "4",
        "SONICHAOS_LEASE_SECONDS": f"{LEASE_S:g}",
        "SONICHAOS_UPLOADS_AT_ONCE": "1",  # a place that is not given back would refuse the next upload
    }


@pytest.fixture(scope="module")
def installation(
    request: pytest.FixtureRequest,
    module_pair: FreshPair,
    clips: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """SQLite: one pair. PostgreSQL and S3: two pairs with one journal and one store, each pair with a data folder of its own."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "gate").mkdir()
    with ExitStack() as stack:
        made = _make(request.param, folder, module_pair, clips["tone"], stack)
        for pair in made.pairs:
            pair.start()
        add_personas(made.client, clips)
        made.run_undisturbed(folder)
        yield made
        for pair in made.pairs:
            pair.stop()


def _make(kind: str, folder: Path, make: FreshPair, clip: Path, stack: ExitStack) -> Installation:
    settings = _settings(folder)
    gate = StageGate(folder / "gate")
    signer = UrlSigner(base_url="http://127.0.0.1", secret=bytes(32), now=SystemClock().now)
    if kind == SQLITE:
        pair = make(start=False, gate=gate.folder, **settings)
        store = FolderStore(pair.data / "store", signer)
        return Installation([pair], gate, f"sqlite:///{pair.data}/journal.sqlite3", store, clip)
    url = empty_database(stack.enter_context(postgresql_server(folder / "postgresql")))
    if kind == S3:
        (folder / "s3").mkdir()
        server = stack.enter_context(rclone_server(folder / "s3"))
        of_bucket = server.settings(server.make_bucket())
        settings = settings | {
            "SONICHAOS_STORE": "s3",
            "SONICHAOS_S3_ENDPOINT": of_bucket.endpoint,
            "SONICHAOS_S3_BUCKET": of_bucket.bucket,
            "SONICHAOS_S3_ACCESS_KEY": of_bucket.access_key,
            "SONICHAOS_S3_SECRET_KEY": of_bucket.secret_key,
        }
    pairs, proxies = [], []
    for name in ("p0", "p1"):
        (folder / name).mkdir()
        proxies.append(stack.enter_context(LostCommits(folder / name, url)))
        pairs.append(make(start=False, gate=gate.folder, **settings, SONICHAOS_JOURNAL_URL=proxies[-1].url))
    if kind == S3:
        return Installation(pairs, gate, url, S3Store(of_bucket, now=SystemClock().now), clip, proxies)
    (folder / "store").mkdir()
    for pair in pairs:
        pair.data.mkdir()
        (pair.data / "store").symlink_to(folder / "store")
    return Installation(pairs, gate, url, FolderStore(folder / "store", signer), clip, proxies)


@pytest.mark.parametrize(
    ("installation", "case"),
    [pytest.param(name, case, id=f"{name}-{case}") for name, chosen in MATRIX.items() for case in chosen],
    indirect=["installation"],
    scope="module",
)
def test_kill_matrix(installation: Installation, case: Case, tmp_path: Path) -> None:
    """Every accepted job ends as DONE with the samples of an undisturbed run, announced and recorded once, and nothing is left."""
    try:
        run(installation, case, tmp_path)
    finally:
        installation.restore()


@pytest.mark.parametrize("fault", [KILL, PAUSE])
@pytest.mark.parametrize("point", [UPLOAD_RECEIVED, UPLOAD_CHECKED, UPLOAD_STORED, UPLOAD_COMMITTED])
@pytest.mark.parametrize("installation", [SQLITE, POSTGRESQL], indirect=True, scope="module")
def test_uploads_before_acceptance(installation: Installation, point: str, fault: str, tmp_path: Path) -> None:
    """The caller gets an error that says what to do, its retry one job with the right samples, and nothing is left."""
    try:
        run_upload(installation, point, fault, tmp_path)
    finally:
        installation.restore()


@pytest.mark.parametrize("installation", MATRIX, indirect=True, scope="module")
def test_files_of_all_cases_are_whole(installation: Installation) -> None:
    """No late worker has removed or replaced a file of an earlier case."""
    check_everything(installation)
