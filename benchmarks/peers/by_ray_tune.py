"""Ray Tune on an empty function; takes the number of points and the folder for results."""

from __future__ import annotations

import sys

import ray
from ray import tune

points, folder = int(sys.argv[1]), sys.argv[2]
ray.init(num_cpus=2, log_to_driver=False)
tuner = tune.Tuner(
    lambda config: {"score": config["seed"]},
    param_space={"seed": tune.grid_search(list(range(points)))},
    tune_config=tune.TuneConfig(max_concurrent_trials=2, reuse_actors=True),
    run_config=tune.RunConfig(storage_path=folder, verbose=0),
)
assert len(tuner.fit()) == points
