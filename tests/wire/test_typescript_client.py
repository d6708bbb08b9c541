"""The TypeScript client in Node.js against scripted services, and what is published of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from sonichaos.render.v1 import render_pb2
from tests.conftest import require_debian
from tests.support.certificates import HOSTS, Authority
from tests.support.doc_blocks import ROOT, blocks
from tests.support.pair import eventually
from tests.support.s3_servers import free_port
from tests.support.scripted_service import ZIP
from tests.support.scripted_services import ScriptedPair, scripted_pair
from tests.support.typescript_build import FOLDER, node_answers, render_example, require_build, run_npm

GUIDE = ROOT / "docs" / "clients" / "typescript.md"
API_KEY = "sonichaos_abcdefghij23_" + "s" * 43


def fetch_take(
    address: str, out: Path, environment: Mapping[str, str] | None = None, *, file_limit_bytes: int | None = None
) -> dict[str, Any]:
    """Render a take and fetch its ZIP and one of its stems into ``out``."""
    question = {"fact": "fetchTake", "service": "render", "input": {"out": str(out)}}
    (answer,) = node_answers(address, [question], environment=environment, file_limit_bytes=file_limit_bytes)
    return dict(answer)


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Both services, scripted."""
    with scripted_pair() as running:
        running.render.personas["ember"] = render_pb2.Persona(id="ember")
        yield running


def test_a_watch_resumes_after_disconnects(pair: ScriptedPair, tmp_path: Path) -> None:
    """They lose and repeat no event; the ZIP and one stem of it are complete."""
    pair.render.disconnects = [3, 2]
    pair.render.disconnect_code = grpc.StatusCode.INTERNAL  # as a proxy's idle timeout ends a stream
    answer = fetch_take(pair.render_address, tmp_path)
    assert answer["sequences"] == [str(number) for number in range(1, 11)]
    assert len(answer["disconnects"]) == 2
    assert [request.after_sequence for request in pair.render.requests("WatchJob")] == [0, 3, 5]
    assert (tmp_path / "v1.zip").read_bytes() == ZIP
    assert (tmp_path / "vocals.wav").read_bytes() == ZIP[4:2564]
    assert pair.files.ranges == ["bytes=4-2563", ""]


def test_a_watch_of_a_silent_stream_is_reopened(pair: ScriptedPair) -> None:
    """Three heartbeats did not come: the connection is dead, although nothing says so."""
    job = pair.render.accept("j-quiet", stems=False)
    pair.render.pause_after = 4
    watches = partial(pair.render.requests, "WatchJob")
    question = {"fact": "watchAcrossSilence", "service": "render", "input": {"jobId": job.job_id}}
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(node_answers, pair.render_address, [question])
        eventually(lambda: len(watches()) == 2, "the stream is reopened")
        pair.render.resumed.set()
        (answer,) = answers.result()
    assert answer["sequences"] == [str(number) for number in range(1, 8)]
    assert answer["reasons"] == ["[unavailable] no message for 3 s"]


def test_a_watch_of_a_quiet_job_survives_any_number_of_disconnects(pair: ScriptedPair) -> None:
    """A heartbeat shows that the service was reached, as an event does."""
    job = pair.render.accept("j-quiet", stems=False)
    pair.render.disconnects, pair.render.heartbeats = [0] * 4, 1
    question = {"fact": "watchAcrossSilence", "service": "render", "input": {"jobId": job.job_id}}
    (answer,) = node_answers(pair.render_address, [question])
    assert answer["sequences"] == [str(number) for number in range(1, 8)]
    assert len(answer["reasons"]) == 4


