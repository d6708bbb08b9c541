"""docker/kubernetes/: what can be checked without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from render_service.settings import RenderSettings
from separation_service.settings import SeparationSettings
from servicekit.access.access_file import AccessRules, parse_rules
from servicekit.rpc.endpoints import check_listen_address
from servicekit.settings import read_settings

FOLDER = Path(__file__).resolve().parents[3] / "docker" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
VERSIONS = ("1.34", "1.37")
SERVICES: dict[str, type[RenderSettings | SeparationSettings]] = {
    "render-service": RenderSettings,
    "separation-service": SeparationSettings,
}
SECRET = {
    "SONICHAOS_JOURNAL_URL": "postgresql+psycopg://sonichaos:secret@postgres.example.com/sonichaos",
    "SONICHAOS_S3_ACCESS_KEY": "sonichaos",
    "SONICHAOS_S3_SECRET_KEY": "secret",
}
"""What docs/deployment.md puts into the Secret sonichaos-settings."""


RESOURCES = {
    path: list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
}


def _resource(kind: str, name: str = "") -> dict[str, Any]:
    """The only resource of its kind, or the one with this name."""
    found_all = [one for resources in RESOURCES.values() for one in resources if one["kind"] == kind]
    (found,) = [one for one in found_all if one["metadata"]["name"] == name or not name]
    resource: dict[str, Any] = found
    return resource


POD: dict[str, Any] = _resource("Deployment")["spec"]["template"]["spec"]
CONTAINERS: dict[str, dict[str, Any]] = {one["name"]: one for one in (*POD["initContainers"], *POD["containers"])}


def _settings(name: str) -> RenderSettings | SeparationSettings:
    """The settings of a container, as its environment gives them."""
    container = CONTAINERS[name]
    sources = [next(iter(one.items())) for one in container["envFrom"]]
    assert [kind for kind, _ in sources] == ["configMapRef", "secretRef"]
    own = {one["name"]: one["value"] for one in container["env"]}
    shared = _resource("ConfigMap", sources[0][1]["name"])["data"]
    return read_settings(SERVICES[name], {"SONICHAOS_DATA": "/data"} | shared | SECRET | own)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.name)
def test_resources_fit_the_schemas(path: Path, version: str) -> None:
    """Each resource is valid, without unknown fields, in the oldest and the newest version that the files are for."""
    for resource in RESOURCES[path]:
        kubernetes_validate.validate(resource, version, strict=True)


def test_every_file_is_applied() -> None:
    """The kustomization names each file, and an image for each container."""
    assert sorted(KUSTOMIZATION["resources"]) == [path.name for path in RESOURCES]
    assert {one["name"] for one in KUSTOMIZATION["images"]} == {one["image"] for one in CONTAINERS.values()}
    assert KUSTOMIZATION["namespace"] == _resource("Namespace")["metadata"]["name"]


def test_the_pod_is_restricted() -> None:
    """The namespace enforces the restricted profile, and the pod meets it: no root, no privileges, nothing writable but volumes."""
    labels = _resource("Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    context = POD["securityContext"]
    assert context["runAsNonRoot"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (10001, 10001, 10001)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not POD["automountServiceAccountToken"]
    for container in CONTAINERS.values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_no_variable_is_added_by_the_cluster() -> None:
    """Links of services are off: the Service's name would become variables that the services refuse as unknown settings."""
    assert _resource("Service")["metadata"]["name"] == "sonichaos"
    assert not POD["enableServiceLinks"]


