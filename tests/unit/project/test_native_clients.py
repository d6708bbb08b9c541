"""The clients in C++, Ruby, Go and Java: laid out and checked by their linters; their pages' commands generate stubs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.documented_shell import documented
from tests.support.native_clients import (
    BUILD,
    CLIENTS,
    GO_LIBRARIES,
    LANGUAGES,
    ROOT,
    go_environment,
    native_client,
    require,
    run_tool,
)

STUBS = {
    "cpp": ["sonichaos/jobs/v1/jobs_service.grpc.pb.h", "google/rpc/error_details.pb.cc"],
    "ruby": ["sonichaos/jobs/v1/jobs_service_services_pb.rb", "sonichaos/render/v1/render_pb.rb"],
    "go": ["gen/sonichaos/jobs/v1/jobs_service_grpc.pb.go", "gen/sonichaos/render/v1/render.pb.go"],
    "java": ["ai/sonichaos/jobs/v1/JobsServiceGrpc.java", "ai/sonichaos/render/v1/CreateRenderRequest.java"],
}
PLUGINS = {
    "cpp": ["grpc_cpp_plugin"],
    "ruby": ["grpc_ruby_plugin"],
    "go": ["protoc-gen-go", "protoc-gen-go-grpc"],
    "java": ["grpc_java_plugin"],
}


THIS = "tests/unit/project/test_native_clients.py"
PROJECT = """
cmake_minimum_required(VERSION 3.18)
project(mixer LANGUAGES CXX)
add_executable(mixer mixer.cc)
"""
PROGRAM = """
#include <sonichaos/errors.h>

int main() { return sonichaos::DetailsOf(grpc::Status::OK).reason.empty() ? 0 : 1; }
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_protoc_commands_of_a_page_generate_stubs(language: str, tmp_path: Path) -> None:
    """As written, with nothing but the folder protos/."""
    require("protoc", *PLUGINS[language])
    (block,) = [one for one in documented(f"docs/clients/{language}.md", THIS) if "protoc -I protos" in one]
    (tmp_path / "protos").symlink_to(ROOT / "protos")
    run_tool("bash", "-euc", block, cwd=tmp_path)
    assert [name for name in STUBS[language] if not (tmp_path / "stubs" / name).is_file()] == []


def test_cpp_is_formatted() -> None:
    """As .clang-format says."""
    require("clang-format")
    sources = [path for kind in ("*.cc", "*.h") for path in sorted((CLIENTS / "cpp").rglob(kind))]
    run_tool("clang-format", "--dry-run", "-Werror", *sources, cwd=CLIENTS / "cpp")


def test_cpp_is_installed_and_found(tmp_path: Path) -> None:
    """Another project finds the package that the guide's command installs, compiles with its headers, and links."""
    native_client("cpp")
    install, _ = documented("docs/clients/cpp.md", THIS)
    run_tool("bash", "-euc", install, cwd=ROOT, environment={"HOME": str(tmp_path)})
    (lines,) = documented("docs/clients/cpp.md", THIS, "cmake")
    (tmp_path / "CMakeLists.txt").write_text(f"{PROJECT}{lines}", encoding="utf-8")
    (tmp_path / "mixer.cc").write_text(PROGRAM, encoding="utf-8")
    run_tool("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'sonichaos-client'}", cwd=tmp_path)
    run_tool("cmake", "--build", "build", cwd=tmp_path)
    run_tool(tmp_path / "build/mixer", cwd=tmp_path)


def test_go_finds_the_client_in_a_copy_of_the_repository(tmp_path: Path) -> None:
    """The guide's command points a module to the copy beside it."""
    require("go")
    (command,) = [one for one in documented("docs/clients/go.md", THIS) if "go mod edit" in one]
    (tmp_path / "studio").symlink_to(ROOT)
    module = tmp_path / "mixer"
    module.mkdir()
    run_tool("go", "mod", "init", "example.com/mixer", cwd=module)
    run_tool("bash", "-euc", command, cwd=module)
    listed = subprocess.run(
        ["go", "list", "-mod=mod", "-m", "-f", "{{.Dir}}", "sonichaos.ai/client"],
        cwd=module, env={**os.environ, "GOPROXY": "off", "GOFLAGS": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert Path(listed.stdout.strip()).resolve() == CLIENTS / "go", listed.stderr


def test_ruby_has_no_offenses() -> None:
    """Rubocop's rules, with the limits in .rubocop.yml."""
    require("rubocop")
    run_tool("rubocop", "--cache", "false", cwd=CLIENTS / "ruby")


def test_go_is_formatted_and_vetted() -> None:
    """By gofmt and go vet; the stubs are left as they are generated."""
    require("go", "gofmt", files=[GO_LIBRARIES / "src/google.golang.org/grpc"])
    sources = [path for path in sorted((CLIENTS / "go").rglob("*.go")) if "gen" not in path.relative_to(CLIENTS).parts]
    run_tool("bash", "-c", 'test -z "$(gofmt -l "$@")"', "gofmt", *sources, cwd=CLIENTS / "go")
    environment = go_environment(BUILD / "go")
    run_tool(
        "go", "vet", ".", "./examples/...", "./internal/...", cwd=Path(environment["PWD"]), environment=environment
    )
