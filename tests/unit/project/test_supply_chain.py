"""Dependencies: bounded, pinned with hashes for the images, under licences that are allowed, listed in an SBOM."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from importlib import metadata, util
from pathlib import Path
from types import ModuleType

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import AND, OR, LicenseWithExceptionSymbol, get_spdx_licensing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support import documented_shell

ROOT = Path(__file__).resolve().parents[3]


def _script() -> ModuleType:
    spec = util.spec_from_file_location("supply_chain", ROOT / "scripts" / "supply_chain.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SUPPLY_CHAIN = _script()
SPDX = get_spdx_licensing()
EVERY_EXTRA = frozenset({"ace-step", "openvino", "plot", "postgresql", "training"})

ALLOWED = frozenset(
    {"0BSD", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0", "MIT-CMU", "Apache-2.0", "ISC", "MPL-2.0"}
    | {"CNRI-Python", "PSF-2.0", "Python-2.0"}
    | {
        "BSL-1.0",
        "CC0-1.0",
        "Unlicense",
        "Zlib",
    }  # parts of torch, numpy and pycryptodome; none asks for more than MIT does
)
NAMED = {
    "lameenc": "LGPL-3.0: demucs requires it to write MP3, which nothing here does; a module of its own that can be replaced",
    "psycopg": "LGPL-3.0: Python modules, used through their documented interface and replaceable",
    "psycopg-binary": "LGPL-3.0: a shared library of psycopg, loaded when PostgreSQL is used",
    "soxr": "LGPL-2.1: a shared library that librosa loads; training only",
    "sphn": "Apache-2.0, by the file in its package; its metadata names no licence",
}
NVIDIA = re.compile(r"(nvidia|cuda)-[a-z0-9-]+")
"""NVIDIA's libraries, which the CUDA build of torch requires: proprietary, and free to use and redistribute as they are."""
MIT_IN_IMAGES_ONLY = frozenset({"triton"})
"""Required by the CUDA build of torch, so that the environment of the tests need not have it."""


def _all_requirements() -> list[tuple[str, str]]:
    """Each requirement of both distributions by where it stands: to build, to run, extras, development."""
    found = []
    for project in SUPPLY_CHAIN.PROJECTS:
        described = tomllib.loads(project.read_text(encoding="utf-8"))
        tables = {
            "build-system": described["build-system"]["requires"],
            "dependencies": described["project"]["dependencies"],
            **described["project"].get("optional-dependencies", {}),
            **described.get("dependency-groups", {}),
        }
        place = str(project.relative_to(ROOT))
        found += [(f"{place} {table}", text) for table, texts in tables.items() for text in texts]
    return [(place, text) for place, text in found if Requirement(text).name != "sonichaos-client"]


def _pins(file: Path = SUPPLY_CHAIN.CONSTRAINTS) -> dict[str, tuple[Version, list[str]]]:
    """Version and hashes of each package in docker/constraints.txt."""
    lines = file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pins = {}
    for line in lines:
        if not line.startswith("#"):
            pin, *hashes = line.split()
            name, _, version = pin.partition("==")
            assert name not in pins
            pins[name] = (Version(version), hashes)
    return pins


@pytest.mark.parametrize(("place", "text"), _all_requirements())
def test_requirements_have_both_bounds(place: str, text: str) -> None:
    """Each requirement has a lower and an upper bound, so that a new major release changes nothing by itself."""
    operators = {one.operator for one in Requirement(text).specifier}
    assert operators & {">=", "=="}, f"{place}: {text} has no lower bound"
    assert operators & {"<", "<=", "=="}, f"{place}: {text} has no upper bound"


@pytest.mark.parametrize(("place", "text"), _all_requirements())
def test_installed_versions_are_within_bounds(place: str, text: str) -> None:
    """The environment of the tests has each requirement within its bounds."""
    wanted = Requirement(text)
    if wanted.marker is None or wanted.marker.evaluate():
        assert metadata.version(wanted.name) in wanted.specifier, f"{place}: {text}"


