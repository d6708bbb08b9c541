"""The commands and units of docs/tasks/systemd.md, on a machine with systemd."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import documented_shell
from tests.support.doc_blocks import ROOT, blocks
from tests.support.pair import eventually
from tests.support.systemd_host import PACKAGES, SystemdHost

PAGE, THIS = "docs/tasks/systemd.md", "tests/flow/test_systemd.py"
NAMES = ("sonichaos-separation.service", "sonichaos-render.service")
SETTINGS, *UNITS = (block.code for block in blocks(ROOT / PAGE, "ini"))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> SystemdHost:
    """A machine on which the page's installation has run and its files were written.

    The installation takes what the project depends on from the environment of the tests.
    """
    folder = tmp_path_factory.mktemp("host")
    made = SystemdHost(folder)
    project = documented_shell.checkout(folder / "project", ".")
    # pip reads the first one as the option that it negates: 0 means no isolation.
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}
    given = documented_shell.environment(folder, **offline, PYTHONPATH=PACKAGES)
    given["PATH"] = f"/opt/python/bin:{given['PATH']}"
    install, _ = documented_shell.documented(PAGE, THIS)
    made.run(install, project, given)
    (packages,) = (folder / "opt" / "sonichaos" / "lib").glob("python3.*/site-packages")
    (packages / "dependencies.pth").write_text(f"{PACKAGES}\n", encoding="utf-8")
    (folder / "etc" / "sonichaos" / "settings").write_text(SETTINGS, encoding="utf-8")
    (folder / "etc" / "sonichaos" / "settings").chmod(0o640)
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    for name, unit in zip(NAMES, UNITS, strict=True):
        assert f"/etc/systemd/system/{name}" in text
        (folder / "etc" / "systemd" / "system" / name).write_text(unit, encoding="utf-8")
    return made


def test_systemd_accepts_the_units(host: SystemdHost, tmp_path: Path) -> None:
    """``systemd-analyze verify`` finds nothing to say about them, and only their group reads the settings."""
    given = documented_shell.environment(tmp_path)
    verify = " ".join(f"/etc/systemd/system/{name}" for name in NAMES)
    said = host.run(f"systemd-analyze verify {verify} 2>&1", tmp_path, given).splitlines()
    assert [line for line in said if "sonichaos" in line] == []
    assert host.run("stat -c '%a %U %G' /etc/sonichaos", tmp_path, given) == "750 root sonichaos\n"


@pytest.fixture
def booted(host: SystemdHost) -> Iterator[tuple[str, ...]]:
    """The program that starts another one on the running machine."""
    with host.booted() as enter:
        yield enter


def test_the_units_serve_and_drain(booted: tuple[str, ...], tmp_path: Path) -> None:
    """The page's commands start both services as their own user and show the log; a stop lets them end with status 0."""
    _, start = documented_shell.documented(PAGE, THIS)

    def root(*command: str) -> str:
        return subprocess.run([*booted, *command], capture_output=True, text=True, check=True).stdout

    def serves(service: str) -> bool:
        probe = (
            "/opt/sonichaos/bin/python",
            "-m",
            "servicekit.rpc.probe",
            f"unix:/var/lib/sonichaos/run/{service}.sock",
        )
        return subprocess.run([*booted, *probe], capture_output=True, check=False).returncode == 0

    log = tmp_path / "log"
    with log.open("w") as output:
        following = subprocess.Popen([*booted, *documented_shell.command(start)], stdout=output, stderr=output)
    try:
        for service in ("separation", "render"):
            eventually(lambda service=service: serves(service), log.read_text)  # type: ignore[misc]
        eventually(lambda: '"service": "render_service"' in log.read_text(), log.read_text)
    finally:
        following.terminate()
        following.wait(30)
    for name in NAMES:
        shown = root("systemctl", "show", name, "--property=User,ActiveState,UnitFileState,NRestarts")
        assert set(shown.splitlines()) == {
            "User=sonichaos",
            "ActiveState=active",
            "UnitFileState=enabled",
            "NRestarts=0",
        }
    root("systemctl", "stop", *NAMES)
    for name in NAMES:
        shown = root("systemctl", "show", name, "--property=Result,ExecMainStatus")
        assert set(shown.splitlines()) == {"Result=success", "ExecMainStatus=0"}
    ended = root("journalctl", "-o", "cat", "-u", NAMES[1])
    assert '"all_work_finished": true' in ended
