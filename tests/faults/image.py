"""``make image-test``: builds the image, and sweeps with head, workers and driver from it, by the
commands of docker/compose.yaml; then compares the rows with a serial run of the checkout.

It needs root and buildah, which builds and runs without an engine, in a changed root on the network
of this machine. ``BASE_IMAGE`` names another base; ``debootstrap`` makes one of Debian's packages,
where no registry of images is reached. The last output goes into docs/guide/cluster.md.
"""

import ast
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import yaml

from docs.tools.pages import fill
from ntk_sweep.store.reading import load_results
from tests.helpers.places import ROOT
from tests.helpers.processes import GRID, POINTS, TIME_LIMIT, free_port, run, stop, wait_for

IMAGE = "localhost/ntk-sweep:cpu"
MADE_BASE = "localhost/ntk-sweep-base:bookworm"
USER = 10001
WORKERS = 2

ALONE = ("--isolation", "chroot", "--network", "host")
"""What needs no engine: no namespaces but the mounts' own."""

SOURCES = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "cert",
    "proxy",
    "timeout",
    "default-timeout",
)
"""Of pip's configuration here: where packages come from."""

SHOWN = ("id", "python --version", "ntk-sweep --version")
"""Commands whose output tells which image it is."""

DRIVER = "ntk-sweep run -m compute=cluster results=/results"


def main():
    if shutil.which("buildah") is None or os.geteuid():
        sys.exit("make image-test needs root and buildah (Debian's package of that name)")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="image-test-")))
        folder.chmod(0o755)
        build(folder, base_image(folder))
        inside("test ! -e /etc/pip.conf")
        output = [f"$ {script}\n{inside(script)}" for script in SHOWN]
        output += [f"$ {DRIVER} {shlex.join(GRID)}", *sweep(stack, folder / "results")]
        output.append(compared(folder))
    sys.stdout.write("\n".join(output) + "\n")
    if "--docs" in sys.argv:
        page = ROOT / "docs" / "guide" / "cluster.md"
        fill(page, "image", "\n".join(["```", *output, "```"]))


def base_image(folder):
    """The image to start from, or None for that of the Dockerfile."""
    base = os.environ.get("BASE_IMAGE") or None
    if base != "debootstrap":
        return base
    if not call("buildah", "images", "--quiet", "--filter", f"reference={MADE_BASE}"):
        packages = "--include=python3,python3-venv,ca-certificates"
        root = folder / "root"
        call("debootstrap", "--variant=minbase", packages, "bookworm", str(root), show=True)
        with container("scratch") as made:
            call("buildah", "copy", "--quiet", made, str(root), "/")
            call("buildah", "commit", "--quiet", made, MADE_BASE)
        shutil.rmtree(root)
    return MADE_BASE


def build(folder, base):
    """Builds the image, with pip's configuration of this machine."""
    configuration = pip_configuration()
    secret = folder / "pip.conf"
    secret.write_text("\n".join(["[global]", *(f"{k} = {v}" for k, v in configuration.items())]))
    volumes = [f"--volume={path}:{path}:ro" for path in local_paths(configuration.values())]
    arguments = [f"--build-arg=BASE_IMAGE={base}"] if base else []
    if index := os.environ.get("TORCH_INDEX"):
        arguments.append(f"--build-arg=TORCH_INDEX={index}")
    command = [
        "buildah",
        "bud",
        "--layers",
        "--force-rm",
        *ALONE,
        f"--secret=id=pip.conf,src={secret}",
    ]
    call(
        *command, *volumes, *arguments, f"--tag={IMAGE}", "--file=docker/Dockerfile", ".", show=True
    )


def pip_configuration():
    """The settings of pip here that say where packages come from; an empty dict is the usual."""
    listed = call(sys.executable, "-m", "pip", "config", "list")
    found = {}
    for line in listed.splitlines():
        name, value = line.split("=", 1)
        key = name.rpartition(".")[2]
        if key in SOURCES:
            found[key] = " ".join(ast.literal_eval(value).split())
    return found


def local_paths(values):
    """The files and folders of this machine that these settings name.

    The packages of an index may lie beside it.
    """
    named = " ".join(values).split()
    plain = [name for name in named if name.startswith("/")]
    indexes = [unquote(urlsplit(name).path) for name in named if name.startswith("file:")]
    paths = {*plain, *(os.path.dirname(index.rstrip("/")) for index in indexes)}
    return sorted(path for path in paths if os.path.exists(path))


