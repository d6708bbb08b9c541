"""Databases for the tests of the journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import POSTGRESQL, SQLITE, empty_database, postgresql_server
from tests.support.journal_rows import url_of


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server: the URL of its administration database."""
    with postgresql_server(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture
def postgresql_database(postgresql: str) -> str:
    """An empty PostgreSQL database."""
    return empty_database(postgresql)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; the test runs once on each kind."""
    return url_of(tmp_path) if request.param == SQLITE else request.getfixturevalue("postgresql_database")
