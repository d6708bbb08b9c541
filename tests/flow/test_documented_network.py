"""The documented commands that start services, in a network of their own: default ports, 0.0.0.0, Envoy, and a caller elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sonichaos_client.verify import verify_zip
from tests.conftest import require_debian
from tests.support import documented_shell
from tests.support.documented_shell import checkout, documented, environment
from tests.support.envoy import require_envoy
from tests.support.own_network import OwnNetwork, Started, own_network
from tests.support.pair import eventually

THIS = "tests/flow/test_documented_network.py"
HEALTHZ = 'python -c "import urllib.request as r; print(r.urlopen(\\"http://127.0.0.1:50070/healthz\\").status)"'


@pytest.fixture
def network(tmp_path: Path) -> Iterator[OwnNetwork]:
    """Where `studio` is the name of the services' machine."""
    with own_network(tmp_path, "studio") as made:
        yield made


def wait_ready(services: Started) -> dict[str, str]:
    """What `sonichaos up` prints when both services serve."""

    def ready() -> dict[str, str] | None:
        assert services.process.poll() is None, services.text()
        lines = [json.loads(line) for line in services.text().splitlines() if line.startswith('{"ready"')]
        return lines[0] if lines else None

    found = eventually(ready, services.text)
    assert found is not None
    return found


def test_up_serves_the_default_addresses_and_browsers_through_envoy(
    network: OwnNetwork, models: dict[str, str], tmp_path: Path
) -> None:
    """`sonichaos up` needs no option, Envoy none of its own either, and Ctrl-C ends both with status 0."""
    require_envoy()
    up, _ = documented("docs/runbook.md", THIS)
    _, envoy = documented("docs/deployment.md", THIS)
    folder = checkout(tmp_path / "project", "docker")
    given = environment(folder, **models, SONICHAOS_DATA=str(tmp_path / "data"))
    (tmp_path / "up").mkdir()
    with network.started(up, tmp_path / "up", given) as services:
        addresses = wait_ready(services)
        assert [addresses[name] for name in ("renderAddress", "separationAddress", "urlListen")] == [
            f"127.0.0.1:{port}" for port in (50071, 50072, 50073)
        ]
        network.run("sonichaos models", folder, environment(folder))
        with network.started(envoy, folder, given) as proxy:

            def healthy() -> bool:
                assert proxy.process.poll() is None, proxy.text()
                return network.run(f"{HEALTHZ} || true", folder, given) == "200\n"

            eventually(healthy, proxy.text)
            both = {f"SONICHAOS_{name}_ADDRESS": "127.0.0.1:50070" for name in ("RENDER", "SEPARATION")}
            shown = network.run("sonichaos models", folder, environment(folder, **both))
            assert shown == network.run("sonichaos models", folder, environment(folder))
            assert proxy.interrupt() == 0
        assert services.interrupt() == 0, services.text()


def test_a_caller_elsewhere_renders_over_tls(network: OwnNetwork, tmp_path: Path) -> None:
    """The READMEs' commands for both machines and block of Python; then the log says who called, as the runbook shows."""
    require_debian("openssl", "openssl")
    require_debian("jq", "jq")
    serve, create_key, render = documented("README.md", THIS)
    (list_personas,) = documented("clients/python/README.md", THIS, "python")
    _, read_log = documented("docs/runbook.md", THIS)
    list_jobs, _ = documented("docs/deployment.md", THIS)
    here, there = checkout(tmp_path / "here", "docker"), tmp_path / "there"
    there.mkdir()
    given = environment(here, SONICHAOS_DATA=str(tmp_path / "data"), SONICHAOS_THREADS="2")
    with network.started(serve, here, given) as services:
        wait_ready(services)
        network.run(create_key, here, given)
        shutil.copy(here / "docker" / "certificates" / "client" / "ca.pem", there)
        shutil.copy(here / "studio-a.key", there)
        network.run(render, there, environment(there))
        (made,) = there.glob("*.zip")
        assert not verify_zip(made).failures
        for name, of_client in (("ca.pem", "studio-ca.pem"), ("studio-a.key", "studio.key")):
            shutil.copy(there / name, there / of_client)
        assert "neon-drift" in network.run(f"python - <<'END'\n{list_personas}END\n", there, environment(there))

        job_id = made.name.rpartition("-v")[0]
        assert job_id in network.run(list_jobs, here, environment(here))
        wrong = (here / "studio-a.key").read_text(encoding="utf-8").strip()
        (there / "studio-a.key").write_text(wrong[:-1] + ("a" if wrong[-1] != "a" else "b"), encoding="utf-8")
        asked = render.replace("sonichaos render", "! sonichaos render")
        network.run(asked, there, environment(there))
        lines = [json.loads(line) for line in documented_shell.run(read_log, here, given).splitlines()]
        calls = {
            line["method"].rpartition("/")[2] for line in lines if line["event"] == "rpc ended" and "tenant" in line
        }
        assert {"CreateRender", "ListJobs"} <= calls
        assert any(line.get("reason") == "CREDENTIALS_INVALID" for line in lines)
        assert services.interrupt() == 0, services.text()
