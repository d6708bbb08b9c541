"""The documentation matches the code: settings, calls, reasons, commands, decisions, the architecture and every link."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from google.protobuf.message import Message

import sonichaos_client
from render_service.settings import RenderSettings
from separation_service.settings import SeparationSettings
from servicekit.host_settings import CLIENT_VARIABLES
from servicekit.metrics import Metrics
from servicekit.settings import variable_names
from sonichaos.admission.v1 import admission_pb2
from sonichaos.handoff.v1 import handoff_pb2
from sonichaos.jobs.v1 import error_reason_pb2, job_pb2, jobs_service_pb2
from sonichaos.operations.v1 import operations_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos.testing.v1 import fake_pb2
from sonichaos.webhooks.v1 import webhooks_pb2
from sonichaos_client import Client
from tests.support.doc_blocks import blocks

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
READMES = [ROOT / "README.md", *sorted((ROOT / "clients").glob("*/README.md"))]
PAGES = [*READMES, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
PICTURES = sorted(file for file in (DOCS / "img").iterdir() if file.suffix != ".css")

_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<words>.+)$", re.MULTILINE)
_WALK_ROW = re.compile(r"^\| \d+ \| \[(?P<file>[\w/]+\.py)\]\([^)]+\) \| `(?P<symbol>[\w.]+)` \|", re.MULTILINE)
_PYTHON = re.compile(r"^```python\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by its name
    spec.loader.exec_module(module)
    return module


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in headings}


def _python_blocks() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, code in enumerate(_PYTHON.findall(page.read_text(encoding="utf-8")), start=1):
            yield f"{page.relative_to(ROOT)} block {number}", code


def _ids(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)[:60]


def test_every_setting_is_listed() -> None:
    """docs/settings.md names each variable that a service reads."""
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    for model in (RenderSettings, SeparationSettings):
        for variable in variable_names(model).values():
            assert f"`{variable}`" in page, f"run scripts/settings_doc.py: {variable} is missing"


def test_settings_on_pages_exist() -> None:
    """Each SONICHAOS_ variable that a page, the compose file or an alert names is one that a program reads."""
    models = (RenderSettings, SeparationSettings)
    known = {name for model in models for name in variable_names(model).values()} | set(CLIENT_VARIABLES)
    for page in [*PAGES, *(path for path in (ROOT / "docker").iterdir() if path.is_file())]:
        named = set(re.findall(r"\bSONICHAOS_[A-Z0-9_]*[A-Z0-9]\b(?!_)", page.read_text(encoding="utf-8")))
        assert named <= known, f"{page.name}: {named - known}"


def test_every_setting_has_a_description() -> None:
    """Each setting has a description."""
    for model in (RenderSettings, SeparationSettings):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


@pytest.mark.parametrize(
    ("script", "function", "page"),
    [
        ("settings_doc", "page", "settings.md"),
        ("api_doc", "api_page", "api.md"),
        ("api_doc", "errors_page", "errors.md"),
        ("messages_doc", "page", "messages.md"),
        ("metrics_doc", "page", "metrics.md"),
        ("python_doc", "page", "python-api.md"),
    ],
)
def test_written_pages_are_current(script: str, function: str, page: str) -> None:
    """A generated page equals what its script generates now."""
    wanted = getattr(_script(script), function)()
    assert (DOCS / page).read_text(encoding="utf-8") == wanted, f"run scripts/{script}.py"


def test_every_message_and_field_is_listed() -> None:
    """docs/messages.md has each message, field and value of the stubs; reasons are in docs/errors.md."""
    page = (DOCS / "messages.md").read_text(encoding="utf-8")
    for file in (job_pb2, jobs_service_pb2, render_pb2, separation_pb2, operations_pb2, handoff_pb2, admission_pb2):
        package = page.split(f"## {file.DESCRIPTOR.name.removeprefix('sonichaos/')}\n")[1].split("\n## ")[0]
        for message in file.DESCRIPTOR.message_types_by_name.values():
            section = package.split(f"### {message.name}\n")[1].split("\n### ")[0]
            for field in message.fields:
                assert re.search(rf"^\| `{field.name}` \| [^|]+ \| .+ \|$", section, re.MULTILINE), field.full_name
    for kind in job_pb2.EventKind.DESCRIPTOR.values:
        assert f"| `{kind.name}` | {kind.number} | " in page


def test_everything_exported_is_on_the_python_page() -> None:
    """docs/python-api.md names each export of the client, and has a row for each public method of Client and each exception."""
    page = (DOCS / "python-api.md").read_text(encoding="utf-8")
    for name in sonichaos_client.__all__:
        assert re.search(rf"^## {name}$|`{name}`", page, re.MULTILINE), name
    for name in (name for name in vars(Client) if not name.startswith("_")):
        assert f"| `{name}(" in page, name


def test_every_metric_is_listed() -> None:
    """docs/metrics.md has each metric that a service scrapes."""
    page = (DOCS / "metrics.md").read_text(encoding="utf-8")
    for family in Metrics("SERVICE").registry.collect():
        assert f"`{family.name}" in page, family.name


def test_every_call_is_listed() -> None:
    """docs/api.md has a row for each method in the descriptors of the services."""
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    files = (
        render_pb2,
        separation_pb2,
        jobs_service_pb2,
        handoff_pb2,
        operations_pb2,
        admission_pb2,
        fake_pb2,
        webhooks_pb2,
    )
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    assert len(services) == len(files)
    for service in services:
        section = page.split(f"## {service.name}\n")[1].split("\n## ")[0]
        for method in service.methods:
            assert f"| `{method.name}` |" in section, f"run scripts/api_doc.py: {service.name}.{method.name} is missing"


def test_reasons_of_calls_exist() -> None:
    """The reasons docs/api.md gives for a call are values of ErrorReason, and every listed call exists."""
    api = _script("api_doc")
    known = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name}
    assert set(api.RPC_REASONS) == {f"{rpc.service}.{rpc.name}" for rpc in api.rpcs()}
    for reasons in (*api.RPC_REASONS.values(), " ".join(api.ANY_CALL)):
        assert set(reasons.split()) <= known


def test_every_reason_is_listed() -> None:
    """docs/errors.md has a row with an example for each reason."""
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name:
        reason = name.removeprefix("ERROR_REASON_")
        assert reason == "UNSPECIFIED" or re.search(rf"^\| `{reason}` \| .+ \| .+ \|$", page, re.MULTILINE), reason


def test_every_command_is_listed() -> None:
    """docs/cli.md has a section with all options for each command."""
    doc = _script("cli_doc")
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    commands = list(doc.commands(doc.cli, ("sonichaos",)))
    assert commands
    for words, command, _ in commands:
        assert f"## {words}\n" in page, f"run scripts/cli_doc.py: {words} is missing"
        section = page.split(f"## {words}\n")[1].split("\n## ")[0]
        for option in command.params:
            if isinstance(option, click.Option) and option.name not in {before.name for before in doc.cli.params}:
                assert option.opts[0] in section, f"run scripts/cli_doc.py: {words} {option.opts[0]} is missing"


def _command_lines() -> Iterator[tuple[Path, list[str]]]:
    """The words after ``sonichaos`` of each command shown on a page, in a block or in backticks."""
    for page in (path for path in PAGES if path.name not in {"cli.md", "contract.md"}):
        text = page.read_text(encoding="utf-8")
        commands = [line for block in blocks(page, "sh") for line in block.code.splitlines()]
        for shown in commands + re.findall(r"`([^`\n]+)`", text):
            if found := re.match(r"(?:\w+=\$\()?(?:\.venv/bin/)?sonichaos ([^#|)]+)", shown):
                yield page, found[1].split()


def test_commands_on_pages_exist() -> None:
    """Each command that a page shows is one, and has the options that it is shown with."""
    doc = _script("cli_doc")
    known = {tuple(words.split()[1:]): command for words, command, _ in doc.commands(doc.cli, ("sonichaos",))}
    shown = list(_command_lines())
    assert len(shown) > 30
    for page, words in shown:
        if words == ["COMMAND", "--help"]:
            continue
        command = known.get(tuple(words[:2])) or known.get(tuple(words[:1]))
        assert command is not None, f"{page.name}: sonichaos {' '.join(words)}"
        options = {name for option in (*command.params, *doc.cli.params) for name in option.opts}
        asked = {word.partition("=")[0].rstrip(",.") for word in words if word.startswith("--")}
        assert asked <= options, f"{page.name}: sonichaos {' '.join(words)}: {asked - options}"


def test_every_exit_status_is_listed() -> None:
    """docs/cli.md explains each exit status."""
    doc = _script("cli_doc")
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    for status in doc.ExitStatus:
        assert f"| {status.value} | " in page


def test_every_decision_is_in_the_index() -> None:
    """docs/README.md links each decision, and each says context, decision and consequences."""
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert f"(decisions/{page.name})" in index, page.name
        assert {"context", "decision", "consequences"} <= _anchors(page), page.name


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links each page of docs/."""
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


