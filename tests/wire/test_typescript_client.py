"""The TypeScript stubs and example against scripted services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from sonichaos.render.v1 import render_pb2
from tests.support.certificates import HOSTS, Authority
from tests.support.scripted_service import ZIP
from tests.support.scripted_services import ScriptedPair, scripted_pair
from tests.support.typescript_build import FOLDER, render_example

ROOT = FOLDER.parents[1]
API_KEY = "sonichaos_abcdefghij23_" + "s" * 43


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Both services, scripted."""
    with scripted_pair() as running:
        running.render.personas["ember"] = render_pb2.Persona(id="ember")
        yield running


def test_the_example_resumes_after_disconnects_and_downloads_the_zip(pair: ScriptedPair, tmp_path: Path) -> None:
    """Neither its own disconnect nor those of the service lose or repeat an event; the ZIP is complete."""
    pair.render.pause_after = 5  # the job is not done when the example disconnects after the third event
    pair.render.disconnects = [10, 2]
    pair.render.disconnect_code = grpc.StatusCode.INTERNAL  # as a proxy's idle timeout ends a stream
    pair.render.resumed.set()
    result = render_example(pair.render_address, tmp_path, "--disconnect-after", "3")
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["events"] == 10
    assert printed["disconnects"] >= 1
    assert Path(printed["path"]).read_bytes() == ZIP
    after = [request.after_sequence for request in pair.render.requests("WatchJob")]
    assert after[0] == 0
    assert 3 in after


def test_a_file_that_differs_from_what_was_stored_is_refused(pair: ScriptedPair, tmp_path: Path) -> None:
    """The example checks the digest, and leaves nothing behind."""
    pair.files.tamper = True
    result = render_example(pair.render_address, tmp_path)
    assert result.returncode != 0
    assert "SHA-256" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_becomes_full_leaves_no_part_of_a_file(pair: ScriptedPair, tmp_path: Path) -> None:
    """The last write takes only a part of its bytes, and says so instead of failing."""
    result = render_example(pair.render_address, tmp_path, file_limit_bytes=len(ZIP) - 1)
    assert result.returncode != 0
    assert "EFBIG" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that no system trusts."""
    return Authority.create(tmp_path_factory.mktemp("authority"))


@contextmanager
def encrypted_pair(authority: Authority, *, mutual: bool = False) -> Iterator[ScriptedPair]:
    """Both services and the signed URLs over TLS; if ``mutual``, clients must have a certificate."""
    with scripted_pair(authority.server(), authority.ca_pem if mutual else None) as running:
        running.render.personas["ember"] = render_pb2.Persona(id="ember")
        running.render.resumed.set()
        yield running


def test_every_call_over_tls_carries_the_api_key(authority: Authority, tmp_path: Path) -> None:
    """The example renders with a key of the environment; the ZIP comes over HTTPS, without the key."""
    environment = {"SONICHAOS_CA": str(authority.ca), "SONICHAOS_API_KEY": API_KEY}
    with encrypted_pair(authority) as pair:
        result = render_example(pair.render_address, tmp_path, environment=environment)
        assert result.returncode == 0, result.stderr
        assert {caller.authorization for caller in pair.render.callers} == {(f"Bearer {API_KEY}",)}
        assert pair.files.authorizations == [""]
    assert Path(json.loads(result.stdout)["path"]).read_bytes() == ZIP


def test_a_client_certificate_and_a_token_file(authority: Authority, tmp_path: Path) -> None:
    """Both reach the service; a stream that ends because the token expired continues with the next one."""
    token, client = tmp_path / "token", authority.client("mixer")
    token.write_text("a.b.c\n")
    files = {"CA": authority.ca, "CERTIFICATE": client.certificate, "KEY": client.key, "TOKEN_FILE": token}
    environment = {f"SONICHAOS_{name}": str(path) for name, path in files.items()}
    with encrypted_pair(authority, mutual=True) as pair:
        pair.render.disconnects = [10, 5]
        pair.render.disconnect_code = grpc.StatusCode.UNAUTHENTICATED
        result = render_example(pair.render_address, tmp_path / "out", environment=environment)
        assert result.returncode == 0, result.stderr
        assert {(caller.authorization, caller.common_name) for caller in pair.render.callers} == {
            (("Bearer a.b.c",), "mixer")
        }
        assert pair.render.disconnects == []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("unknown authority", "its certificate is not trusted; pass the authority that signed it"),
        ("other host", "its certificate is for another host"),
    ],
)
def test_a_server_that_is_not_trusted_gets_nothing(
    authority: Authority, tmp_path: Path, kind: str, message: str
) -> None:
    """The error says what to do."""
    hosts = ["elsewhere.example.com"] if kind == "other host" else HOSTS
    ca = {} if kind == "unknown authority" else {"SONICHAOS_CA": str(authority.ca)}
    with scripted_pair(authority.server("checked", hosts=hosts)) as pair:
        result = render_example(pair.render_address, tmp_path, environment={"SONICHAOS_API_KEY": API_KEY, **ca})
        assert result.returncode != 0
        assert message in result.stderr
        assert pair.render.calls == []


def test_a_key_is_not_sent_in_plain_text_over_a_network(tmp_path: Path) -> None:
    """Refused before anything is sent."""
    result = render_example("studio.example.com:1", tmp_path, environment={"SONICHAOS_API_KEY": API_KEY})
    assert result.returncode != 0
    assert "studio.example.com:1 is plain text" in result.stderr
    assert API_KEY not in result.stderr


def test_the_lock_file_names_no_registry() -> None:
    """The packages can be installed through a mirror."""
    lock = json.loads((FOLDER / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
