"""Three hosts with addresses of their own on one machine: network namespaces on a bridge, whose
links can be cut."""

import os
import re
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

NETWORK = "10.213.0"


@dataclass(frozen=True)
class Host:
    """A network namespace with one address.

    Attributes:
        name: Of the namespace.
        address: Of its one link.
        switch: The namespace that the other end of the link is in.
    """

    name: str
    address: str
    switch: str

    @property
    def prefix(self):
        """What makes a command run on this host."""
        return ("ip", "netns", "exec", self.name)

    def cut(self):
        """Pulls the plug; nothing on the host notices, no connection is closed."""
        _ip("-n", self.switch, "link", "set", self.name, "down")

    def mend(self):
        """Puts the plug back."""
        _ip("-n", self.switch, "link", "set", self.name, "up")


@contextmanager
def hosts(number):
    """So many hosts that reach each other and nothing else, bridge included in a namespace of its
    own; skips where it is not allowed."""
    if shutil.which("ip") is None:
        pytest.skip("no command `ip` (Debian's package iproute2)")
    _remove_orphans()
    switch = f"ntk{os.getpid()}"
    with ExitStack() as stack:
        _namespace(stack, switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        made = []
        for index in range(1, number + 1):
            host = Host(f"{switch}-{index}", f"{NETWORK}.{index}", switch)
            _namespace(stack, host.name)
            _ip(
                "-n",
                switch,
                "link",
                "add",
                host.name,
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                host.name,
            )
            _ip("-n", switch, "link", "set", host.name, "master", "bridge", "up")
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", host.name, "link", "set", link, "up")
            made.append(host)
        yield made


def _remove_orphans():
    """Namespaces of test runs that were killed."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    for name, owner in re.findall(r"^(ntk(\d+)(?:-\d+)?)\b", listed, re.MULTILINE):
        if not os.path.exists(f"/proc/{owner}"):
            _ip("netns", "delete", name)


def _namespace(stack, name):
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespaces here: `ip netns add` says {made.stderr.strip()}")
    stack.callback(_ip, "netns", "delete", name)


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