@pytest.mark.parametrize("page", PAGES, ids=_ids)
def test_links_resolve(page: Path) -> None:
    """Each relative link of a page points to a file of the repository, and its anchor to a heading there."""
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert ROOT in found.parents, target
        assert not anchor or anchor in _anchors(found), target


def test_pages_named_in_the_code_exist() -> None:
    """Each page of docs/ that the code names exists."""
    packages = (
        "render_service",
        "separation_service",
        "servicekit",
        "jobs_service",
        "hostctl",
        "training",
        "benchmarks",
    )
    for file in (path for package in packages for path in (ROOT / package).rglob("*.py")):
        for named in re.findall(r"\bdocs/[\w/-]+\.md", file.read_text(encoding="utf-8")):
            assert (ROOT / named).is_file(), f"{file.relative_to(ROOT)} names {named}"


def test_citations_of_the_contract_name_a_section() -> None:
    """Each file that cites docs/contract.md names a section that the page has, and none cites it by another name."""
    sections = set(re.findall(r"^## (\d+)\. ", (DOCS / "contract.md").read_text(encoding="utf-8"), re.MULTILINE))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    sources = [ROOT / name for name in listed.split("\0") if name.endswith((".py", ".proto", ".ts", ".yaml", ".yml"))]
    cited = 0
    for file in (path for path in sources if path.is_file() and path != Path(__file__)):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\bCONTRACT\b", text), f"{file.relative_to(ROOT)}: cite docs/contract.md, section N"
        for section in re.findall(r"\bdocs/contract\.md(?:,\s+(?:# |// )?section (\d+))?", text):
            assert section in sections, (
                f"{file.relative_to(ROOT)} cites section {section or 'none'} of docs/contract.md"
            )
            cited += 1
    assert cited


