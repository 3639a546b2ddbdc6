"""The address of a Ray: which it is, and whether a cluster answers there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from ntk_sweep.errors import ConfigError
from ntk_sweep.settings.schema import ComputeConfig

LOCAL = "local"
"""What Ray takes as an address for a private Ray."""

CONNECT_SECONDS = 10
"""Longer than any network takes to connect, shorter than Ray's own minute of silence."""

ANSWER_SECONDS = 30
"""Longer than a busy machine takes to import Ray; a cluster answers at once."""

_ASK = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"


def address_of(compute: ComputeConfig) -> str | None:
    """The address of the cluster to join; None if a private Ray is wanted."""
    given = None if compute.address == "auto" else compute.address
    address = given or os.environ.get("RAY_ADDRESS") or compute.address
    return None if address == LOCAL else address


def refuse_no_cluster(compute: ComputeConfig) -> None:
    """Refuses to look for a cluster where ``RAY_ADDRESS`` says that there is none.

    Raises:
        ConfigError: It does.
    """
    if compute.address == "auto" and os.environ.get("RAY_ADDRESS") == LOCAL:
        raise ConfigError(
            "compute=cluster joins a cluster, but RAY_ADDRESS=local stands for a Ray on this "
            "machine alone: set RAY_ADDRESS or compute.address to host:port, or use compute=local"
        )


def try_connection(address: str) -> None:
    """Tries whether a Ray that takes our token listens at HOST:PORT.

    A process of its own asks. In this one, Ray would end it with a core dump's worth of messages
    where nothing listens, print a line a second where the token is wrong, and wait for ever where
    something else listens.

    Raises:
        OSError: There is none.
    """
    host, _, port = address.split("//")[-1].rpartition(":")
    if not host or not port.isdigit():
        return
    socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    if "//" in address:
        return  # another server than the one that is asked here
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, address],
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"no Ray answers within {ANSWER_SECONDS} s") from None
    if "InvalidAuthToken" in asked.stderr:
        raise PermissionError("its token is another one, or none is set here")
