"""Protects the container files, as far as that goes without an engine: structure, versions, users,
ports, secrets."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.places import ROOT

DOCKER = ROOT / "docker"
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
)


def documents(name):
    return list(yaml.safe_load_all((DOCKER / name).read_text()))


@pytest.fixture
def compose():
    (found,) = documents("compose.yaml")
    return found


@pytest.fixture
def ray_cluster():
    return next(
        document for document in documents("raycluster.yaml") if document["kind"] == "RayCluster"
    )


def pods(ray_cluster):
    groups = [ray_cluster["spec"]["headGroupSpec"], *ray_cluster["spec"]["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_the_dockerfile_passes_its_linter():
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    )
    if linter is None:
        pytest.skip("hadolint is not installed (the extra dev)")
    checked = subprocess.run([linter, str(DOCKER / "Dockerfile")], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_the_compose_files_follow_the_schema(name):
    pytest.importorskip(
        "check_jsonschema", reason="check-jsonschema is not installed (the extra dev)"
    )
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(DOCKER / name),
    ]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_compose_itself_reads_the_files():
    client = shutil.which("docker")
    if (
        client is None
        or subprocess.run([client, "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("no `docker compose` here")
    for files in (["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"]):
        named = [part for name in files for part in ("--file", str(DOCKER / name))]
        command = [client, "compose", *named, "config", "--quiet"]
        checked = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"RAY_AUTH_TOKEN": "secret"}
        )
        assert checked.returncode == 0, checked.stderr
        without = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
        assert (
            "set it to a secret"
            in subprocess.run(command, capture_output=True, text=True, env=without).stderr
        )


def test_the_image_takes_pinned_versions_and_drops_its_privileges():
    text = (DOCKER / "Dockerfile").read_text()
    instructions = [line for line in text.splitlines() if not line.startswith("#")]
    (version,) = re.findall(r"^ARG PYTHON_VERSION=(.*)$", text, re.MULTILINE)
    assert re.fullmatch(r"3\.1[123]\.\d+", version)
    assert "ARG BASE_IMAGE=python:${PYTHON_VERSION}-slim-bookworm" in instructions
    stages = [line.split()[1] for line in instructions if line.startswith("FROM")]
    assert stages == ["${BASE_IMAGE}"] * 2, (
        "what the first installs runs on the Python of the second"
    )
    installs = re.findall(r"^RUN --mount=(.*) \\\n *pip install (.*)", text, re.MULTILINE)
    assert len(installs) == text.count("pip install") == 2
    for mount, options in installs:
        assert mount == "type=secret,id=pip.conf,target=/etc/pip.conf", "stays out of the image"
        assert "--constraint constraints.txt" in options
    (user,) = re.findall(r"^USER (\d+)", text, re.MULTILINE)
    assert int(user) != 0
    assert text.index("USER ") > text.rindex("RUN ")
    assert not re.search(r"^(ENV|ARG) .*TOKEN=", text, re.MULTILINE)
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for name in source.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_compose_file_asks_for_a_token_and_opens_no_port(compose):
    assert set(compose["services"]) == {"head", "worker"}
    for name, service in compose["services"].items():
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert service["environment"]["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN:?"), (
            "the token comes from outside, or not at all"
        )
        assert service["volumes"] == ["results:/results"]
        assert "ports" not in service, name
        assert "privileged" not in service, name
        assert service["cap_drop"] == ["ALL"]
        dockerfile = ROOT / "docker" / service["build"]["context"] / service["build"]["dockerfile"]
        assert dockerfile.resolve() == DOCKER / "Dockerfile"
    assert "results" in compose["volumes"]
    head = compose["services"]["head"]["command"]
    assert "--dashboard-host=127.0.0.1" in head
    assert "0.0.0.0" not in (DOCKER / "compose.yaml").read_text()
    assert "--address=head:6379" in compose["services"]["worker"]["command"]


def test_the_gpu_file_changes_services_that_there_are(compose):
    (overrides,) = documents("compose.gpu.yaml")
    assert set(overrides["services"]) <= set(compose["services"])
    assert {service["build"]["args"]["DEVICE"] for service in overrides["services"].values()} == {
        "cuda"
    }
    (device,) = overrides["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_the_manifest_is_of_the_pinned_ray_and_asks_for_a_token(ray_cluster):
    assert ray_cluster["apiVersion"] == "ray.io/v1"
    assert ray_cluster["spec"]["rayVersion"] == PINS["ray"]
    assert ray_cluster["spec"]["authOptions"] == {"mode": "token"}
    assert ray_cluster["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"
    claims = {
        document["metadata"]["name"]
        for document in documents("raycluster.yaml")
        if document["kind"] == "PersistentVolumeClaim"
    }
    for group in (ray_cluster["spec"]["headGroupSpec"], *ray_cluster["spec"]["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values()), (
            "KubeRay takes strings only"
        )
    for pod in pods(ray_cluster):
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
        assert {volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]} <= claims
    user = re.search(r"^USER (\d+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE).group(1)
    assert {pod["securityContext"]["runAsUser"] for pod in pods(ray_cluster)} == {int(user)}


def test_the_image_asks_for_the_token():
    assert "RAY_AUTH_MODE=token" in (DOCKER / "Dockerfile").read_text()