def test_walks_of_the_architecture_exist() -> None:
    """Each step of the walks in docs/architecture.md names a file and a class or function defined in it."""
    steps = _WALK_ROW.findall((DOCS / "architecture.md").read_text(encoding="utf-8"))
    assert len(steps) > 30
    for name, symbol in steps:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | _FUNCTION)}
        assert set(symbol.split(".")) <= defined, f"{name} does not define {symbol}"


def test_import_layers_are_in_the_architecture() -> None:
    """docs/architecture.md shows the layers that import-linter checks."""
    page = " ".join((DOCS / "architecture.md").read_text(encoding="utf-8").split())
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    shown = [contract for contract in config["contracts"] if contract["type"] == "layers"]
    assert shown
    for contract in shown:
        line = f"{contract['containers'][0]}: {' > '.join(contract['layers'])}"
        assert line in page, f"docs/architecture.md lacks: {line}"


@pytest.mark.parametrize("package", ["render_service", "separation_service", "servicekit"])
def test_packages_are_in_the_architecture(package: str) -> None:
    """docs/architecture.md describes each folder of the services and of servicekit."""
    section = (DOCS / "architecture.md").read_text(encoding="utf-8").split(f"### Inside {package}\n")[1].split("\n#")[0]
    listed = subprocess.run(["git", "ls-files", package], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for folder in sorted({name.split("/")[1] for name in listed.splitlines() if name.count("/") > 1}):
        assert f"`{folder}/`" in section, f"{package}/{folder}/ is missing"


def test_pictures_are_small_and_shown() -> None:
    """Each picture is small and shown on a page."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert PICTURES
    for picture in PICTURES:
        assert picture.stat().st_size < 200_000, picture.name
        assert f"img/{picture.name})" in text, picture.name


@pytest.mark.parametrize(("name", "code"), list(_python_blocks()), ids=_ids)
def test_python_blocks_fit_the_client(name: str, code: str) -> None:
    """A Python block of a page compiles; its imports, message fields and client methods exist."""
    tree = ast.parse(code, name)
    imported: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            imported |= {alias.name: getattr(module, alias.name) for alias in node.names}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        made = imported.get(call.func.id) if isinstance(call.func, ast.Name) else None
        if isinstance(made, type) and issubclass(made, Message):
            assert {keyword.arg for keyword in call.keywords} <= set(made.DESCRIPTOR.fields_by_name), made
        if (
            isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "client"
        ):
            assert hasattr(imported.get("Client", Client), call.func.attr), call.func.attr


def test_personas_of_the_readmes_exist() -> None:
    """Each persona that a README uses is built in."""
    built_in = ROOT / "render_service" / "personas" / "builtin"
    known = {json.loads(path.read_text(encoding="utf-8"))["id"] for path in built_in.glob("*/persona.json")}
    for page in READMES:
        text = page.read_text(encoding="utf-8")
        asked = set(re.findall(r"--persona ([a-z][\w-]*)", text)) | set(re.findall(r'persona_id="([^"]+)"', text))
        assert asked <= known, page


def test_changelog_names_the_version() -> None:
    """The version of the distribution has a section in the changelog."""
    version = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