@contextmanager
def container(image):
    """A container of the image, removed at the end."""
    made = call("buildah", "from", "--pull-never", image)
    try:
        yield made
    finally:
        call("buildah", "rm", made)


def inside(script):
    """What a shell in the image prints."""
    with container(IMAGE) as made:
        return call("buildah", "run", *ALONE, f"--user={USER}", made, "--", "sh", "-c", script)


class Services:
    """Containers with the commands of the compose file, on the network of this machine.

    Args:
        stack: Ends them.
        results: The folder in the place of the shared volume.
    """

    def __init__(self, stack, results):
        compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
        self._services = compose["services"]
        self._stack = stack
        self._results = results
        self._port = free_port()
        self._token = secrets.token_hex(32)

    def start(self, name, *arguments):
        """Starts a container of a service, with its command; returns it and its process."""
        made = self._stack.enter_context(container(IMAGE))
        command = shlex.split(self._services[name]["command"])
        return made, self.execute(name, made, *command, *arguments)

    def execute(self, name, made, *command):
        """Starts a command in a container of a service, as `docker compose exec` does."""
        service = self._services[name]
        assert service["volumes"] == ["results:/results"]
        environment = service["environment"] | {"RAY_AUTH_TOKEN": self._token}
        started = subprocess.Popen(
            [
                *("buildah", "run", *ALONE, f"--user={USER}", f"--volume={self._results}:/results"),
                *(f"--env={key}={value}" for key, value in environment.items()),
                *(made, "--", *map(self._here, command)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._stack.callback(stop, started)
        return started

    def nodes(self, made):
        """How many nodes the cluster has, by the question for the head's health."""
        kind, *command = self._services["head"]["healthcheck"]["test"]
        assert kind == "CMD"
        said, _ = self.execute("head", made, *command).communicate()
        return said.partition("Pending:")[0].count("node_")

    def _here(self, word):
        """A word of the compose file without its names and ports, which others may have here."""
        return re.sub(r"\bhead:6379", "127.0.0.1:6379", word).replace("6379", str(self._port))


def sweep(stack, results):
    """Sweeps with head, workers and driver from the image; what the driver says."""
    results.mkdir()
    os.chown(results, USER, USER)
    services = Services(stack, results)
    # On one network the dashboard and Ray's client need ports of their own, too.
    ports = [f"{name}={free_port()}" for name in ("--dashboard-port", "--ray-client-server-port")]
    container_of_head, head = services.start("head", *ports)
    wait_for(lambda: services.nodes(container_of_head), "the head", head)
    for _ in range(WORKERS):
        services.start("worker", "--num-cpus=1")
    wait_for(lambda: services.nodes(container_of_head) == 1 + WORKERS, "the workers", head)
    driver = services.execute("head", container_of_head, *DRIVER.split(), *GRID)
    said, _ = driver.communicate(timeout=TIME_LIMIT)
    if driver.returncode:
        raise SystemExit(said)
    return [line for line in said.splitlines() if re.match(r"\d+ points ", line)]


def compared(folder):
    """In words, how the rows differ from those of a serial run of the checkout."""
    ended = run(folder / "here", *GRID, "hydra/launcher=serial")
    assert ended.returncode == 0, ended.stderr
    image, here = (load_results(folder / name / "spectrum") for name in ("results", "here"))
    assert image.key.tolist() == here.key.tolist()
    assert image.status.eq("ok").all()
    same = 0
    for one, other in zip(image.itertuples(), here.itertuples(), strict=True):
        apart = np.abs(one.eigenvalues - other.eigenvalues)
        assert (apart <= one.eigenvalue_errors + other.eigenvalue_errors).all(), one.key
        same += not apart.any()
    return (
        f"rows: {len(image)} of {POINTS}; {same} of them with the eigenvalues of a serial run of "
        f"the checkout, bit for bit, {len(image) - same} within the error bounds"
    )


def call(*command, show=False):
    """What a command prints; with `show` it prints as it goes."""
    ended = subprocess.run(
        command,
        cwd=ROOT,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=None if show else subprocess.PIPE,
        stderr=None if show else subprocess.PIPE,
    )
    if ended.returncode:
        raise SystemExit(f"{shlex.join(command)}: status {ended.returncode}\n{ended.stderr or ''}")
    return (ended.stdout or "").strip()


if __name__ == "__main__":
    main()
