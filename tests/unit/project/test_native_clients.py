"""The clients in C++, Ruby, Go and Java: laid out and checked by their linters; their pages' commands generate stubs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.native_clients import (
    BUILD,
    CLIENTS,
    GO_LIBRARIES,
    LANGUAGES,
    ROOT,
    go_environment,
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


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_protoc_commands_of_a_page_generate_stubs(language: str, tmp_path: Path) -> None:
    """As written, with nothing but the folder protos/."""
    require("protoc", *PLUGINS[language])
    page = (ROOT / "docs/clients" / f"{language}.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```sh protoc\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "protos").symlink_to(ROOT / "protos")
    run_tool("bash", "-euc", block, cwd=tmp_path)
    assert [name for name in STUBS[language] if not (tmp_path / "stubs" / name).is_file()] == []


def test_cpp_is_formatted() -> None:
    """As .clang-format says."""
    require("clang-format")
    sources = [path for kind in ("*.cc", "*.h") for path in sorted((CLIENTS / "cpp").rglob(kind))]
    run_tool("clang-format", "--dry-run", "-Werror", *sources, cwd=CLIENTS / "cpp")


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