def test_image_packages_are_pinned_with_hashes() -> None:
    """Each package of the images has one version and at least one SHA-256."""
    pins = _pins()
    assert len(pins) > 50
    for name, (_, hashes) in pins.items():
        assert name == canonicalize_name(name)
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), name


def test_image_packages_fit_the_requirements() -> None:
    """Everything that both distributions and their build require is in docker/constraints.txt, within its bounds."""
    pins = _pins()
    wanted = [
        one
        for project in SUPPLY_CHAIN.PROJECTS
        for one in (
            *SUPPLY_CHAIN.requirements(project, SUPPLY_CHAIN.IMAGE_EXTRAS),
            *map(Requirement, tomllib.loads(project.read_text(encoding="utf-8"))["build-system"]["requires"]),
        )
        if one.name != "sonichaos-client"
    ]
    assert len(wanted) > 30
    for one in wanted:
        name = canonicalize_name(one.name)
        assert name in pins, f"{one} is not in docker/constraints.txt; run `make constraints`"
        assert pins[name][0] in one.specifier, f"docker/constraints.txt has {name} {pins[name][0]}, required is {one}"


def test_image_has_the_whole_closure() -> None:
    """What the requirements require in turn is in docker/constraints.txt too, within the bounds that each package sets."""
    pins, closure = _pins(), SUPPLY_CHAIN.runtime_closure(SUPPLY_CHAIN.IMAGE_EXTRAS)
    for name, distribution in closure.items():
        marked = [Requirement(text) for text in distribution.requires or []]
        in_image = {
            "extra": "",
            "python_version": SUPPLY_CHAIN.PYTHON,
            "python_full_version": f"{SUPPLY_CHAIN.PYTHON}.0",
        }
        for one in marked:
            if one.marker is None or one.marker.evaluate(in_image):
                other = canonicalize_name(one.name)
                assert other in pins, f"{name} requires {one}; run `make constraints`"
                assert one.specifier.contains(pins[other][0], prereleases=True), f"{name} requires {one}"


def _allowed(expression: str) -> bool:
    """Whether an SPDX expression asks for nothing but allowed licences; of alternatives, one has to be allowed."""
    return _node_allowed(SPDX.parse(expression, validate=True))


def _node_allowed(node: object) -> bool:
    if isinstance(node, AND):
        return all(map(_node_allowed, node.args))
    if isinstance(node, OR):
        return any(map(_node_allowed, node.args))
    # An exception of SPDX grants more than its licence alone.
    return str(node.license_symbol if isinstance(node, LicenseWithExceptionSymbol) else node) in ALLOWED


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-2.0-only) AND BSD-3-Clause", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only WITH Classpath-exception-2.0", False),
        ("LGPL-3.0-or-later", False),
    ],
)
def test_expressions_of_licences(expression: str, allowed: bool) -> None:  # noqa: FBT001 - a column of the table
    """Every licence of a conjunction has to be allowed, and one of a disjunction."""
    assert _allowed(expression) is allowed


def test_licences_are_allowed() -> None:
    """Each package needed at run time, extras included, has an allowed licence or is named here with the reason."""
    closure = SUPPLY_CHAIN.runtime_closure(EVERY_EXTRA)
    assert len(closure) > 80
    refused = {}
    for name, distribution in closure.items():
        expression = SUPPLY_CHAIN.licence(distribution)
        if name not in NAMED and not NVIDIA.fullmatch(name) and not (expression and _allowed(expression)):
            refused[name] = expression or "unknown"
    assert not refused


def test_licences_of_the_page_are_allowed() -> None:
    """The same for the npm packages whose code is in the page."""
    packages = SUPPLY_CHAIN.packages_of_the_page()
    assert {"react", "react-dom", "@bufbuild/protobuf", "wavesurfer.js"} <= {one.name for one in packages}
    assert "vite" not in {one.name for one in packages}
    assert {one.name: one.licence for one in packages if not (one.licence and _allowed(one.licence))} == {}


