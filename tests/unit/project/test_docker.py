"""docker/: what can be checked without a Docker engine."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from render_service.settings import RenderSettings
from separation_service.settings import SeparationSettings
from servicekit.host_settings import HostSettings
from servicekit.rpc.endpoints import check_listen_address
from servicekit.settings import read_settings

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, type[HostSettings]] = {
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


def _settings(name: str) -> HostSettings:
    environment = {key: _filled(value) for key, value in COMPOSE["services"][name]["environment"].items()}
    return read_settings(SERVICES[name], environment)


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
    packages, sources = (command.split()[2:] for command in commands if command.startswith("pip install "))
    assert packages == ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", "docker/constraints.txt"]
    assert sources == ["--no-deps", "--no-build-isolation", "./clients/python", "."]


@pytest.mark.parametrize("name", SERVICES)
def test_service_settings_are_valid(name: str) -> None:
    """Each SONICHAOS_ variable of a service in compose is a setting of that service with a valid value."""
    settings = _settings(name)
    assert settings.device == "cuda"
    assert settings.store == "s3"
    listen = settings.model_dump()[f"{name.partition('-')[0]}_listen"]
    check_listen_address(listen, insecure=settings.insecure)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_agree(name: str) -> None:
    """The port a service listens on is exposed, probed, and published on loopback only."""
    listen = _settings(name).model_dump()[f"{name.partition('-')[0]}_listen"]
    port = listen.rpartition(":")[2]
    stage = _stages()[name]
    (exposed,) = [words[1:] for words in stage if words[0] == "EXPOSE"]
    assert port in exposed
    assert any(f"127.0.0.1:{port}" in word for words in stage if words[0] == "HEALTHCHECK" for word in words)
    assert COMPOSE["services"][name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_nothing_is_published_beyond_loopback() -> None:
    """No container is reachable from other machines, because callers have no identity yet."""
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", SERVICES)
def test_build_targets_and_modules_exist(name: str) -> None:
    """Each service builds a stage of the Dockerfile, which starts a module of this repository as an unprivileged user."""
    service = COMPOSE["services"][name]
    assert service["build"]["target"] == name
    (command,) = [words for words in _stages()[name] if words[0] == "CMD"]
    module = "".join(command[1:]).strip("[]").split(",")[-1]
    assert (ROOT / module / "__main__.py").is_file()
    assert ["USER", "sonichaos"] in _stages()["installed"]
    assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", SERVICES)
def test_writable_folders_are_volumes(name: str) -> None:
    """The root file system is read-only; the data folder is a volume, and both services share the run folder."""
    service = COMPOSE["services"][name]
    mounts = dict(volume.split(":")[:2][::-1] for volume in service["volumes"])
    (data,) = [words[1].partition("=")[2] for words in _stages()["installed"] if "SONICHAOS_DATA" in "".join(words)]
    assert service["read_only"]
    assert data in mounts
    assert mounts[f"{data}/run"] == "run"
    assert set(mounts.values()) <= set(COMPOSE["volumes"])
    assert mounts[data] != "run"


def test_dependencies_exist() -> None:
    """Each service another depends on is in the file, with the health check the dependency needs."""
    services = COMPOSE["services"]
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert name in services
            assert wanted["condition"] != "service_healthy" or "healthcheck" in services[name]


@pytest.mark.parametrize("name", SERVICES)
def test_stop_grace_period_covers_draining(name: str) -> None:
    """Docker waits longer than a service may take to drain."""
    grace = COMPOSE["services"][name]["stop_grace_period"]
    assert float(grace.removesuffix("s")) > _settings(name).drain_seconds