def test_a_file_that_differs_from_what_was_stored_is_refused(pair: ScriptedPair, tmp_path: Path) -> None:
    """The client checks the digest, and leaves nothing behind."""
    pair.files.tamper = True
    answer = fetch_take(pair.render_address, tmp_path)
    assert "v1.zip: expected 3072004 bytes with SHA-256" in answer["error"]["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["vocals.wav"]  # the first byte alone was changed


def test_a_server_that_ignores_a_range_is_refused(pair: ScriptedPair, tmp_path: Path) -> None:
    """The whole ZIP is not taken for a stem."""
    pair.files.ignore_range = True
    answer = fetch_take(pair.render_address, tmp_path)
    expected = "vocals.wav: expected HTTP 206 with bytes 4-2563/3072004, got HTTP 200 with no Content-Range"
    assert expected in answer["error"]["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_larger_than_what_was_stored_is_not_read_to_its_end(pair: ScriptedPair, tmp_path: Path) -> None:
    """A server that goes on sending cannot fill the disk."""
    pair.files.extra_bytes = 1
    answer = fetch_take(pair.render_address, tmp_path)
    assert "vocals.wav: expected 2560 bytes, got more" in answer["error"]["message"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_download_left_behind_is_not_in_the_way(pair: ScriptedPair, tmp_path: Path) -> None:
    """Each download writes to a file of its own until it is complete."""
    pair.render.resumed.set()
    left = tmp_path / "v1.zip.part"
    left.write_bytes(b"half")
    assert "error" not in fetch_take(pair.render_address, tmp_path)
    assert (tmp_path / "v1.zip").read_bytes() == ZIP
    assert left.read_bytes() == b"half"


def test_a_disk_that_becomes_full_leaves_no_part_of_a_file(pair: ScriptedPair, tmp_path: Path) -> None:
    """The last write takes only a part of its bytes, and says so instead of failing."""
    answer = fetch_take(pair.render_address, tmp_path, file_limit_bytes=len(ZIP) - 1)
    assert "EFBIG" in answer["error"]["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["vocals.wav"]


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
    """With a key of the environment; the ZIP comes over HTTPS, without the key."""
    environment = {"SONICHAOS_CA": str(authority.ca), "SONICHAOS_API_KEY": API_KEY}
    with encrypted_pair(authority) as pair:
        assert "error" not in fetch_take(pair.render_address, tmp_path, environment)
        assert {caller.authorization for caller in pair.render.callers} == {(f"Bearer {API_KEY}",)}
        assert pair.files.authorizations == ["", ""]
    assert (tmp_path / "v1.zip").read_bytes() == ZIP


def test_a_client_certificate_and_a_token_file(authority: Authority, tmp_path: Path) -> None:
    """Both reach the service; a stream that ends because the token expired continues with the next one."""
    token, client = tmp_path / "token", authority.client("mixer")
    token.write_text("a.b.c\n")
    files = {"CA": authority.ca, "CERTIFICATE": client.certificate, "KEY": client.key, "TOKEN_FILE": token}
    environment = {f"SONICHAOS_{name}": str(path) for name, path in files.items()}
    with encrypted_pair(authority, mutual=True) as pair:
        pair.render.disconnects = [5]
        pair.render.disconnect_code = grpc.StatusCode.UNAUTHENTICATED
        assert len(fetch_take(pair.render_address, tmp_path, environment)["disconnects"]) == 1
        assert {(caller.authorization, caller.common_name) for caller in pair.render.callers} == {
            (("Bearer a.b.c",), "mixer")
        }


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
        answer = fetch_take(pair.render_address, tmp_path, {"SONICHAOS_API_KEY": API_KEY, **ca})
        assert message in answer["error"]["message"]
        assert pair.render.calls == []


def test_a_key_is_not_sent_in_plain_text_over_a_network(tmp_path: Path) -> None:
    """Refused before anything is sent."""
    key = tmp_path / "studio.key"
    key.write_text(API_KEY)
    result = render_example("studio.example.com:1", tmp_path, "--api-key-file", str(key))
    assert result.returncode != 0
    assert "studio.example.com:1 is plain text" in result.stderr
    assert API_KEY not in result.stderr


def test_the_source_is_linted() -> None:
    """Biome, with its rules for types and promises; a warning fails too."""
    require_build()
    linted = run_npm("run", "--silent", "lint")
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_published_package_can_be_imported(tmp_path: Path) -> None:
    """`npm pack` has the built modules and their types; a strict project compiles with all of it, and with the guide's blocks."""
    require_build()
    packed = run_npm("pack", "--ignore-scripts", "--silent", "--pack-destination", str(tmp_path))
    assert packed.returncode == 0, packed.stderr
    package = tmp_path / "node_modules" / "@sonichaos" / "client"
    with tarfile.open(tmp_path / packed.stdout.strip()) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    package.parent.mkdir(parents=True)
    (tmp_path / "package").rename(package)
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert {"package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "src/index.ts"} <= names
    assert {name.split("/")[0] for name in names} == {"package.json", "README.md", "LICENSE", "dist", "src"}
    manifest = json.loads((package / "package.json").read_text())
    modules = [name.replace("*", "sonichaos/jobs/v1/job_pb") for name in manifest["exports"] if "json" not in name]
    assert len(modules) == 4
    lines = [f'export * as m{number} from "@sonichaos/client{name[1:]}";' for number, name in enumerate(modules)]
    (tmp_path / "every_module.mts").write_text("\n".join(lines))
    (tmp_path / "every_module.mjs").write_text("\n".join(lines))
    for number, block in enumerate(blocks(GUIDE, "typescript")):
        (tmp_path / f"block{number}.mts").write_text(block.code)
    for scope in ("@bufbuild", "@connectrpc", "@types", "undici-types"):
        (tmp_path / "node_modules" / scope).symlink_to(FOLDER / "node_modules" / scope)
    options = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "--types", "node"]
    sources = sorted(path.name for path in tmp_path.glob("*.mts"))
    assert len(sources) == 5
    _run(tmp_path, str(FOLDER / "node_modules" / ".bin" / "tsc"), *options, *sources)
    _run(tmp_path, "node", "every_module.mjs")


def test_the_commands_that_generate_stubs(tmp_path: Path) -> None:
    """Those of the guide write the stubs of this tree, with buf and with protoc."""
    require_build()
    require_debian("protobuf-compiler", "protoc")
    commands = [block.code for block in blocks(GUIDE, "sh") if block.run_by == "tests/wire/test_typescript_client.py"]
    assert len(commands) == 2
    for number, command in enumerate(commands):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copytree(ROOT / "protos", folder / "protos")
        (folder / "node_modules").symlink_to(FOLDER / "node_modules")
        programs = f"{ROOT / 'node_modules' / '.bin'}:{FOLDER / 'node_modules' / '.bin'}:{os.environ['PATH']}"
        _run(folder, "env", f"PATH={programs}", "bash", "-euc", command.replace("npx buf", "buf"))
        assert _texts(folder / "gen") == _texts(FOLDER / "src" / "gen")


def _texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.ts")}


def test_the_example_page_is_served() -> None:
    """By `npm run web`, on a port of choice."""
    require_build()
    port = free_port()
    serving = subprocess.Popen(
        ["npm", "run", "--silent", "web", "--", f"--serve=127.0.0.1:{port}"],
        cwd=FOLDER,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        page = eventually(partial(_fetched, f"http://localhost:{port}/"), "the page is served")
        assert 'src="main.js"' in page
        assert "CreateRenderResponse must have a job" in _fetched(f"http://localhost:{port}/main.js")
    finally:
        os.killpg(serving.pid, signal.SIGKILL)
        serving.wait()


def _fetched(url: str) -> str:
    """What a server answers; empty if none listens."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  loopback
            return str(answer.read().decode())
    except urllib.error.URLError:
        return ""


def _run(folder: Path, *command: str) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_lock_file_names_no_registry() -> None:
    """The packages can be installed through a mirror."""
    lock = json.loads((FOLDER / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
