"""The best networks of a finished sweep: for each activation the one with the greatest λ_min."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pandas as pd

from ntk_sweep.data.dataset import load_dataset
from ntk_sweep.data.normalisation import NONE
from ntk_sweep.errors import ConfigError
from ntk_sweep.network.architecture import scale_words
from ntk_sweep.settings.overrides import override
from ntk_sweep.settings.point import NUMERICS_VERSION
from ntk_sweep.settings.schema import SweepConfig
from ntk_sweep.store.best_cells import best_cells, cell_means
from ntk_sweep.store.columns import GROUP, NETWORK, agreeing
from ntk_sweep.store.reading import latest_good
from ntk_sweep.store.store import Store

COLUMNS = [
    "key",
    "status",
    "finished_at",
    "numerics_version",
    *GROUP,
    *NETWORK,
    "lambda_min",
    "lambda_min_resolved",
]
"""What is read of the spectra."""


def best_networks(config: SweepConfig, activations: Sequence[str]) -> list[dict[str, str | int]]:
    """For each activation the width and depth with the greatest mean λ_min, as in Table 1.

    Args:
        config: Says where the spectra lie (`results`), and of which data, parametrisation, scales
            and dtype they are.
        activations: The activations asked for.

    Returns:
        The settings `act`, `width` and `depth` of each.

    Raises:
        ConfigError: The store has no spectra of an activation; the message says what to run.
        DataError: The data set cannot be used.
        StoreError: The store holds a part that cannot be read.
    """
    store = Store(config.results, "spectrum")
    best = best_cells(cell_means(_comparable_rows(store, config))).set_index("act")
    if missing := [act for act in activations if act not in best.index]:
        asked = [f"data={config.data.name}", f"parametrisation={config.parametrisation}"]
        asked += scale_words(config.weight_std, config.bias_std)
        asked.append(f"dtype={config.dtype}")
        asked += config.data.labelling.overrides
        if config.data.normalise != NONE:
            asked.append(f"data.normalise={config.data.normalise}")
        if config.data.root:
            asked.append(override("data.root", config.data.root))
        grid = ["ntk-sweep", "run", "+experiment=thesis_grid", "seed=range(0,5)"]
        raise ConfigError(
            f"{store.location} holds no spectra of {', '.join(missing)} for {' '.join(asked)}, so "
            "that it is not known which of their networks has the greatest lambda_min; compute "
            f"them first:\n  {shlex.join([*grid, *asked, override('results', config.results)])}"
        )
    return [
        {"act": act, "width": int(best.loc[act, "width"]), "depth": int(best.loc[act, "depth"])}
        for act in activations
    ]


def _comparable_rows(store: Store, config: SweepConfig) -> pd.DataFrame:
    """The finished spectra of the data, scaling and dtype of `config`, one a network.

    Of a network that was computed in several ways the latest row counts, as in the analysis.
    """
    data = load_dataset(**config.data.arguments, download=not config.dry_run)
    rows = latest_good(store.read(COLUMNS)).to_pandas()
    alike = {
        "data_fingerprint": data.fingerprint,
        "parametrisation": config.parametrisation,
        "weight_std": config.weight_std,
        "bias_std": config.bias_std,
        "dtype": config.dtype,
        "status": "ok",
        "numerics_version": NUMERICS_VERSION,
    }
    rows = rows[agreeing(rows, alike)]
    return rows.sort_values(["finished_at", "key"]).drop_duplicates(NETWORK, keep="last")
