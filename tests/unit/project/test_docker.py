"""docker/: what can be checked without a Docker engine."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from render_service.settings import RenderSettings
from separation_service.settings import SeparationSettings
from servicekit.rpc.endpoints import check_listen_address
from servicekit.settings import read_settings

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
MTLS: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.mtls.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, type[RenderSettings | SeparationSettings]] = {
    "render-service": RenderSettings,
    "separation-service": SeparationSettings,
}
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


def _instructions() -> list[list[str]]:
    """The Dockerfile's instructions as words, with continued lines joined and comments removed."""
    lines = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def _stages() -> dict[str, list[list[str]]]:
    """The instructions of each build stage, by name."""
    stages: dict[str, list[list[str]]] = {}
    for words in _instructions():
        if words[0] == "FROM":
            stages[words[3]] = []
        elif stages:
            stages[list(stages)[-1]].append(words)
    return stages


def _example_environment() -> dict[str, str]:
    lines = (ROOT / "docker" / "env.example").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    return dict(pairs)


def _filled(text: object) -> str:
    """A value of the compose file with the variables of docker/env.example substituted, as compose does."""
    given = _example_environment()

    def fill(match: re.Match[str]) -> str:
        name, kind, words = match["name"], match["kind"], match["text"]
        value = given.get(name, "")
        assert value or kind == "-", f"docker/env.example lacks {name}"
        return value or words or ""

    return _VARIABLE.sub(fill, str(text))


def _settings(name: str, *, mutual: bool = False) -> RenderSettings | SeparationSettings:
    given = COMPOSE["services"][name]["environment"] | (MTLS["services"][name]["environment"] if mutual else {})
    (data,) = [
        word.partition("=")[2] for words in _stages()["installed"] for word in words if "SONICHAOS_DATA=" in word
    ]
    return read_settings(
        SERVICES[name], {"SONICHAOS_DATA": data} | {key: _filled(value) for key, value in given.items()}
    )


def _mounts(name: str) -> dict[str, str]:
    """What each folder of a service's container shows: a volume, or a folder of the host."""
    mounts = {}
    for volume in COMPOSE["services"][name]["volumes"]:
        source, target = (volume["source"], volume["target"]) if isinstance(volume, dict) else volume.split(":")[:2]
        mounts[target] = _filled(source)
    return mounts


def test_copied_paths_are_in_the_build_context() -> None:
    """Every path that the Dockerfile copies is in the repository, and .dockerignore does not exclude it."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [path for words in _instructions() if words[0] == "COPY" for path in words[1:-1]]
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert path in allowed, f".dockerignore excludes {path}"


def test_image_holds_every_package_of_the_distribution() -> None:
    """Each package that pyproject.toml installs is copied into the image."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    copied = {path for words in _instructions() if words[0] == "COPY" for path in words[1:-1]}
    assert {pattern.removesuffix("*") for pattern in found} <= copied


