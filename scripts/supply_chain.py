"""What an installation consists of: the pinned packages of the container images, and the SBOM of an environment.

python scripts/supply_chain.py constraints    write docker/constraints.txt (needs the package index)
python scripts/supply_chain.py sbom           write build/sbom.json, a CycloneDX SBOM of this environment (needs no network)
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = (ROOT / "pyproject.toml", ROOT / "clients" / "python" / "pyproject.toml")
CONSTRAINTS = ROOT / "docker" / "constraints.txt"
SBOM = ROOT / "build" / "sbom.json"
PAGE_LOCK = ROOT / "clients" / "web" / "package-lock.json"
IMAGE_EXTRAS = frozenset({"postgresql"})
"""The extras that the container images install."""
PYTHON, PLATFORM = "3.12", "x86_64-manylinux_2_28"
"""What docker/constraints.txt is resolved for: the Python of docker/Dockerfile, on Linux x86-64 with glibc 2.28 or later."""

_OUR_PREFIX = "sonichaos-"
_HEADER = f"""\
# Every package of the container images, pinned, with the SHA-256 of each wheel that fits Python {PYTHON} on Linux x86-64 (glibc
# 2.28 or later). torch is the CUDA build. Where the tests' environment has the package, it is the same version.
# Written by `make constraints`. Do not edit.
"""

_SPDX_OF_CLASSIFIER = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_SPDX_OF_TEXT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "MIT License": "MIT",
}
_SPDX = re.compile(r"\(?[A-Z0-9][\w.+-]*( (AND|OR|WITH) \(?[A-Z0-9][\w.+-]*\)?)*", re.ASCII)


def requirements(project: Path, extras: Collection[str]) -> list[Requirement]:
    """What a ``pyproject.toml`` requires at run time, with these extras and, of the client, those that the full package has."""
    described = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    chosen = [*described["dependencies"]]
    included = extras_of_the_client() if project == PROJECTS[1] else set()
    for name, more in described.get("optional-dependencies", {}).items():
        chosen += more if name in extras or name in included else []
    return [Requirement(text) for text in chosen]


def extras_of_the_client() -> set[str]:
    """The extras of the client that the full package requires."""
    described = tomllib.loads(PROJECTS[0].read_text(encoding="utf-8"))["project"]
    (client,) = [one for one in map(Requirement, described["dependencies"]) if one.name == "sonichaos-client"]
    return client.extras


def runtime_closure(extras: Collection[str]) -> dict[str, metadata.Distribution]:
    """Each installed package that both distributions need at run time, directly or not, by its normalized name.

    The project's own distributions are not among them. Raises PackageNotFoundError for one that is not installed.
    """
    found: dict[str, metadata.Distribution] = {}
    waiting = [one for project in PROJECTS for one in requirements(project, extras)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name.startswith(_OUR_PREFIX):
            continue
        found[name] = metadata.distribution(name)
        for extra in {"", *wanted.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += required_by(found[name], extra)
    return dict(sorted(found.items()))


def required_by(distribution: metadata.Distribution, extra: str = "") -> list[Requirement]:
    """What an installed package requires in this environment, with one of its extras."""
    wanted = [Requirement(text) for text in distribution.requires or []]
    return [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": extra})]


def licence(distribution: metadata.Distribution) -> str:
    """The licence of an installed package as an SPDX expression, from its metadata; empty if that does not say.

    A package with several classifiers of licences is under any of them, as python-dateutil is.
    """
    about = distribution.metadata
    expression = about.get("License-Expression")
    if expression:
        return str(expression)
    classifiers = [text.rpartition(" :: ")[2] for text in about.get_all("Classifier", []) if text.startswith("License")]
    known = [_SPDX_OF_CLASSIFIER.get(text, text) for text in classifiers if text != "OSI Approved"]
    if known:
        return " OR ".join(known)
    text = str(about.get("License") or "").strip()
    return _SPDX_OF_TEXT.get(text, text if _SPDX.fullmatch(text) else "")


@dataclass(frozen=True, kw_only=True)
class NpmPackage:
    """A package of npm whose code is in the page for browsers. ``licence`` is an SPDX expression."""

    name: str
    version: str
    licence: str

    @property
    def purl(self) -> PackageURL:
        """Its package URL."""
        scope, _, name = self.name.rpartition("/")
        return PackageURL("npm", scope or None, name, self.version)


def packages_of_the_page() -> list[NpmPackage]:
    """The packages that `clients/web` needs at run time, directly or not, by its lock file."""
    listed = json.loads(PAGE_LOCK.read_text(encoding="utf-8"))["packages"]
    return [
        NpmPackage(
            name=path.rpartition("node_modules/")[2], version=package["version"], licence=package.get("license", "")
        )
        for path, package in sorted(listed.items())
        if path.startswith("node_modules/") and not package.get("dev") and not package.get("link")
    ]


def sbom(
    distributions: Mapping[str, metadata.Distribution], page: Collection[NpmPackage] = (), *, when: datetime
) -> str:
    """A CycloneDX 1.6 SBOM in JSON: the project, these packages with version, purl and licence, and who requires whom."""
    components = {name: _component(name, one.version, licence(one)) for name, one in distributions.items()}
    of_page = [_described(one.name, one.version, one.licence, one.purl) for one in page]
    version = tomllib.loads(PROJECTS[0].read_text(encoding="utf-8"))["project"]["version"]
    root = _component("sonichaos-studio", version, "Apache-2.0", ComponentType.APPLICATION)
    bom = Bom(components=[*components.values(), *of_page])
    bom.metadata.component = root
    bom.metadata.timestamp = when
    direct = {canonicalize_name(one.name) for project in PROJECTS for one in requirements(project, IMAGE_EXTRAS)}
    bom.register_dependency(root, [*(components[name] for name in sorted(direct & components.keys())), *of_page])
    for name, one in distributions.items():
        needed = {canonicalize_name(wanted.name) for wanted in required_by(one)}
        bom.register_dependency(components[name], [components[other] for other in sorted(needed & components.keys())])
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _component(name: str, version: str, spdx: str, kind: ComponentType = ComponentType.LIBRARY) -> Component:
    return _described(name, version, spdx, PackageURL("pypi", None, name, version), kind)


def _described(
    name: str, version: str, spdx: str, purl: PackageURL, kind: ComponentType = ComponentType.LIBRARY
) -> Component:
    licences = [LicenseExpression(spdx)] if spdx else []
    return Component(name=name, version=version, type=kind, purl=purl, bom_ref=str(purl), licenses=licences)


def constraints_text() -> str:
    """The text of docker/constraints.txt, resolved by uv against the package index."""
    installed = runtime_closure(IMAGE_EXTRAS)
    build_system = tomllib.loads(PROJECTS[0].read_text(encoding="utf-8"))["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as folder:
        wanted, tested, locked = (Path(folder) / name for name in ("wanted.in", "tested.txt", "pylock.toml"))
        extras = ",".join(sorted(IMAGE_EXTRAS))
        wanted.write_text("\n".join([str(PROJECTS[1].parent), f"{ROOT}[{extras}]", *build_system]))
        # "+cpu" of torch is a build that the index does not have.
        tested.write_text("\n".join(f"{name}=={one.version.partition('+')[0]}" for name, one in installed.items()))
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-python-downloads"]
        command += ["--only-binary", ":all:", "--python-version", PYTHON, "--python-platform", PLATFORM]
        command += ["--generate-hashes", "--format", "pylock.toml", "--output-file", str(locked)]
        subprocess.run([*command, "--constraint", str(tested), str(wanted)], check=True, cwd=folder)
        packages = tomllib.loads(locked.read_text(encoding="utf-8"))["packages"]
    return _HEADER + "".join(_pinned(packages))


def _pinned(packages: list[dict[str, Any]]) -> Iterator[str]:
    """A requirement with hashes for each package of a pylock.toml that comes from the index."""
    for package in packages:
        if "directory" not in package:
            hashes = sorted(wheel["hashes"]["sha256"] for wheel in package["wheels"])
            lines = [f"{package['name']}=={package['version']}", *(f"    --hash=sha256:{one}" for one in hashes)]
            yield " \\\n".join(lines) + "\n"


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["constraints", "sbom"])
    what = parser.parse_args().what
    if what == "constraints":
        CONSTRAINTS.write_text(constraints_text(), encoding="utf-8")
        return
    SBOM.parent.mkdir(exist_ok=True)
    text = sbom(runtime_closure(IMAGE_EXTRAS), packages_of_the_page(), when=datetime.now(UTC))
    SBOM.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
