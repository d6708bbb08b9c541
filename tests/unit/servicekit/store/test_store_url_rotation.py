"""``sonichaos url-secret rotate`` while services run: what becomes of URLs that were given out."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import click
import pytest
from click.testing import CliRunner, Result

from hostctl.url_secret import url_secret
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_secret import UrlSecretFile
from servicekit.store.url_signer import UrlSigner
from sonichaos_client.cli.root import Root
from tests.support.s3_servers import free_port
from tests.unit.servicekit.store.conftest import Clock, served

KEY = "jobs/0a1b/bounce.wav"
TWO_HOURS_S = 7200


@pytest.fixture
def clock() -> Clock:
    """The time of both services."""
    return Clock()


@pytest.fixture
def services(tmp_path: Path, clock: Clock) -> Iterator[list[FolderStore]]:
    """The stores of two services on one data folder; the first one serves the URLs of both."""
    port = free_port()
    stores = []
    for _ in range(2):
        secrets = UrlSecretFile(tmp_path / "url-secret")
        signer = UrlSigner(base_url=f"http://127.0.0.1:{port}", secret=secrets.current, now=clock)
        stores.append(FolderStore(tmp_path / "store", signer))
    stores[0].put_bytes(KEY, b"audio", content_type="audio/wav")
    with served(stores[0], port):
        yield stores


def rotate(data: Path, *options: str, **environment: str) -> Result:
    """Run the command as an operator does."""
    root = Root("sonichaos", commands=[url_secret])
    environment = {"SONICHAOS_DATA": str(data), **environment}
    return CliRunner().invoke(root, ["url-secret", "rotate", *options], env=environment)


def status(url: str) -> int:
    """The HTTP status of GET."""
    try:
        with urlopen(url, timeout=10) as response:  # noqa: S310 - a URL of this test's server
            return int(response.status)
    except HTTPError as error:
        return error.code


def test_a_url_works_within_the_overlap_and_is_refused_after_it(
    services: list[FolderStore], tmp_path: Path, clock: Clock
) -> None:
    """A URL of either service that was signed before a rotation is accepted until the overlap ends, although it lives longer."""
    before = [store.signed_url(KEY, ttl_s=TWO_HOURS_S).url for store in services]
    assert rotate(tmp_path, "--overlap", "1h").exit_code == 0
    after = [store.signed_url(KEY, ttl_s=TWO_HOURS_S).url for store in services]
    assert {url.split("key_id=")[1][:8] for url in before}.isdisjoint(url.split("key_id=")[1][:8] for url in after)
    clock.shift = timedelta(minutes=59)
    assert [status(url) for url in before + after] == [HTTPStatus.OK] * 4
    clock.shift = timedelta(minutes=61)
    assert [status(url) for url in before] == [HTTPStatus.FORBIDDEN] * 2
    assert [status(url) for url in after] == [HTTPStatus.OK] * 2


def test_without_overlap_a_replayed_url_is_refused_at_once(services: list[FolderStore], tmp_path: Path) -> None:
    """After a rotation with --overlap 0, a URL that worked a moment ago is refused."""
    url = services[1].signed_url(KEY, ttl_s=TWO_HOURS_S).url
    assert status(url) == HTTPStatus.OK
    said = rotate(tmp_path, "--overlap", "0")
    assert "URLs signed before are refused" in said.stdout
    assert status(url) == HTTPStatus.FORBIDDEN
    assert status(services[1].signed_url(KEY, ttl_s=TWO_HOURS_S).url) == HTTPStatus.OK


def test_the_id_of_a_secret_cannot_be_exchanged(services: list[FolderStore], tmp_path: Path) -> None:
    """A URL with the id of another accepted secret, or without one, does not have the signature that it needs."""
    before = services[0].signed_url(KEY, ttl_s=TWO_HOURS_S).url
    rotate(tmp_path, "--overlap", "1h")
    after = services[0].signed_url(KEY, ttl_s=TWO_HOURS_S).url
    old, new = (url.split("key_id=")[1][:8] for url in (before, after))
    assert status(before.replace(old, new)) == HTTPStatus.FORBIDDEN
    assert status(before.replace(f"&key_id={old}", "")) == HTTPStatus.FORBIDDEN
    assert status(before) == HTTPStatus.OK


def test_a_url_of_an_earlier_release_works_until_its_secret_ends(services: list[FolderStore], tmp_path: Path) -> None:
    """A URL without the id of a secret is accepted as long as the secret that signed it."""
    secret = bytes.fromhex((tmp_path / "url-secret").read_text())
    expires = int(time.time()) + TWO_HOURS_S
    signature = hmac.new(secret, f"sonichaos-url-v1\nGET\n{KEY}\n{expires}".encode(), hashlib.sha256).hexdigest()
    url = f"{services[0].signer.base_url}/{KEY}?expires={expires}&signature={signature}"
    assert status(url) == HTTPStatus.OK
    rotate(tmp_path, "--overlap", "1h")
    assert status(url) == HTTPStatus.OK
    rotate(tmp_path, "--overlap", "0")
    assert status(url) == HTTPStatus.FORBIDDEN


def test_the_command_names_the_secrets_by_their_ids(services: list[FolderStore], tmp_path: Path) -> None:
    """By default the old secret is accepted for a week, the longest time to live of a URL; no secret is printed."""
    old = services[0].signed_url(KEY, ttl_s=60).url.split("key_id=")[1][:8]
    answer = json.loads(rotate(tmp_path, "--json").stdout)
    assert services[0].signed_url(KEY, ttl_s=60).url.split("key_id=")[1][:8] == answer["keyId"]
    (earlier,) = answer["earlier"]
    assert earlier["keyId"] == old
    accepted = [one.end_s for one in UrlSecretFile(tmp_path / "url-secret").current().earlier]
    assert accepted[0] == pytest.approx(time.time() + 7 * 24 * 3600, abs=600)
    said = rotate(tmp_path).stdout
    assert f"URLs signed with {answer['keyId']} are accepted until" in said
    for line in (tmp_path / "url-secret").read_text().splitlines():
        assert line.split()[0] not in said


@pytest.mark.parametrize("overlap", ["", "1", "-1h", "1w", "8d", "1.5h", "169h", "٣h"])
def test_an_invalid_overlap_is_refused(tmp_path: Path, overlap: str) -> None:
    """An overlap is 0 or a number with a unit, a week at most; the message says so and nothing is rotated."""
    refused = rotate(tmp_path, "--overlap", overlap)
    assert refused.exit_code == click.UsageError.exit_code
    assert "must be 0 or a number with its unit, such as 90s, 10m, 1h or 2d, up to 7d" in refused.stderr
    assert not (tmp_path / "url-secret").exists()


def test_unusable_settings_are_refused(tmp_path: Path) -> None:
    """With an S3 store, or with a file that others can read, the command says what to do."""
    assert "Rotate its access key" in rotate(tmp_path, SONICHAOS_STORE="s3").stderr
    (tmp_path / "url-secret").touch(mode=0o644)
    assert "mode 0600" in rotate(tmp_path).stderr
    assert "cannot be replaced: No such file" in rotate(tmp_path / "nowhere").stderr
