"""Protects the Ray executor where no Ray is needed: resources, losses, start and end."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import exceptions

import ntk_sweep
from ntk_sweep.errors import ConfigError
from ntk_sweep.executors import ray as executing
from ntk_sweep.executors import ray_cluster, ray_folder, ray_nodes
from ntk_sweep.executors.messages import Lost
from ntk_sweep.executors.ray import RayExecutor
from ntk_sweep.executors.ray_cluster import PACKAGE, ClusterError
from ntk_sweep.executors.ray_job import JOB_VARIABLE
from ntk_sweep.settings.schema import ComputeConfig
from tests.helpers.fake_ray import FakeRay, executor_on

DATA = SimpleNamespace(fingerprints=("f", None), x=[])
JOINED = ComputeConfig(address="auto")


def spec(number=0):
    return SimpleNamespace(limits=(), session=".sweep-1", number=number)


@pytest.fixture(autouse=True)
def place(monkeypatch):
    """Where temporary folders are made; whatever happens, none stays."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        monkeypatch.setattr(ray_folder, "_places", lambda: [place])
        yield place
        assert not os.listdir(place)


@pytest.mark.parametrize(
    ("wanted", "slots", "capacity"),
    [(None, 4, 8), (1, 1, 1), (3, 3, 3), (4, 4, 8), (9, 4, 8)],
    ids=str,
)
def test_no_more_workers_than_wanted(wanted, slots, capacity):
    """A chunk that waits for one worker is given to another by Ray, if there is room."""
    fake = FakeRay([{"CPU": 5.0}, {"CPU": 5.0}, {"CPU": 8.0}])
    fake.machines[2]["Alive"] = False
    executor = executor_on(fake, ComputeConfig(num_workers=wanted, num_cpus=2))
    assert (executor.slots, executor.capacity) == (slots, capacity)
    assert executor.describe() == f"on Ray on this machine, {slots} workers"
    executor.close()


@pytest.mark.parametrize(("num_gpus", "room"), [(0, 16), (1, 2), (0.25, 8), (3, 0)])
def test_gpus_limit_the_workers_of_a_machine(num_gpus, room):
    compute = ComputeConfig(num_gpus=num_gpus)
    assert ray_cluster.workers_on({"CPU": 16.0, "GPU": 2.0}, compute) == room


def test_thirds_of_a_gpu_fill_it():
    compute = ComputeConfig(num_gpus=0.1, num_cpus=0.1)
    assert ray_cluster.workers_on({"CPU": 0.3, "GPU": 0.3}, compute) == 3


