"""The clients in C++, Ruby, Go and Java, each built once for each state of its sources, in build/ of the repository."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.doc_blocks import blocks

ROOT = Path(__file__).resolve().parents[2]
CLIENTS, BUILD = ROOT / "clients", ROOT / "build"
JARS = Path("/usr/share/java")
JAR_NAMES = (
    *("grpc-api", "grpc-core", "grpc-context", "grpc-stub", "grpc-protobuf", "grpc-protobuf-lite", "grpc-netty"),
    *("netty-buffer", "netty-codec", "netty-codec-http", "netty-codec-http2", "netty-codec-socks", "netty-common"),
    *("netty-handler", "netty-handler-proxy", "netty-resolver", "netty-transport"),
    *("netty-transport-native-unix-common", "protobuf", "guava", "jsr305", "gson", "perfmark-api", "perfmark-impl"),
    "geronimo-annotation-1.3-spec",
)
GO_LIBRARIES = Path("/usr/share/gocode")
BUILD_LIMIT_S = 600
RUN_LIMIT_S = 180


@dataclass(frozen=True)
class NativeClient:
    """Commands of a built client, to which arguments are appended."""

    example: Sequence[str]
    limits: Sequence[str]
    faults: Sequence[str]
    one_address: Sequence[str]
    environment: Mapping[str, str]

    def run_example(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the whole flow to its end."""
        return self._run([*self.example, *arguments])

    def facts(self, address: str, job_id: str) -> subprocess.CompletedProcess[str]:
        """Run the program that reports what arrives with default options."""
        return self._run([*self.limits, address, job_id, "0"])

    def handler_error(self, address: str, job_id: str) -> subprocess.CompletedProcess[str]:
        """Watch a job, with a heartbeat every second and with a handler that fails with a status of gRPC's."""
        return self._run([*self.faults, "watch", address, job_id, "1"])

    def download(self, url: str, size_bytes: int, sha256: str, path: Path) -> subprocess.CompletedProcess[str]:
        """Download the first ``size_bytes`` bytes to ``path``."""
        return self._run([*self.faults, "download", url, str(size_bytes), sha256, str(path)])

    def read_through(self, address: str, take_id: str, upload_id: str) -> subprocess.CompletedProcess[str]:
        """Run the program that reads a take and an upload through one address."""
        return self._run([*self.one_address, address, take_id, upload_id])

    def start_keepalive(self, address: str, job_id: str, seconds: int) -> subprocess.Popen[str]:
        """Start the program that pings."""
        return subprocess.Popen(
            [*self.limits, address, job_id, str(seconds)],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            text=True,
        )

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_LIMIT_S,
        )


def require(*programs: str, files: Sequence[Path] = ()) -> None:
    """Skip the test where Debian packages are missing; fail it in CI."""
    missing = [name for name in programs if shutil.which(name) is None] + [
        str(one) for one in files if not one.exists()
    ]
    if missing:
        assert "CI" not in os.environ, f"CI needs {missing}"
        pytest.skip(f"needs {', '.join(missing)} (apt.txt)")


