"""Both services with TLS, called with each kind of identity from Python and from TypeScript; each tenant sees its own jobs only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2

from sonichaos_client.verify import verify_zip
from tests.support.certificates import Authority
from tests.support.pair import RENDER, SEPARATION, eventually, health_of
from tests.support.s3_servers import free_port
from tests.support.service_processes import ServiceForker, plain_environment
from tests.support.tiny_separator import audible_stems
from tests.support.tokens import AUDIENCE, ISSUER, Issuer
from tests.support.typescript_build import render_example

COMMAND = str(Path(sys.executable).parent / "sonichaos")
TENANTS = ("by-key", "by-token", "by-certificate")
"""One tenant for each kind of identity."""
SCOPES = ("render", "separate", "read")
ACCESS = f"""
[[certificate]]
subject = "CN=mixer"
tenant = "by-certificate"
scopes = {json.dumps(SCOPES)}

[[jwt]]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
jwks = "jwks.json"
algorithms = ["ES256"]
"""


@dataclass(frozen=True)
class Site:
    """Running services with TLS. ``clients`` has the environment of a client of each tenant, and of one without identity."""

    authority: Authority
    clients: Mapping[str, Mapping[str, str]]

    def run(self, caller: str, *arguments: str, status: int = 0) -> str:
        """Run the command as a caller; returns what it printed to stdout or, if it is to fail, to stderr."""
        result = subprocess.run(
            [COMMAND, *arguments],
            env={**plain_environment(), **self.clients[caller]},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert result.returncode == status, result.stderr
        return result.stderr if status else result.stdout

    def job_ids(self, tenant: str) -> set[str]:
        """The jobs that a tenant sees."""
        return {json.loads(line)["jobId"] for line in self.run(tenant, "jobs", "--json").splitlines()}


def start(service: str, forker: ServiceForker, settings: Mapping[str, str], data: Path) -> int:
    """Start a service and wait until it serves on its Unix socket, where callers need no identity; gives its process id."""
    log, socket = data.parent / f"{service}.log", f"unix:{data}/run/{service.partition('_')[0]}.sock"
    pid = forker.start(service, settings, log)
    serving = int(health_pb2.HealthCheckResponse.SERVING)
    eventually(lambda: health_of(socket) == serving, lambda: f"{service} serves: {log.read_text(encoding='utf-8')}")
    return pid


@pytest.fixture(scope="module")
def site(
    forker: ServiceForker,
    models: Mapping[str, str],
    clips: Mapping[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """Both services on ports with TLS and on ports with mutual TLS, an access file and an API key."""
    folder = tmp_path_factory.mktemp("site")
    authority = Authority.create(folder)
    issuer = Issuer(claims={"scope": " ".join(SCOPES), "sub": "someone", "tenant": "by-token"})
    server, mixer = authority.server(), authority.client("mixer")
    data = folder / "data"
    data.mkdir(mode=0o700)
    (data / "access.toml").write_text(ACCESS, encoding="utf-8")
    (data / "jwks.json").write_bytes(issuer.jwks())
    names = ("RENDER_LISTEN", "RENDER_MTLS_LISTEN", "SEPARATION_LISTEN", "SEPARATION_MTLS_LISTEN", "URL_LISTEN")
    addresses = {name: f"127.0.0.1:{free_port()}" for name in names}
    files = {"TLS_CERTIFICATE": server.certificate, "TLS_KEY": server.key, "TLS_CLIENT_CA": authority.ca, "DATA": data}
    named = {**addresses, **files, "THREADS": "2", "IDENTIFY_LOCAL_CALLERS": "1", "LIMIT_RUNNING_JOBS": "3"}
    settings = {
        **models,
        **audible_stems(folder),
        **{f"SONICHAOS_{name}": str(value) for name, value in named.items()},
    }
    pids = [start(service, forker, settings, data) for service in (SEPARATION, RENDER)]

    created = subprocess.run(
        [COMMAND, "keys", "create", "--tenant", "by-key", "--scopes", ",".join(SCOPES), "--limit", "waiting_jobs=7"],
        env={**plain_environment(), "SONICHAOS_DATA": str(data)},
        capture_output=True,
        text=True,
        check=True,
    )
    key_file, token_file = folder / "key", folder / "token"
    key_file.write_text(created.stdout, encoding="utf-8")
    token_file.write_text(issuer.token(exp=4_000_000_000), encoding="utf-8")

    def client(mutual: str, **paths: Path) -> dict[str, str]:
        called = {
            f"{name}_ADDRESS": f"https://{addresses[f'{name}{mutual}_LISTEN']}" for name in ("RENDER", "SEPARATION")
        }
        return {f"SONICHAOS_{name}": str(value) for name, value in {**called, "CA": authority.ca, **paths}.items()}

    clients = {
        "by-key": client("", API_KEY_FILE=key_file),
        "by-token": client("", TOKEN_FILE=token_file),
        "by-certificate": client("_MTLS", CERTIFICATE=mixer.certificate, KEY=mixer.key),
        "nobody": client(""),
    }
    made = Site(authority, clients)
    for tenant in TENANTS:
        made.run(tenant, "persona", "add", "tone", "--clips", str(clips["tone"].parent), "--prefix", "a tone")
    yield made
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_each_identity_renders_from_python_and_typescript_and_sees_its_own_jobs(site: Site, tmp_path: Path) -> None:
    """An API key, a JWT and a client certificate over TLS: valid ZIPs over HTTPS, and no tenant sees another's jobs."""
    made: dict[str, set[str]] = {}
    take = ("--prompt", "warm tape piano", "--persona", "tone", "--seconds", "2")
    for tenant in TENANTS:
        out, environment = tmp_path / tenant, site.clients[tenant]
        site.run(tenant, "render", *take, "--seed", "7", "--stems", "--out", str(out))
        rendered = render_example(
            environment["SONICHAOS_RENDER_ADDRESS"],
            out,
            *("--separation-address", environment["SONICHAOS_SEPARATION_ADDRESS"]),
            *("--persona", "tone", "--seconds", "2"),
            environment=environment,
        )
        assert rendered.returncode == 0, rendered.stderr
        zips = list(out.glob("*.zip"))
        assert len(zips) == 2
        assert all(verify_zip(path).valid for path in zips)
        made[tenant] = {path.name.rpartition("-v")[0] for path in zips}
        assert json.loads(rendered.stdout.splitlines()[-1])["jobId"] in made[tenant]
    assert {tenant: site.job_ids(tenant) for tenant in TENANTS} == made
    for tenant in TENANTS:
        foreign = next(job_id for other in TENANTS if other != tenant for job_id in made[other])
        assert "JOB_NOT_FOUND" in site.run(tenant, "get", foreign, status=2)