def test_package_data_covers_weights_and_personas() -> None:
    """An installation contains every file of the weights and personas that a service reads."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    for folder in ("render_service/weights", "render_service/personas/builtin", "separation_service/weights"):
        for path in (ROOT / folder).rglob("*"):
            assert path.is_dir() or any(path.match(pattern) for pattern in patterns), path


def test_packages_are_installed_by_hash_only() -> None:
    """Every pip command of the image installs from docker/constraints.txt by hash, or the copied sources and nothing else."""
    commands = " && ".join(" ".join(words[1:]) for words in _instructions() if words[0] == "RUN").split(" && ")
    packages, sources, of_fake, client = (
        command.split()[2:] for command in commands if command.startswith("pip install ")
    )
    by_hash = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r"]
    assert (packages, of_fake) == ([*by_hash, "docker/constraints.txt"], [*by_hash, "fake.txt"])
    assert sources == ["--no-deps", "--no-build-isolation", "./clients/python", "."]
    assert client == ["--no-deps", "--no-build-isolation", "./clients/python"]


def test_the_image_of_the_fake_has_what_the_extra_testing_needs() -> None:
    """The chosen packages are the client's dependencies with its extra, and what builds it; constraints.txt has them all."""
    (chosen,) = [
        words[1].split("=", 1)[1].split("|") for words in _stages()["fake"] if words[1].startswith("PACKAGES=")
    ]
    project = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(one) for one in [*project["dependencies"], *project["optional-dependencies"]["testing"]]]
    needed: set[str] = set()
    while wanted:
        name = canonicalize_name(wanted.pop().name)
        if name not in needed:
            needed.add(name)
            further = [Requirement(one) for one in distribution(name).requires or ()]
            wanted += [one for one in further if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert set(chosen) == needed | {"setuptools"}
    pinned = re.findall(
        r"^([a-z0-9-]+)==", (ROOT / "docker" / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(chosen) <= set(pinned)


@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("name", SERVICES)
def test_service_settings_are_valid(name: str, mutual: bool) -> None:  # noqa: FBT001 - a column of the table
    """Each SONICHAOS_ variable of a service in compose is a setting of that service with a valid value."""
    settings = _settings(name, mutual=mutual)
    assert settings.device == "cuda"
    assert settings.store == "s3"


@pytest.mark.parametrize("name", SERVICES)
def test_callers_are_identified_over_tls(name: str) -> None:
    """Every address beyond loopback has TLS, from files that are mounted read-only, and SONICHAOS_INSECURE is not set."""
    settings = _settings(name, mutual=True)
    assert not settings.insecure
    assert settings.tls_certificate is not None
    assert settings.tls_key is not None
    values = settings.model_dump()
    short = name.partition("-")[0]
    for setting in (f"{short}_listen", f"{short}_mtls_listen"):
        assert values[setting].startswith("0.0.0.0:")
        check_listen_address(values[setting], tls=True, insecure=False)
    (mounted,) = [one for one in COMPOSE["services"][name]["volumes"] if isinstance(one, dict)]
    assert mounted["read_only"]
    files = (settings.tls_certificate, settings.tls_key, settings.tls_client_ca, Path(settings.access_file))
    assert {str(file and file.parent) for file in files} == {mounted["target"]}


@pytest.mark.parametrize("name", SERVICES)
def test_ports_agree(name: str) -> None:
    """The ports a service listens on are exposed and published; metrics stay in the network of the containers."""
    values = _settings(name, mutual=True).model_dump()
    short = name.partition("-")[0]
    (exposed,) = [words[1:] for words in _stages()[name] if words[0] == "EXPOSE"]
    for setting, compose in ((f"{short}_listen", COMPOSE), (f"{short}_mtls_listen", MTLS)):
        port = values[setting].rpartition(":")[2]
        assert port in exposed
        assert [_filled(text) for text in compose["services"][name]["ports"]] == [f"127.0.0.1:{port}:{port}"]
    assert str(values[f"{short}_metrics_port"]) in exposed


@pytest.mark.parametrize("name", SERVICES)
def test_health_is_probed_at_the_socket(name: str) -> None:
    """The health check asks at the Unix socket on which the service listens whatever its other addresses are."""
    socket = _settings(name).listen_socket
    (probe,) = ["".join(words) for words in _stages()[name] if words[0] == "HEALTHCHECK"]
    assert probe.endswith(f"CMD[python,-P,-m,servicekit.rpc.probe,unix://{socket}]")


def test_the_pair_talks_over_a_shared_socket() -> None:
    """render_service calls the socket on which separation_service listens, in the data volume that both mount."""
    render, separation = (_settings(name) for name in SERVICES)
    assert isinstance(render, RenderSettings)
    assert render.peer_address == f"unix:{separation.listen_socket}"
    assert separation.listen_socket.is_relative_to(separation.data)
    assert {_mounts(name)[str(separation.data)] for name in SERVICES} == {"data"}


def test_nothing_is_published_beyond_loopback_by_default() -> None:
    """No container is reachable from other machines until the operator sets PUBLISH_ADDRESS; the store never is."""
    services = [*COMPOSE["services"].values(), *MTLS["services"].values()]
    published = [port for service in services for port in service.get("ports", [])]
    assert published
    assert all(_filled(port).startswith("127.0.0.1:") for port in published)
    assert COMPOSE["services"]["minio"]["ports"] == ["127.0.0.1:9000:9000"]


def test_no_container_gains_privileges() -> None:
    """No container can gain privileges, and none uses the host's namespaces."""
    for name, service in COMPOSE["services"].items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}, name


@pytest.mark.parametrize("name", SERVICES)
def test_build_targets_and_modules_exist(name: str) -> None:
    """Each service builds a stage of the Dockerfile, which starts a module of this repository as an unprivileged user."""
    service = COMPOSE["services"][name]
    assert service["build"]["target"] == name
    (command,) = [words for words in _stages()[name] if words[0] == "CMD"]
    module = "".join(command[1:]).strip("[]").split(",")[-1]
    assert (ROOT / module / "__main__.py").is_file()
    users = [words[1] for stage in ("installed", name) for words in _stages()[stage] if words[0] == "USER"]
    assert users[-1] == "10001:10001"
    assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", SERVICES)
def test_writable_folders_are_volumes(name: str) -> None:
    """The root file system is read-only; the data folder is a volume, in which the sockets' folder is no mount of its own."""
    mounts, data = _mounts(name), str(_settings(name).data)
    assert COMPOSE["services"][name]["read_only"]
    volumes = {source for source in mounts.values() if not source.startswith((".", "/"))}
    assert {mounts[data]} <= volumes <= set(COMPOSE["volumes"])
    assert f"{data}/run" not in mounts


def test_dependencies_exist() -> None:
    """Each service another depends on is in the file, with the health check the dependency needs."""
    services = COMPOSE["services"]
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert name in services
            assert wanted["condition"] != "service_healthy" or "healthcheck" in services[name]


@pytest.mark.parametrize("name", SERVICES)
def test_stop_grace_period_covers_draining(name: str) -> None:
    """Docker waits longer than a service may take to drain, and stops render_service first, whose work needs the other."""
    grace = COMPOSE["services"][name]["stop_grace_period"]
    assert float(grace.removesuffix("s")) > _settings(name).drain_seconds
    assert "separation-service" in COMPOSE["services"]["render-service"]["depends_on"]
