"""An S3-compatible server on the loopback, as a process of its own."""

import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from pyarrow import fs

from tests.helpers.processes import free_port, stop, wait_for

BUCKET = "bucket"


@contextmanager
def s3_server():
    """Starts the server with one empty bucket; yields its address and the environment that clients
    need."""
    pytest.importorskip(
        "flask_cors",
        reason="the S3 server of the tests needs moto, flask and flask-cors (the extra dev)",
    )
    pytest.importorskip("moto.server")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    client = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        wait_for(lambda: _answers(endpoint), "the S3 server")
        fs.S3FileSystem(
            access_key="test",
            secret_key="test",
            region="us-east-1",
            endpoint_override=endpoint,
            allow_bucket_creation=True,
        ).create_dir(BUCKET)
        yield SimpleNamespace(process=server, port=port, environment=client)
    finally:
        stop(server)


def _answers(endpoint):
    try:
        with urllib.request.urlopen(endpoint, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def objects(prefix):
    """The names of all objects below a prefix."""
    filesystem = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"])
    found = filesystem.get_file_info(
        fs.FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True)
    )
    return [item.base_name for item in found if item.type == fs.FileType.File]