@pytest.mark.parametrize("name", SERVICES)
def test_settings_are_valid(name: str) -> None:
    """Each container's environment has valid settings; callers are identified over TLS, from a Secret that is mounted read-only."""
    settings = _settings(name)
    assert (settings.device, settings.store, settings.insecure) == ("cuda", "s3", False)
    address = settings.model_dump()[f"{name.partition('-')[0]}_listen"]
    check_listen_address(address, tls=settings.tls_certificate is not None, insecure=False)
    (tls,) = [one for one in POD["volumes"] if "secret" in one]
    (mount,) = [one for one in CONTAINERS[name]["volumeMounts"] if one["name"] == tls["name"]]
    assert mount["readOnly"]
    # Names of a Secret of the type kubernetes.io/tls. Root owns its files, and fsGroup lets the services' group read them.
    assert settings.tls_certificate == Path(mount["mountPath"]) / "tls.crt"
    assert settings.tls_key == Path(mount["mountPath"]) / "tls.key"
    assert tls["secret"]["defaultMode"] == 0o440


def test_writable_folders_are_volumes() -> None:
    """The data folder is one volume of both services, and the folder of their sockets is no mount, which root would own."""
    volumes = {one["name"]: one for one in POD["volumes"]}
    for name in SERVICES:
        mounts = {one["mountPath"]: one["name"] for one in CONTAINERS[name]["volumeMounts"]}
        writable = {path for path in mounts if "emptyDir" in volumes[mounts[path]]}
        assert writable == {"/data", "/tmp"}  # noqa: S108 - a path of the container
        assert mounts["/data"] == "data"
        assert _settings(name).listen_socket.parent == Path("/data/run")


def test_the_access_file_is_valid() -> None:
    """The settings name the file of the mounted ConfigMap, whose rules are valid: none, until the operator writes some."""
    (access,) = [one for one in POD["volumes"] if "configMap" in one]
    rules = _resource("ConfigMap", access["configMap"]["name"])["data"]
    for name in SERVICES:
        (mount,) = [one for one in CONTAINERS[name]["volumeMounts"] if one["name"] == access["name"]]
        file = Path(_settings(name).access_file)
        assert (str(file.parent), mount["readOnly"]) == (mount["mountPath"], True)
        assert parse_rules(rules[file.name]) == AccessRules()


@pytest.mark.parametrize("name", SERVICES)
def test_health_is_probed_at_the_socket(name: str) -> None:
    """Each probe asks at the Unix socket in the shared run folder."""
    socket = f"unix://{_settings(name).listen_socket}"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINERS[name][probe]["exec"]["command"] == ["python", "-P", "-m", "servicekit.rpc.probe", socket]


def test_the_grace_period_covers_draining_one_after_the_other() -> None:
    """render_service drains first, while separation_service, a sidecar, still works; both fit the grace period."""
    assert [one["name"] for one in POD["initContainers"]] == ["separation-service"]
    assert CONTAINERS["separation-service"]["restartPolicy"] == "Always"
    assert POD["terminationGracePeriodSeconds"] > sum(_settings(name).drain_seconds for name in SERVICES)


def test_both_containers_share_one_gpu() -> None:
    """Both containers use the same claim of the pod, which the template makes."""
    (claim,) = POD["resourceClaims"]
    assert claim["resourceClaimTemplateName"] == _resource("ResourceClaimTemplate")["metadata"]["name"]
    for container in CONTAINERS.values():
        assert container["resources"]["claims"] == [{"name": claim["name"]}]


def test_ports_agree() -> None:
    """The Service has the ports on which the services listen, the policy admits them, and metrics only from monitoring."""
    listen = {
        int(_settings(name).model_dump()[f"{name.partition('-')[0]}_listen"].rpartition(":")[2]) for name in SERVICES
    }
    metrics = {_settings(name).model_dump()[f"{name.partition('-')[0]}_metrics_port"] for name in SERVICES}
    assert {one["targetPort"] for one in _resource("Service")["spec"]["ports"]} == listen
    opened = {port["containerPort"] for container in CONTAINERS.values() for port in container["ports"]}
    assert opened == listen | metrics
    callers, monitoring = _resource("NetworkPolicy")["spec"]["ingress"]
    assert {one["port"] for one in callers["ports"]} == listen
    assert {one["port"] for one in monitoring["ports"]} == metrics
    assert monitoring["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
