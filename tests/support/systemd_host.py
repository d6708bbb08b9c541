"""A machine for systemd: namespaces with a copy of this machine's /etc, with /opt and /var/lib of their own, and only loopback."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.conftest import require_debian
from tests.support import documented_shell
from tests.support.pair import eventually

PACKAGES = "/opt/packages"
"""Where the machine has what is installed beside the tests; its Python is in /opt/python. Every user may read both."""
_PYTHON = "/opt/python"
_UNITS = Path("/usr/lib/systemd/system")
_KEPT_UNITS = (
    *("basic.target", "sysinit.target", "multi-user.target", "local-fs.target", "local-fs-pre.target", "swap.target"),
    *("paths.target", "slices.target", "sockets.target", "timers.target", "network.target", "network-online.target"),
    *("shutdown.target", "umount.target", "final.target"),
    *("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"),
)
"""The least that a unit expects. None of these changes the kernel's settings or what else the two machines share."""
_BOOT = f"""
mount --bind units {_UNITS}
mount --bind console /dev/console
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /var/log /tmp; do mount -t tmpfs tmpfs $folder; done
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/lib/systemd/systemd --unit=multi-user.target
"""


@dataclass(frozen=True)
class SystemdHost:
    """The machine. ``folder`` has its etc, opt and var-lib."""

    folder: Path

    def __post_init__(self) -> None:
        require_debian("systemd", "systemctl")
        if os.geteuid() or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
            pytest.skip("needs root that may make namespaces")
        for name in ("opt/python", "opt/packages", "var-lib", "units"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "console").touch()
        # Without the services that start with this machine.
        apart = shutil.ignore_patterns("init.d", "rc?.d", "system")
        shutil.copytree("/etc", self.folder / "etc", symlinks=True, ignore=apart)
        wanted = self.folder / "etc" / "systemd" / "system" / "sysinit.target.wants"
        wanted.mkdir(parents=True)
        found = wanted.parent.parent / "system.conf.d" / "python.conf"
        found.parent.mkdir(exist_ok=True)
        found.write_text(f"[Manager]\nDefaultEnvironment=LD_LIBRARY_PATH={_PYTHON}/lib\n", encoding="utf-8")
        for name in _KEPT_UNITS:
            shutil.copy(_UNITS / name, self.folder / "units")
            if name.startswith("systemd-journald"):
                (wanted / name).symlink_to(_UNITS / name)

    def run(self, text: str, folder: Path, given: Mapping[str, str]) -> str:
        """Run commands as root in ``folder`` while systemd is not running; what they printed to stdout."""
        return documented_shell.run(
            f"{self._mounts()}\ncd {shlex.quote(str(folder))}\n{text}", folder, given, prefix=("unshare", "--mount")
        )

    @contextmanager
    def booted(self) -> Iterator[tuple[str, ...]]:
        """Start systemd; gives the program that starts another one there. Skips the test where the kernel does not allow it."""
        namespaces = "--mount --pid --fork --kill-child --uts --ipc --net --cgroup"
        boot = shlex.join(documented_shell.command(f"{self._mounts()}{_BOOT}"))
        with _own_cgroup(self.folder) as cgroup:
            outer = subprocess.Popen(
                documented_shell.command(f"echo $$ > {cgroup}/cgroup.procs\nexec unshare {namespaces} {boot}"),
                cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            try:
                yield self._wait_booted(outer)
            finally:
                outer.kill()
                outer.communicate()

    def _mounts(self) -> str:
        """Commands that put the machine's folders in place; those of the tests cannot be changed there."""
        real = {_PYTHON: sys.base_prefix, PACKAGES: sysconfig.get_path("purelib"), sys.prefix: sys.prefix}
        own = {"/etc": "etc", "/opt": "opt", "/var/lib": "var-lib"}
        lines = [
            f"cd {shlex.quote(str(self.folder))}",
            *(f"mount --bind {name} {place}" for place, name in own.items()),
        ]
        for place, path in real.items():
            where = shlex.quote(place)
            lines.append(f"mount --bind {shlex.quote(path)} {where} && mount -o remount,bind,ro {where}")
        return "\n".join(lines)

    def _wait_booted(self, outer: subprocess.Popen[str]) -> tuple[str, ...]:
        def init() -> int:
            if outer.poll() is not None:
                pytest.skip(f"needs a kernel that lets root boot systemd in namespaces: {outer.communicate()[0]}")
            inner = [one.pid for one in psutil.Process(outer.pid).children() if one.name() == "systemd"]
            return inner[0] if inner else 0

        pid = eventually(init, "systemd is process 1")
        enter = ("nsenter", "--target", str(pid), "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--")

        def state() -> str:
            asked = subprocess.run(
                [*enter, "systemctl", "is-system-running"], capture_output=True, text=True, check=False
            )
            return asked.stdout.strip()

        eventually(lambda: state() in {"running", "degraded"}, "systemd has booted")
        assert state() == "running"
        return enter


@contextmanager
def _own_cgroup(folder: Path) -> Iterator[Path]:
    """A control group for the machine's processes, removed with them."""
    mounted = folder / "cgroup"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "cgroup2", "cgroup2", mounted], capture_output=True, check=False).returncode:
        pytest.skip("needs root that may mount cgroup2")
    own = mounted / f"sonichaos-{os.getpid()}"
    try:
        own.mkdir()
        yield own
        (own / "cgroup.kill").write_text("1")
        eventually(lambda: "populated 0" in (own / "cgroup.events").read_text(), "its processes have ended")
        for inner in sorted((path for path in own.rglob("*") if path.is_dir()), reverse=True):
            inner.rmdir()
        own.rmdir()
    finally:
        subprocess.run(["umount", mounted], check=True)