def test_named_packages_are_required() -> None:
    """No package is named that is not required any more, and the one whose metadata has no licence ships its text."""
    closure = SUPPLY_CHAIN.runtime_closure(EVERY_EXTRA)
    assert NAMED.keys() <= closure.keys()
    (text,) = [file.read_text() for file in closure["sphn"].files or [] if file.name == "LICENSE"]
    assert re.match(r"\s*Apache License\s+Version 2\.0, January 2004\s", text)


def test_image_packages_were_all_checked() -> None:
    """The licence of each package of the images is checked above or stated here."""
    checked = SUPPLY_CHAIN.runtime_closure(EVERY_EXTRA).keys() | MIT_IN_IMAGES_ONLY
    unchecked = {name for name in _pins() if name not in checked and not NVIDIA.fullmatch(name)}
    assert not unchecked, "if they are not required any more, run `make constraints`"


def test_images_have_the_torch_that_is_tested() -> None:
    """The images have the release of torch that `make setup` installs, because samples depend on it."""
    (release,) = re.findall(r"^TORCH \?= torch==(\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert Version(release) == _pins()["torch"][0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the commands of docs/deployment.md have run."""
    folder = documented_shell.checkout(
        tmp_path_factory.mktemp("checkout"),
        "Makefile",
        "pyproject.toml",
        "scripts",
        "clients/python",
        "clients/web/package-lock.json",
        "docker",
    )
    (folder / "docker" / "constraints.txt").unlink()
    given = documented_shell.environment(Path.home())  # uv's cache is there
    for commands in documented_shell.documented("docs/deployment.md", "tests/unit/project/test_supply_chain.py"):
        documented_shell.run(commands, folder, given)
    return folder


def test_constraints_are_resolved_to_what_is_tested(made: Path) -> None:
    """The command pins each package that is installed here in the same version, with hashes, and all that is required."""
    pins = _pins(made / "docker" / "constraints.txt")
    assert all(hashes for _, hashes in pins.values())
    closure = SUPPLY_CHAIN.runtime_closure(SUPPLY_CHAIN.IMAGE_EXTRAS)
    installed = {name: Version(one.version.partition("+")[0]) for name, one in closure.items()}
    assert {name: pins[name][0] for name in installed} == installed


def test_sbom_lists_every_package_of_a_runtime(made: Path) -> None:
    """The SBOM is valid CycloneDX and has version, purl, licence and dependencies of each package needed at run time.

    Those of the page for browsers are among them.
    """
    closure = SUPPLY_CHAIN.runtime_closure(SUPPLY_CHAIN.IMAGE_EXTRAS)
    text = (made / "build" / "sbom.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found = json.loads(text)
    assert found["metadata"]["component"]["name"] == "sonichaos-studio"
    listed = {one["name"]: one for one in found["components"]}
    page = {one.name: one for one in SUPPLY_CHAIN.packages_of_the_page()}
    assert listed.keys() == closure.keys() | page.keys()
    for name, package in page.items():
        assert listed[name]["version"] == package.version
        assert listed[name]["purl"] == str(package.purl)
        assert "licenses" in listed[name]
    assert listed["react"]["purl"].startswith("pkg:npm/react@")
    for name, distribution in closure.items():
        assert listed[name]["version"] == distribution.version
        assert listed[name]["purl"].startswith(f"pkg:pypi/{name}@")
        assert "licenses" in listed[name] or name in NAMED
    depends = {one["ref"]: one.get("dependsOn", []) for one in found["dependencies"]}
    assert listed["torch"]["bom-ref"] in depends[found["metadata"]["component"]["bom-ref"]]
    assert listed["sympy"]["bom-ref"] in depends[listed["torch"]["bom-ref"]]
