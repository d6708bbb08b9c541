"""The commands and units of docs/tasks/systemd.md, on a copy of this machine's /etc, with a /opt of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable

import pytest

from tests.conftest import require_debian
from tests.support import documented_shell
from tests.support.doc_blocks import ROOT, blocks

PAGE = "docs/tasks/systemd.md"
NAMES = ("sonichaos-separation.service", "sonichaos-render.service")
SETTINGS, *UNITS = (block.code for block in blocks(ROOT / PAGE, "ini"))
PACKAGES = sysconfig.get_path("purelib")
_ENTER = """
mount --bind "$0/etc" /etc
mount --bind "$0/opt" /opt
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"      # the environment of the tests
cd "$0/project"
"""


def test_units_start_the_services() -> None:
    """Each unit is named on the page and starts a module that is there, without files of the current folder."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    for name, unit, service in zip(NAMES, UNITS, ("separation_service", "render_service"), strict=True):
        assert f"/etc/systemd/system/{name}" in text
        assert f"ExecStart=/opt/sonichaos/bin/python -P -m {service}\n" in unit
        assert (ROOT / service / "__main__.py").is_file()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Runs commands as root of a machine on which the page's installation has run and its files were written.

    The installation takes what the project depends on from the environment of the tests.
    """
    require_debian("systemd", "systemd-analyze")
    folder = tmp_path_factory.mktemp("host")
    documented_shell.checkout(folder / "project", ".")
    (folder / "opt").mkdir()
    shutil.copytree("/etc", folder / "etc", symlinks=True)
    # pip reads the first one as the option that it negates: 0 means no isolation.
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}
    given = documented_shell.environment(folder, **offline, PYTHONPATH=PACKAGES)
    enter = ("unshare", "--mount")
    if os.geteuid() or subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root that may make a mount namespace")

    def run(text: str) -> str:
        command = [*enter, *documented_shell.command(_ENTER + text), str(folder), PACKAGES]
        ran = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=300)
        assert ran.returncode == 0, f"{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
        return ran.stdout

    (install,) = documented_shell.documented(PAGE, "tests/unit/project/test_systemd.py")
    run(install)
    (folder / "etc" / "sonichaos" / "settings").write_text(SETTINGS, encoding="utf-8")
    for name, unit in zip(NAMES, UNITS, strict=True):
        (folder / "etc" / "systemd" / "system" / name).write_text(unit, encoding="utf-8")
    return run


def test_the_installation_makes_a_user_a_folder_and_the_programs(host: Callable[[str], str]) -> None:
    """The user has no shell of its own, only its group reads the settings, and the services are installed beside the command."""
    assert host("id -un sonichaos; stat -c '%a %U %G' /etc/sonichaos") == "sonichaos\n750 root sonichaos\n"
    assert host("getent passwd sonichaos").split(":")[5] == "/var/lib/sonichaos"
    assert host("/opt/sonichaos/bin/sonichaos --version").startswith("sonichaos")
    locate = "import separation_service, render_service as r; print(separation_service.__file__, r.__file__)"
    assert all(
        path.startswith("/opt/sonichaos/") for path in host(f"/opt/sonichaos/bin/python -P -c '{locate}'").split()
    )


def test_systemd_accepts_the_units(host: Callable[[str], str]) -> None:
    """``systemd-analyze verify`` finds nothing to say about them, where the installation has put their programs."""
    verify = " ".join(f"/etc/systemd/system/{name}" for name in NAMES)
    said = host(f"systemd-analyze verify {verify} 2>&1").splitlines()
    assert [line for line in said if "sonichaos" in line] == []