@pytest.mark.parametrize(
    ("error", "died", "out_of_memory"),
    [
        (exceptions.WorkerCrashedError(), True, False),
        (exceptions.OutOfMemoryError("memory ran out"), True, True),
        (exceptions.NodeDiedError("gone"), False, False),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("of_its_limits", [False, True])
def test_a_chunk_is_lost_with_its_worker_and_with_that_of_its_limits(
    error, died, out_of_memory, of_its_limits
):
    """Ray wraps the error of a task that another waited for as if that had raised it."""
    if of_its_limits:
        error = exceptions.RayTaskError("_run_chunk", "traceback", error).as_instanceof_cause()
    executor = executor_on(FakeRay(outcome=error), ComputeConfig())
    executor.submit(3, spec(3), DATA)
    executor._limits = SimpleNamespace(forget=lambda: forgotten.append(True))
    forgotten = []
    ((number, lost),) = executor.wait(0.5)
    executor.close()
    assert number == 3
    assert isinstance(lost, Lost)
    assert (lost.worker_died, lost.out_of_memory) == (died, out_of_memory)
    assert forgotten == [True], "what a lost worker has lost may be among the limits"


def test_a_cluster_that_is_lost_ends_the_sweep():
    fake = FakeRay(outcome=exceptions.RayError("no answer"))
    executor = executor_on(fake, ComputeConfig())
    executor.submit(0, spec(), DATA)
    fake.started = False
    with pytest.raises(ClusterError, match="start the same command again to go on"):
        executor.wait(0.5)
    executor.close()


def test_dead_nodes_are_looked_for_while_chunks_end(monkeypatch):
    now, looks = [100.0], []
    monkeypatch.setattr(executing.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_nodes, "forget_sessions", lambda sessions: looks.append(sessions))
    executor = executor_on(FakeRay(outcome="report"), JOINED)

    def lost_chunks(nodes, running, now):
        looks.append(dict(running))
        return {7: "its machine is gone"} if 7 in running else {}

    executor._watch = SimpleNamespace(lost_chunks=lost_chunks)
    executor._ray.wait = lambda references, num_returns, timeout: (references[:1], references[1:])
    for number in (1, 7, 2):
        executor.submit(number, spec(number), DATA)
    assert executor.wait(0.5) == [(1, "report")]
    assert not looks, "not yet"
    executor.submit(3, spec(3), DATA)
    executor._running = dict(sorted(executor._running.items(), key=lambda item: item[1]))
    now[0] += executing.LOOK_SECONDS + 0.1
    assert executor.wait(0.5) == [
        (2, "report"),
        (7, Lost("its machine is gone", worker_died=False)),
    ]
    assert [set(look) for look in looks] == [{3, 7}]
    assert len(executor._ray.cancelled) == 1
    executor.close()
    assert looks[-1] == {".sweep-1"}, "the records of the sweep are removed"
    assert len(executor._ray.cancelled) == 2


def test_a_private_ray_watches_no_nodes_and_leaves_no_records(monkeypatch):
    monkeypatch.setattr(ray_nodes, "forget_sessions", lambda sessions: 1 / 0)
    executor = executor_on(FakeRay(outcome="report"), ComputeConfig())
    executor._looked = -100.0
    executor._watch = SimpleNamespace(lost_chunks=lambda *_: 1 / 0)
    executor.submit(0, spec(), DATA)
    assert executor.wait(0.5) == [(0, "report")]
    executor.close()


def test_a_data_set_is_sent_once():
    fake, sent = FakeRay(outcome="report"), []
    executor = executor_on(fake, ComputeConfig())
    fake.put = lambda value: sent.append(value) or "sent"
    for number in range(3):
        executor.submit(number, spec(number), DATA)
    executor.close()
    assert sent == [DATA]


@pytest.mark.parametrize(("num_gpus", "workers"), [(0, 16), (1, 2), (0.25, 8)])
def test_local_workers_are_those_that_cores_and_gpus_have_room_for(monkeypatch, num_gpus, workers):
    monkeypatch.setattr(executing, "available_cores", lambda: 16)
    monkeypatch.setattr(executing, "cuda_devices", lambda: 2)
    assert RayExecutor.local_workers(ComputeConfig(num_gpus=num_gpus)) == workers
    assert RayExecutor.local_workers(ComputeConfig(num_gpus=num_gpus, num_workers=1)) == 1
    assert RayExecutor.local_workers(JOINED) is None


def test_more_gpus_than_this_machine_has_are_refused(monkeypatch):
    monkeypatch.setattr(executing, "cuda_devices", lambda: 1)
    RayExecutor.check(ComputeConfig(num_gpus=1), {"cuda"})
    RayExecutor.check(ComputeConfig(num_gpus=2, address="auto"), {"cuda"})
    with pytest.raises(ConfigError, match="torch finds 1 CUDA devices"):
        RayExecutor.check(ComputeConfig(num_gpus=2), {"auto"})


def test_a_private_ray_is_for_this_machine_and_leaves_no_files(monkeypatch, place):
    monkeypatch.setattr(ray_cluster, "available_cores", lambda: 3)
    fake = FakeRay()
    executor = executor_on(fake, ComputeConfig(object_store_mb=90))
    arguments = fake.arguments
    assert arguments["address"] == "local"
    assert arguments["num_cpus"] == 3
    assert arguments["include_dashboard"] is False
    assert arguments["object_store_memory"] == 90 * 10**6
    assert arguments["_temp_dir"].startswith(f"{place}/")
    assert Path(arguments["_temp_dir"]).is_dir()
    assert [options["max_retries"] for options in fake.resources] == [0, 0]
    executor.close()
    assert not fake.started
    assert not Path(arguments["_temp_dir"]).exists()


def test_a_private_ray_is_asked_for_its_room_once():
    """Its processes may have had the signal that ends the sweep, and then would never answer."""
    fake = FakeRay()
    executor = executor_on(fake, ComputeConfig())
    fake.nodes = fake.cancel = lambda *_, **__: 1 / 0
    executor.submit(0, spec(), DATA)
    assert (executor.slots, executor.capacity) == (2, 4)
    executor.close()


def test_a_local_address_is_a_private_ray(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert RayExecutor.local_workers(ComputeConfig())
    fake = FakeRay()
    executor = executor_on(fake, ComputeConfig())
    assert executor.describe().startswith("on Ray on this machine, ")
    assert fake.arguments["address"] == "local"
    executor.close()
    with pytest.raises(ConfigError, match="compute=cluster joins a cluster, but RAY_ADDRESS=local"):
        RayExecutor.check(JOINED, {"auto"})


def test_sigterm_is_not_for_ray():
    fake = FakeRay()
    executor_on(fake, ComputeConfig()).close()
    fake._private.utils.set_sigterm_handler(1 / 1)


def test_a_joined_cluster_gets_the_whole_package_and_an_empty_folder(place):
    fake = FakeRay()
    executor = executor_on(fake, JOINED)
    environment = fake.arguments["runtime_env"]
    assert fake.arguments["address"] == "auto"
    assert environment["py_modules"] == [PACKAGE]
    assert environment["working_dir"].startswith(f"{place}/")
    assert not os.listdir(environment["working_dir"])
    assert executor.describe() == "on the Ray cluster at auto, 2 workers"
    executor.close()


def test_the_package_that_is_shipped_is_the_whole_of_ntk_sweep():
    """A worker imports tasks, store and settings, not only the executors."""
    assert Path(PACKAGE) == Path(ntk_sweep.__file__).parent
    assert Path(PACKAGE).name == "ntk_sweep"
    needed = ("_version.py", "errors.py", "executors/worker.py", "tasks/rows.py", "store/store.py")
    assert all((Path(PACKAGE) / name).is_file() for name in needed)


def test_a_submitted_job_keeps_its_working_folder(monkeypatch):
    monkeypatch.setenv(JOB_VARIABLE, "{}")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    fake = FakeRay()
    executor_on(fake, ComputeConfig()).close()
    assert fake.arguments["runtime_env"] == {"py_modules": [PACKAGE]}


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (ComputeConfig(), r"cannot be started on this machine \(OSError: no.*launcher=serial"),
        (JOINED, r"cluster at auto cannot be joined \(OSError: no.*check compute.address"),
    ],
    ids=["private", "joined"],
)
def test_a_ray_that_does_not_start_is_an_error_with_a_remedy(compute, message):
    fake = FakeRay(fails=OSError("no"))
    with pytest.raises(ClusterError, match=message):
        executor_on(fake, compute)
    assert not fake.started


def test_a_ray_that_is_ended_while_it_starts_is_put_away():
    fake = FakeRay(fails=SystemExit(15))
    with pytest.raises(SystemExit):
        executor_on(fake, ComputeConfig())
    assert not fake.started


def test_a_machine_without_room_for_a_worker_is_refused():
    fake = FakeRay([{"CPU": 2.0}])
    message = "a worker wants 3 CPUs and 0 GPUs, but this process may use 2 and 0"
    with pytest.raises(ClusterError, match=message):
        executor_on(fake, ComputeConfig(num_cpus=3))
    assert not fake.started


def test_a_cluster_without_room_is_waited_for():
    executor = executor_on(FakeRay([{"CPU": 2.0}]), ComputeConfig(num_cpus=3, address="auto"))
    assert executor.slots == 0
    assert executor.waiting_for() == "waiting for a machine with 3 CPUs and 0 GPUs (compute.num_*)"
    executor.close()


def test_words_of_the_raylet_stay_out_of_our_output(capsys):
    fake = FakeRay()
    executor_on(fake, ComputeConfig()).close()
    fake._private.worker.print_to_stdstream("a worker died")
    assert capsys.readouterr().out == ""