def run_tool(*command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a compiler or a linter, whose complaints are errors of the code."""
    result = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_LIMIT_S,
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout[-4000:]}{result.stderr[-4000:]}"


@functools.cache
def native_client(language: str) -> NativeClient:
    """The client in ``cpp``, ``ruby``, ``go`` or ``java``. Tests may run in several processes: one builds, the others wait."""
    folder = BUILD / language
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _BUILDERS[language](folder)


def _cpp(folder: Path) -> NativeClient:
    require("cmake", "c++", "protoc", "grpc_cpp_plugin", "pkg-config", files=[Path("/usr/include/grpcpp/grpcpp.h")])
    source, out = CLIENTS / "cpp", folder / "example"  # where the guide builds
    run_tool("cmake", "-S", source, "-B", out, "-DCMAKE_CXX_FLAGS=-O0", "-DSONICHAOS_BUILD_TESTS=ON", cwd=source)
    run_tool("cmake", "--build", out, cwd=source)
    programs = [[str(out / name)] for name in ("whole_flow", "client_limits", "client_faults", "one_address")]
    return NativeClient(*programs, {})


def _ruby(folder: Path) -> NativeClient:
    del folder  # nothing is built
    require("ruby")
    source = CLIENTS / "ruby"
    found = subprocess.run(["ruby", "-e", "require 'grpc'"], capture_output=True, check=False)
    if found.returncode != 0:
        assert "CI" not in os.environ, "CI needs ruby-grpc"
        pytest.skip("needs ruby-grpc (apt.txt)")
    ruby = ["ruby", "-w", f"-I{source / 'lib'}", f"-I{source / 'gen'}"]
    scripts = ("examples/whole_flow.rb", "test/client_limits.rb", "test/client_faults.rb", "test/one_address.rb")
    return NativeClient(*([*ruby, str(source / script)] for script in scripts), {})


def go_environment(folder: Path) -> dict[str, str]:
    """Debian's libraries instead of modules, because modules need their proxy."""
    workspace = folder / "workspace"
    link = workspace / "src" / "sonichaos.ai" / "client"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(CLIENTS / "go")
    paths = {"GOPATH": f"{workspace}:{GO_LIBRARIES}", "GOCACHE": str(folder / "cache"), "PWD": str(link)}
    return {**paths, "GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}


def _go(folder: Path) -> NativeClient:
    require("go", files=[GO_LIBRARIES / "src/google.golang.org/grpc"])
    environment = go_environment(folder)
    out = folder / "bin"
    packages = ("./examples/...", "./internal/...")  # a pattern of import paths does not follow the link
    run_tool("go", "build", "-o", f"{out}/", *packages, cwd=Path(environment["PWD"]), environment=environment)
    programs = [[str(out / name)] for name in ("wholeflow", "clientlimits", "clientfaults", "oneaddress")]
    return NativeClient(*programs, {})


def _java(folder: Path) -> NativeClient:
    """By the block of the guide, with Debian's jars; then the client and its tests again, with javac's warnings as errors."""
    require("java", "javac", "protoc", files=[JARS / f"{name}.jar" for name in JAR_NAMES])
    source = CLIENTS / "java"
    (block,) = [
        one for one in blocks(ROOT / "docs/clients/java.md", "sh") if one.run_by == "tests/support/native_clients.py"
    ]
    rpc, classes = folder / "rpc", folder / "classes"
    java_files = sorted(source.rglob("src/**/*.java"))
    protos = sorted((ROOT / "protos/google/rpc").glob("*.proto"))
    jars = ":".join(str(JARS / f"{name}.jar") for name in JAR_NAMES)
    stamp = folder / "built"
    newest_s = max(path.stat().st_mtime for path in [*java_files, *protos, block.page])
    if not stamp.exists() or stamp.stat().st_mtime < newest_s:
        for one in (rpc, classes):
            shutil.rmtree(one, ignore_errors=True)
        # Compiled once, so optimizing the compiler itself takes more time than it saves.
        quick = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
        run_tool("bash", "-euc", block.code, cwd=ROOT, environment=quick)
        own = [path for path in java_files if not path.is_relative_to(source / "src/gen")]
        strict = ["javac", "-proc:none", "--release", "17", "-Xlint:all", "-Werror"]
        run_tool(*strict, "-d", str(classes), "-cp", f"{jars}:{classes}", *own, cwd=source, environment=quick)
        stamp.touch()
    java = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}:{classes}"]
    mains = ("examples.WholeFlow", "ClientLimits", "ClientFaults", "OneAddress")
    return NativeClient(*([*java, f"ai.sonichaos.client.{main}"] for main in mains), {})


_BUILDERS: dict[str, Callable[[Path], NativeClient]] = {"cpp": _cpp, "ruby": _ruby, "go": _go, "java": _java}
LANGUAGES = tuple(_BUILDERS)
