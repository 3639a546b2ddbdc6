"""Protects which Ray an address means, and that what cannot be joined is found out soon."""

import socket

import pytest

from ntk_sweep.errors import ConfigError
from ntk_sweep.executors import ray_address
from ntk_sweep.executors.ray_address import address_of, refuse_no_cluster, try_connection
from ntk_sweep.settings.schema import ComputeConfig

CLUSTER = "10.0.0.1:6379"


@pytest.mark.parametrize(
    ("given", "variable", "address"),
    [
        (None, None, None),
        (None, "", None),
        (None, "local", None),
        (None, "auto", "auto"),
        (None, CLUSTER, CLUSTER),
        ("auto", None, "auto"),
        ("auto", CLUSTER, CLUSTER),
        ("local", CLUSTER, None),
        ("10.0.0.2:6379", CLUSTER, "10.0.0.2:6379"),
        ("10.0.0.2:6379", "local", "10.0.0.2:6379"),
    ],
)
def test_which_ray_is_meant(monkeypatch, given, variable, address):
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    compute = ComputeConfig(address=given)
    refuse_no_cluster(compute)
    assert address_of(compute) == address


def test_a_cluster_where_there_shall_be_none_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with pytest.raises(ConfigError, match="RAY_ADDRESS=local stands for a Ray on this machine al"):
        refuse_no_cluster(ComputeConfig(address="auto"))


def test_a_server_that_is_no_ray_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(ray_address, "ANSWER_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TimeoutError, match="no Ray answers within 1 s"):
            try_connection(address)
        try_connection(f"ray://{address}")
    for closed in (address, f"ray://{address}"):
        with pytest.raises(ConnectionRefusedError):
            try_connection(closed)
    try_connection("auto")