def test_the_limits_are_those_of_the_settings_and_of_the_key(site: Site) -> None:
    """Both reach the running service, which has counted each tenant's clips."""
    for tenant in TENANTS:
        usage = json.loads(site.run(tenant, "usage", "--json"))
        limits = {limit["limit"]: (limit.get("allowed", 0), limit.get("used", 0)) for limit in usage["limits"]}
        assert usage["tenant"] == tenant
        assert limits["waiting_jobs"][0] == (7 if tenant == "by-key" else 100)
        assert limits["running_jobs"][0] == 3
        assert limits["upload_bytes_per_day"][1] > 0


def test_a_signed_url_is_https_and_needs_the_authority(site: Site, clips: Mapping[str, Path], tmp_path: Path) -> None:
    """An upload is separated over TLS too; its URL is refused by a client that does not trust the certificate."""
    site.run("by-key", "separate", str(clips["tone"]), "--out", str(tmp_path))
    (job_id,) = (path.name.removesuffix("-v1.zip") for path in tmp_path.iterdir())
    signed = json.loads(site.run("by-key", "sign-url", job_id, "--json"))["url"]
    assert signed.startswith("https://127.0.0.1:")
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(signed)  # noqa: S310  the scheme was checked


def test_a_caller_without_identity_is_told_how_to_give_one(site: Site) -> None:
    """Over TLS, from this machine too; and without the authority nothing is sent."""
    refused = site.run("nobody", "jobs", status=1)
    assert "CREDENTIALS_MISSING" in refused
    assert "SONICHAOS_API_KEY" in refused
    untrusting = Site(site.authority, {"nobody": {**site.clients["nobody"], "SONICHAOS_CA": ""}})
    assert "is not trusted" in untrusting.run("nobody", "jobs", status=1)
